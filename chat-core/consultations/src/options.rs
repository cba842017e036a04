//! Settings of consultations.

use serde::{Deserialize, Serialize};

/// The clock and the call of consultations.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsultationOptions {
    /// How often the clock is compared with the consultations' times, ms.
    pub schedule_ms: u64,
    /// The time between two calls to one consultation at least, s.
    pub call_every_s: u32,
}

impl Default for ConsultationOptions {
    fn default() -> Self {
        Self { schedule_ms: 250, call_every_s: 60 }
    }
}
