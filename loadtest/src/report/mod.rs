//! Figures of a run: a table for the terminal, JSON for machines, a page with plots for people.

mod figures;
mod html;
mod latency;
mod output;
mod plot;

pub use figures::Report;
pub use latency::{Summary, by_second, percentiles};
pub use output::{ReportArgs, progress};
pub use plot::Plot;
