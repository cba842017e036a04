//! Where figures go: the terminal and files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::{figures::Report, html};
use crate::checker::Findings;

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
