//! The table of goals against what was found last, as Markdown.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde_json::Value;

/// How a figure must stand to its goal.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Most(f64),
    Least(f64),
}

/// One figure: scenario, where it stands in its JSON, what it is, its goal, and its unit.
type Row = (&'static str, &'static str, &'static str, Goal, &'static str);

use Goal::{Least, Most};

const ROWS: &[Row] = &[
    ("broadcast", "/ratio_to_floor", "19,500 sockets, no coalescing: CPU a delivery over the floor's", Most(1.15), "×"),
    ("broadcast", "/cpu_user_us_per_delivery", "of it user time", Most(0.8), "µs"),
    ("broadcast", "/lost", "lost", Most(0.0), ""),
    (
        "broadcast",
        "/two_gateways/last_receiver_ms",
        "27,000 sockets, two gateways: last receiver after the post was due",
        Most(500.0),
        "ms",
    ),
    ("steady", "/coalescing_off/ratio_to_floor", "221 × 200/s, no coalescing: CPU a delivery over the floor's", Most(1.2), "×"),
    ("steady", "/coalescing_on/ratio_to_floor", "the same, coalescing", Most(0.35), "×"),
    ("steady", "/coalescing_on/latency_ms/p99", "the same, post to screen p99", Most(100.0), "ms"),
    ("ramp", "/viewers_221/deliveries_per_s", "most deliveries a second, 221 viewers, p99 < 250 ms", Least(3e6), "/s"),
    ("ramp", "/viewers_2210/deliveries_per_s", "the same, 2,210 viewers", Least(3e6), "/s"),
    ("flood", "/lost", "27,000 × 500/s for a minute: lost", Most(0.0), ""),
    ("flood", "/latency_ms/p99", "the same, post to screen p99", Most(1_000.0), "ms"),
    ("flood", "/generator_share", "the same, the generators' share", Most(1.0), "cores"),
    ("idle", "/rss_kib_per_connection", "19,500 idle sockets: memory each", Most(4.0), "KiB"),
    ("idle", "/cpu_us_per_connection_s", "the same, CPU each", Most(2.0), "µs/s"),
    ("idle", "/tls/rss_kib_per_connection", "the same with TLS, memory each", Most(20.0), "KiB"),
    ("storm", "/seconds_until_whole", "13,500 sockets lose their gateway: until all are whole", Most(10.0), "s"),
    ("storm", "/database/share_of_reconnects", "database statements over reconnects", Most(0.01), ""),
    ("storm", "/stayed_ratio", "p99 of those who stayed, over what it was", Most(3.0), "×"),
    ("post", "/postgres_many/acknowledged_per_s", "durable posts, PostgreSQL, 1,000 conversations", Least(20_000.0), "/s"),
    ("post", "/postgres_many/latency_ms/p99", "at half of it (10,000/s at most), p99", Most(20.0), "ms"),
    ("post", "/postgres_many/without_gateway/acknowledged_per_s", "without the gateway", Least(20_000.0), "/s"),
    ("post", "/postgres_one/acknowledged_per_s", "durable posts, PostgreSQL, one conversation", Least(20_000.0), "/s"),
    ("post", "/postgres_one/latency_ms/p99", "at half of it (10,000/s at most), p99", Most(20.0), "ms"),
    ("post", "/postgres_one/without_gateway/acknowledged_per_s", "without the gateway", Least(20_000.0), "/s"),
    ("post", "/sqlite_many/acknowledged_per_s", "durable posts, SQLite, 1,000 conversations", Least(20_000.0), "/s"),
    ("post", "/sqlite_many/latency_ms/p99", "at half of it (10,000/s at most), p99", Most(20.0), "ms"),
    ("post", "/sqlite_many/without_gateway/acknowledged_per_s", "without the gateway", Least(20_000.0), "/s"),
    ("rooms", "/latency_ms/p99", "100 rooms of 50, 200 messages/s: p99", Most(15.0), "ms"),
    ("direct", "/latency_ms/p99", "1,000 pairs, 5,000 messages/s: p99", Most(15.0), "ms"),
    (
        "soak",
        "/memory_slope_percent_per_hour/gateway",
        "coming and going, after ten minutes of it: memory of the gateway",
        Most(1.0),
        "%/h",
    ),
    ("soak", "/memory_slope_percent_per_hour/chat-core", "of chat-core", Most(1.0), "%/h"),
    ("soak", "/memory_slope_percent_per_hour/presence", "of presence", Most(1.0), "%/h"),
    ("soak", "/lost", "the same, lost", Most(0.0), ""),
    ("consultation", "/latency_ms/p99", "the reference meeting on one process: p99", Most(500.0), "ms"),
    ("consultation", "/lost", "the same, lost", Most(0.0), ""),
    ("connect", "/connects_per_s", "sockets signed in and subscribed", Least(2_000.0), "/s"),
];

/// Where the table stands in the document.
const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// The table; what was not run is left out.
#[must_use]
pub fn render(folder: &Path) -> String {
    let mut table = String::from("| scenario | figure | goal | measured | holds |\n|---|---|---|---|---|\n");
    for (scenario, pointer, what, goal, unit) in ROWS {
        let Some(figures) = read(folder, scenario) else { continue };
        let Some(value) = figures.pointer(pointer).and_then(Value::as_f64) else { continue };
        let (sign, bound, holds) = match goal {
            Most(bound) => ("≤", *bound, value <= *bound),
            Least(bound) => ("≥", *bound, value >= *bound),
        };
        let valid = if figures["valid"] == false { " (run invalid)" } else { "" };
        let holds = if holds { "yes" } else { "**no**" };
        table.push_str(&format!("| `{scenario}` | {what} | {sign} {} {unit} | {} {unit}{valid} | {holds} |\n", shown(bound), shown(value)));
    }
    table
}

fn read(folder: &Path, scenario: &str) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(folder.join(format!("{scenario}.json"))).ok()?).ok()
}

fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.2} M", value / 1e6),
        large if large >= 1_000.0 => {
            let whole = value.round() as i64;
            format!("{},{:03}", whole / 1_000, (whole % 1_000).abs())
        }
        whole if whole.fract() == 0.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Writes the table between the markers of a document.
///
/// # Errors
/// When the document has no markers, or cannot be written.
pub fn write_into(document: &Path, table: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let replaced = between(&text, table).with_context(|| format!("{} has no place for it", document.display()))?;
    fs::write(document, replaced).with_context(|| document.display().to_string())
}

fn between(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_holds_and_leaves_out_what_was_not_run() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("broadcast.json"), r#"{"valid":false,"ratio_to_floor":1.2,"cpu_user_us_per_delivery":0.4}"#)
            .expect("written");
        let table = render(folder.path());
        assert_eq!(table.lines().count(), 4, "{table}");
        assert!(table.contains("| ≤ 1.15 × | 1.20 × (run invalid) | **no** |"), "{table}");
        assert!(table.contains("| ≤ 0.80 µs | 0.40 µs (run invalid) | yes |"), "{table}");
    }

    #[test]
    fn figures_are_short() {
        for (value, text) in [(0.0, "0"), (0.0123, "0.0123"), (1.15, "1.15"), (12.34, "12.3"), (20_000.0, "20,000"), (3.2e6, "3.20 M")] {
            assert_eq!(shown(value), text);
        }
    }

    #[test]
    fn a_document_keeps_everything_but_the_table() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb");
        assert_eq!(between(&text, "new\n"), Some(format!("a\n{BEGIN}\nnew\n{END}\nb")));
        assert_eq!(between("none", "new"), None);
    }
}
