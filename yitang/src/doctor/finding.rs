//! What a check found, and how bad it is.

/// What was found of one thing that was checked.
#[derive(Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// In a line.
    pub what: String,
    /// What to do, where something is to be done.
    pub advice: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is to be done.
    Ok,
    /// It runs, but not with many people, or not safely.
    Warning,
    /// It does not run, or what it promises does not hold.
    Bad,
}

impl Finding {
    /// All is well.
    pub fn ok(what: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, what: what.into(), advice: String::new() }
    }

    /// It runs; `advice` says what would be better.
    pub fn warning(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, what: what.into(), advice: advice.into() }
    }

    /// It must be mended; `advice` says how.
    pub fn bad(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Bad, what: what.into(), advice: advice.into() }
    }
}
