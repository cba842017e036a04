//! The edge's settings.

use serde::{Deserialize, Serialize};

/// HTTP, the upgrade, the web client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeOptions {}
