//! A client as any other: HTTP for the ticket, one socket, resume after a break, an outbox until the receipt.

pub mod http;
pub mod mark;
pub mod record;
mod session;
pub mod socket;
pub mod viewer;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

pub use session::{Person, Session};

use crate::args::TargetArgs;

/// `count` signed-in people: from the file of sessions, or by signing in, 32 at a time.
///
/// # Errors
/// When the file has too few, or a sign-in is refused.
pub async fn sessions(target: &TargetArgs, count: usize) -> anyhow::Result<Vec<Session>> {
    if let Some(path) = &target.sessions {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut sessions: Vec<Session> =
            serde_json::from_str(&text).with_context(|| format!("{} is not a list of sessions", path.display()))?;
        anyhow::ensure!(sessions.len() >= count, "{} holds {} sessions, {count} are needed", path.display(), sessions.len());
        sessions.truncate(count);
        return Ok(sessions);
    }
    let (Some(prefix), Some(password)) = (&target.login_prefix, &target.password) else {
        anyhow::bail!("either --sessions or --login-prefix with --password is needed");
    };
    let mut sessions = Vec::with_capacity(count);
    let mut number = 1;
    while sessions.len() < count {
        let wave: Vec<_> = (number..=count).take(32).collect();
        number += wave.len();
        let signing_in =
            wave.iter().map(|number| http::sign_in(&target.target[number % target.target.len()], format!("{prefix}{number}"), password));
        for session in futures::future::join_all(signing_in).await {
            sessions.push(session?);
        }
    }
    Ok(sessions)
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    now_us() / 1_000
}

/// The wall-clock time of an instant of this run.
#[must_use]
pub fn wall_ms(at: Instant) -> i64 {
    let now = Instant::now();
    now_ms() + if at > now { (at - now).as_millis() as i64 } else { -((now - at).as_millis() as i64) }
}

/// Microseconds since 1970: the same clock in every process of a run, which all stand on one machine.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "measures by the machine's own time, not by a service's")]
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as i64
}
