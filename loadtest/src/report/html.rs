//! A page of its own, without scripts or anything from elsewhere: the figures and two plots.

use std::fmt::Write as _;

use super::Report;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let percentiles: Vec<_> =
        report.plot.percentiles.iter().enumerate().map(|(at, (percentile, ms))| (at as f64, *ms, format!("p{percentile}"))).collect();
    let seconds: Vec<_> = report.plot.worst_by_second.iter().map(|(second, ms)| (*second as f64, *ms, format!("{second} s"))).collect();
    let figures = serde_json::to_string_pretty(report).unwrap_or_default().replace('<', "&lt;");
    format!(
        "<!doctype html><meta charset=utf-8><title>{scenario}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         svg{{width:100%;height:auto}}pre{{overflow:auto;background:#f4f4f2;padding:1rem}}</style>\
         <h1>{scenario}: {viewers} viewers, {posts} comments</h1>\
         <p>lost {lost}, duplicated {duplicated}, out of order {out_of_order}, seen but never acknowledged {unacknowledged}</p>\
         <h2>Post to screen, ms, by percentile</h2>{by_percentile}\
         <h2>Post to screen, ms, the worst of each second</h2>{by_second}\
         <h2>All figures</h2><pre>{figures}</pre>",
        scenario = report.scenario,
        viewers = report.connections,
        posts = report.posts,
        lost = report.findings.lost,
        duplicated = report.findings.duplicated,
        out_of_order = report.findings.out_of_order,
        unacknowledged = report.findings.unacknowledged_seen,
        by_percentile = plot(&percentiles),
        by_second = plot(&seconds),
    )
}

fn plot(points: &[(f64, f64, String)]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::from("<p>nothing was measured</p>") };
    let top = points.iter().map(|(_, y, _)| *y).fold(1.0, f64::max);
    let span = (last.0 - first.0).max(1.0);
    let place = |x: f64, y: f64| (50.0 + (x - first.0) / span * (WIDTH - 70.0), HEIGHT - 30.0 - y / top * (HEIGHT - 50.0));
    let mut line = String::new();
    let mut marks = String::new();
    for (x, y, name) in points {
        let (px, py) = place(*x, *y);
        let _ = write!(line, "{px:.1},{py:.1} ");
        let _ = write!(marks, "<circle cx={px:.1} cy={py:.1} r=3><title>{name}: {y:.1} ms</title></circle>");
    }
    let (bottom, left) = (HEIGHT - 8.0, 50.0);
    format!(
        "<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img><polyline points='{line}' fill=none stroke=#9c2b23 stroke-width=2 />\
         <g fill=#9c2b23>{marks}</g><g font-size=12><text x=0 y=20>{top:.1} ms</text><text x={left} y={bottom}>{from}</text>\
         <text x={end} y={bottom} text-anchor=end>{to}</text></g></svg>",
        from = first.2,
        to = last.2,
        end = WIDTH - 10.0,
    )
}
