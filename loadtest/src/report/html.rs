//! A page of its own, without scripts or anything from elsewhere: the figures and plots.

use std::fmt::Write as _;

use super::{figures::Report, plot::escape};

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let figures = escape(&serde_json::to_string_pretty(report).unwrap_or_default());
    let mut body = String::new();
    if report.valid {
        body.push_str("<p>valid</p>");
    }
    for why in &report.invalid_because {
        let _ = write!(body, "<p class=bad>invalid: {}</p>", escape(why));
    }
    if let Some(found) = &report.findings {
        let _ = write!(
            body,
            "<p>delivered {} of {}; lost {}, duplicated {}, out of order {}, seen but never acknowledged {}</p>",
            found.delivered, found.expected, found.lost, found.duplicated, found.out_of_order, found.unacknowledged_seen
        );
    }
    for plot in &report.plots {
        let _ = write!(body, "<h2>{}</h2>{}", escape(&plot.title), plot.svg());
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         svg{{width:100%;height:auto}}pre{{overflow:auto;background:#f4f4f2;padding:1rem}}.bad{{color:#9c2b23;font-weight:600}}</style>\
         <h1>{name}: {connections} connections</h1>{body}<h2>All figures</h2><pre>{figures}</pre></html>",
        name = report.scenario,
        connections = report.connections,
    )
}
