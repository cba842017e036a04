use std::path::Path;
use crate::settings::Settings;
pub async fn backup(_s: &Settings, _to: &Path) -> anyhow::Result<()> { Ok(()) }
pub async fn restore(_s: &Settings, _from: &Path, _replace: bool) -> anyhow::Result<()> { Ok(()) }
