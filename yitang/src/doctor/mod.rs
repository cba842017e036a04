//! `yitang doctor`: one line for each thing checked, ok, note or bad, and what to do about it.

mod database;
mod finding;
mod machine;
mod network;

use std::process::ExitCode;

use self::finding::{Finding, Severity};
use crate::{cli::Role, settings::Settings};

/// Checks everything that the role needs and prints the findings. The exit code is a failure when one is bad.
pub async fn doctor(settings: &Settings, role: Option<Role>) -> anyhow::Result<ExitCode> {
    let role = role.unwrap_or(Role::All);
    let mut findings = check_settings(settings, role);
    if matches!(role, Role::All | Role::ChatCore) {
        findings.extend(database::check(settings).await);
    }
    if role == Role::All {
        findings.push(machine::data_folder(settings));
    } else if role != Role::Presence {
        findings.push(network::redis(settings).await);
    }
    if role == Role::Gateway {
        findings.extend(network::peers(settings).await);
    }
    findings.extend(network::ports(settings, role));
    findings.push(machine::open_files(settings, role));
    let bad = findings.iter().filter(|finding| finding.severity == Severity::Bad).count();
    for Finding { severity, what, advice } in &findings {
        let word = match severity {
            Severity::Ok => "ok  ",
            Severity::Warning => "note",
            Severity::Bad => "BAD ",
        };
        println!("{word}  {what}");
        if !advice.is_empty() {
            println!("      → {advice}");
        }
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_settings(settings: &Settings, role: Role) -> Vec<Finding> {
    let mut findings = Vec::new();
    if role != Role::All {
        findings.push(match settings.check_key() {
            Ok(()) => Finding::ok("the roles' shared key is set"),
            Err(error) => Finding::bad("the roles' shared key", error.to_string()),
        });
    }
    if matches!(role, Role::All | Role::Gateway) {
        findings.push(match settings.public_url() {
            Ok(url) if url.starts_with("https://") => Finding::ok(format!("browsers come to {url}")),
            Ok(url) if settings.listen.gateway.ip().is_loopback() => Finding::ok(format!("browsers come to {url}, on this machine")),
            Ok(url) => Finding::bad(
                format!("browsers come to {url}, unencrypted"),
                "put a proxy with TLS before this, and set gateway.edge.public_url to its https:// address",
            ),
            Err(error) => Finding::bad("the public address", error.to_string()),
        });
        if settings.gateway.edge.demo && !settings.listen.gateway.ip().is_loopback() {
            findings
                .push(Finding::warning("the demonstration is shown beyond this machine", "its people can sign in from this machine only"));
        }
    }
    findings
}
