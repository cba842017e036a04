//! Figures of a run: a table for the terminal, JSON for machines, a page with plots for people.

mod html;
mod latency;
mod plot;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

pub use latency::{Summary, by_second, percentiles};
pub use plot::Plot;

use crate::checker::Findings;

/// Everything a run found. What a scenario does not have is left out.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The figures are the server's: no generator was the bottleneck, the floor agrees, the histories are clean.
    pub valid: bool,
    /// Reasons why the figures are not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid_because: Vec<String>,
    /// Sockets that watched.
    pub connections: usize,
    /// Posts due a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posts_per_s: Option<f64>,
    /// Posts that were due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posts: Option<u64>,
    /// Posts acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// Posts acknowledged a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_per_s: Option<f64>,
    /// What the checker counts.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// Lines broken and made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnected: Option<u64>,
    /// From a fault until all were back and had everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_until_whole: Option<f64>,
    /// From when a post was due until a screen showed it, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Summary>,
    /// From when a post was due until its receipt, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_ms: Option<Summary>,
    /// CPU of the gateways over deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_delivery: Option<f64>,
    /// User time of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_user_us_per_delivery: Option<f64>,
    /// Comments times screens a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliveries_per_s: Option<f64>,
    /// What the bare server's delivery costs in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_cpu_us_per_delivery: Option<f64>,
    /// CPU of a delivery over the floor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_floor: Option<f64>,
    /// Resident memory of the gateways above empty ones, over connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_kib_per_connection: Option<f64>,
    /// CPU of the gateways a second, over connections, while nothing is posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_connection_s: Option<f64>,
    /// CPU of all generators over wall time: 1 is a whole core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_share: Option<f64>,
    /// The busy share of each core of the machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cores_busy: Vec<f64>,
    /// By role: cores used, CPU a delivery and a post, memory.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Value>,
    /// What only this scenario has.
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, Value>,
    /// What went wrong on single lines, with how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// For the page.
    #[serde(skip)]
    pub plots: Vec<Plot>,
}

/// Where results go.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReportArgs {
    /// Write the figures here.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Write a page with plots here.
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// No progress bar and no table.
    #[arg(long)]
    pub quiet: bool,
    /// Exit 0 only if nothing was lost, doubled, out of order or seen without being acknowledged.
    #[arg(long)]
    pub strict: bool,
}

impl Report {
    /// Of a scenario, valid until something speaks against it.
    #[must_use]
    pub fn new(scenario: &'static str, connections: usize) -> Self {
        Self { scenario, connections, valid: true, ..Self::default() }
    }

    /// The figures are not what they should show.
    pub fn invalid(&mut self, because: impl Into<String>) {
        self.valid = false;
        self.invalid_because.push(because.into());
    }

    /// A figure that only this scenario has.
    pub fn also(&mut self, name: &'static str, value: impl Serialize) {
        self.more.insert(name, serde_json::to_value(value).unwrap_or_default());
    }

    /// Shows the table and writes the files asked for.
    ///
    /// # Errors
    /// When a file cannot be written; with `--strict`, when the histories are not clean.
    pub fn emit(&self, to: &ReportArgs) -> anyhow::Result<()> {
        if !to.quiet {
            println!("{}", table(self));
        }
        if let Some(path) = &to.json {
            write(path, &serde_json::to_string_pretty(self)?)?;
        }
        if let Some(path) = &to.html {
            write(path, &html::page(self))?;
        }
        let clean = self.findings.as_ref().is_none_or(Findings::clean);
        anyhow::ensure!(clean || !to.strict, "the histories are not clean: {:?}", self.findings);
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
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

/// One row a figure; what is longer than a line stands in the JSON only.
fn table(report: &Report) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(vec![report.scenario, ""]);
    if let Ok(Value::Object(figures)) = serde_json::to_value(report) {
        for (name, value) in figures.iter().filter(|(name, _)| *name != "scenario") {
            let text = shown(value);
            if text.len() <= 160 {
                table.add_row(vec![name.clone(), text]);
            }
        }
    }
    table
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => format!("{:.3}", number.as_f64().unwrap_or(0.0)),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_at_the_top_and_what_is_not_there_is_left_out() {
        let mut report = Report::new("steady", 221);
        report.findings = Some(Findings { expected: 9, delivered: 9, ..Findings::default() });
        report.latency_ms = Some(Summary { p50: 1.0, p99: 2.0, p999: 2.5, max: 3.0 });
        report.also("window_ms", 50);
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!((&json["expected"], &json["lost"], &json["latency_ms"]["p99"]), (&9.into(), &0.into(), &2.0.into()));
        assert_eq!((&json["window_ms"], json.get("posts_per_s")), (&50.into(), None));
        report.invalid("a generator was the bottleneck");
        assert_eq!(serde_json::to_value(&report).expect("JSON")["valid"], false);
    }
}
