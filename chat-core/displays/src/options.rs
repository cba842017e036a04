//! Bounds of display links.

use serde::{Deserialize, Serialize};

/// Links by which a screen in a hall shows one consultation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DisplayOptions {
    /// How long a display link is good where its maker names no time, s.
    pub link_s: u64,
    /// The longest time that its maker may choose, s.
    pub link_most_s: u64,
    /// Display links of one consultation that are good at one time.
    pub links_per_consultation: usize,
}

impl Default for DisplayOptions {
    fn default() -> Self {
        Self { link_s: 36 * 3_600, link_most_s: 14 * 24 * 3_600, links_per_consultation: 20 }
    }
}
