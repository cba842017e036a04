//! A plot: lines over one axis, drawn as SVG.

use std::fmt::Write as _;

/// A point, and what it is called.
pub type Point = (f64, f64, String);

/// Some lines.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// Above it.
    pub title: String,
    x: String,
    y: String,
    lines: Vec<(String, Vec<Point>)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 36.0;
const COLOURS: [&str; 6] = ["#1f5f8b", "#9c2b23", "#4a7c3a", "#8a6d1d", "#6b3f8f", "#444"];

impl Plot {
    /// An empty one, with what its axes show.
    #[must_use]
    pub fn new(title: &str, x: &str, y: &str) -> Self {
        Self { title: title.to_owned(), x: x.to_owned(), y: y.to_owned(), lines: Vec::new() }
    }

    /// With one more line.
    #[must_use]
    pub fn line(mut self, name: &str, points: Vec<Point>) -> Self {
        self.lines.push((name.to_owned(), points));
        self
    }

    /// As SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let Some(first) = points().next() else { return String::from("<p>nothing was measured</p>") };
        let (from, to) = points().fold((first.0, first.0), |(low, high), (x, ..)| (low.min(*x), high.max(*x)));
        let top = points().map(|(_, y, _)| *y).fold(0.0, f64::max).max(1e-9);
        let (span, high) = ((to - from).max(1e-9), HEIGHT - BOTTOM - 16.0);
        let place = |x: f64, y: f64| (LEFT + (x - from) / span * (WIDTH - LEFT - 20.0), HEIGHT - BOTTOM - y / top * high);
        let mut svg = format!("<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img aria-label='{}'><g font-size=12>", escape(&self.title));
        for part in [0.0, 0.5, 1.0] {
            let (_, y) = place(from, top * part);
            let _ = write!(
                svg,
                "<line x1={LEFT} x2={WIDTH} y1={y:.1} y2={y:.1} stroke=#ddd /><text x=0 y={:.1}>{}</text>",
                y + 4.0,
                short(top * part)
            );
        }
        let name = |x: f64| points().find(|(own, ..)| *own == x).map_or_else(|| short(x), |(.., name)| escape(name));
        let (label, end) = (HEIGHT - 18.0, WIDTH - 4.0);
        let _ = write!(svg, "<text x={LEFT} y={label}>{}</text><text x={end} y={label} text-anchor=end>{}</text>", name(from), name(to));
        let _ = write!(svg, "<text x={LEFT} y={:.1} fill=#666>{} over {}</text></g>", HEIGHT - 3.0, escape(&self.y), escape(&self.x));
        for (number, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let mut line = String::new();
            let mut marks = String::new();
            for (x, y, point) in points {
                let (px, py) = place(*x, *y);
                let _ = write!(line, "{px:.1},{py:.1} ");
                if points.len() <= 200 {
                    let _ = write!(
                        marks,
                        "<circle cx={px:.1} cy={py:.1} r=2.5><title>{} {}: {}</title></circle>",
                        escape(name),
                        escape(point),
                        short(*y)
                    );
                }
            }
            let at = LEFT + 8.0 + 110.0 * number as f64;
            let _ = write!(
                svg,
                "<polyline points='{line}' fill=none stroke='{colour}' stroke-width=2 /><g fill='{colour}'>{marks}\
                 <text x={at} y=12 font-size=12>{}</text></g>",
                escape(name)
            );
        }
        svg.push_str("</svg>");
        svg
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 1_000_000.0 {
        format!("{:.2} M", value / 1_000_000.0)
    } else if value.abs() >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_draws_every_line_within_its_frame() {
        let plot = Plot::new("a<b", "s", "ms").line("p50", vec![(0.0, 1.0, "0 s".into()), (5.0, 20.0, "5 s".into())]).line("p99", vec![]);
        let svg = plot.svg();
        assert!(svg.contains("a&lt;b") && svg.contains("5 s") && svg.matches("<polyline").count() == 2, "{svg}");
        assert!(Plot::new("", "", "").svg().contains("nothing was measured"));
    }
}
