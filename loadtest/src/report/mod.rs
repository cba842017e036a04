//! Figures of a run: a table for the terminal, JSON for machines, a page with plots for people.

mod html;
mod latency;

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;

pub use latency::{Latency, Plot, Summary};

use crate::{ReportArgs, checker::Findings};

/// Everything a run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: &'static str,
    /// When the first comment was due, milliseconds since 1970.
    pub started_ms: i64,
    /// Viewers.
    pub connections: usize,
    /// Comments that were due.
    pub posts: u64,
    /// How many a second, on average.
    pub posts_per_s: f64,
    /// Comments acknowledged.
    pub acknowledged: u64,
    /// Comments refused for good, or tried to the end without an answer.
    pub unacknowledged: u64,
    /// Refusal codes of those refused for good.
    pub refusals: BTreeMap<i32, u64>,
    /// The checker's counts.
    #[serde(flatten)]
    pub findings: Findings,
    /// Holes that the server did not tell of (counted in `out_of_order`).
    pub holes: u64,
    /// Times that a heartbeat's tops showed something missing.
    pub healed: u64,
    /// Times that a viewer was told to load everything anew.
    pub resets: u64,
    /// Lines broken and made anew.
    pub reconnected: u64,
    /// Close codes seen.
    pub closes: BTreeMap<u16, u64>,
    /// From the time a comment was due to its arrival at each viewer.
    pub latency_ms: Summary,
    /// From the time a comment was due to its receipt.
    pub receipt_ms: Summary,
    /// How long all took.
    pub seconds: f64,
    /// [posted, acknowledged, seen by the last viewer] of each acknowledged post, with `--detail`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<[i64; 3]>,
    /// For the page.
    #[serde(skip)]
    pub plot: Plot,
}

/// A progress bar on the terminal.
#[must_use]
pub fn progress(posts: u64, quiet: bool) -> indicatif::ProgressBar {
    if quiet {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} acknowledged, {msg}")
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    indicatif::ProgressBar::new(posts).with_style(style)
}

/// Shows the table and writes the files asked for.
///
/// # Errors
/// When a file cannot be written.
pub fn emit(report: &Report, to: &ReportArgs) -> anyhow::Result<()> {
    if !to.quiet {
        println!("{}", table(report));
    }
    if let Some(path) = &to.json {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        std::fs::write(path, serde_json::to_string_pretty(report)?).with_context(|| format!("writing {}", path.display()))?;
    }
    if let Some(path) = &to.html {
        std::fs::write(path, html::page(report)).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn table(report: &Report) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(vec![report.scenario, ""]);
    let findings = &report.findings;
    let rows = [
        ("viewers", report.connections.to_string()),
        ("comments acknowledged / due", format!("{} / {}", report.acknowledged, report.posts)),
        ("delivered / expected", format!("{} / {}", findings.delivered, findings.expected)),
        ("lost", findings.lost.to_string()),
        ("duplicated", findings.duplicated.to_string()),
        ("out of order", findings.out_of_order.to_string()),
        ("seen, never acknowledged", findings.unacknowledged_seen.to_string()),
        ("post to screen ms: p50 / p99 / max", report.latency_ms.to_string()),
        ("post to receipt ms: p50 / p99 / max", report.receipt_ms.to_string()),
        ("lines made anew", report.reconnected.to_string()),
        ("seconds", format!("{:.1}", report.seconds)),
    ];
    for (name, value) in rows {
        table.add_row(vec![name.to_owned(), value]);
    }
    table
}
