//! `yitang doctor`
use std::process::ExitCode;
use crate::{cli::Role, settings::Settings};
pub async fn doctor(_settings: &Settings, _role: Option<Role>) -> anyhow::Result<ExitCode> { Ok(ExitCode::SUCCESS) }
