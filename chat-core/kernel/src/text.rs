//! Bounds of short texts that several subjects take.

use proto::{
    limits,
    v1::{Refusal, RefusalCode},
};

/// A title: 1 to 200 characters without control characters.
///
/// # Errors
/// INVALID.
pub fn check_title(title: &str) -> Result<String, Refusal> {
    let title = title.trim();
    if (1..=limits::TITLE_CHARS).contains(&title.chars().count()) && !title.chars().any(char::is_control) {
        return Ok(title.to_owned());
    }
    Err(Refusal::of(RefusalCode::Invalid).field("title").words("标题应为 1 到 200 个字符。", "A title is 1 to 200 characters."))
}

/// What makes a request idempotent: 1 to 64 printable characters.
///
/// # Errors
/// INVALID.
pub fn check_client_id(id: &str) -> Result<(), Refusal> {
    if (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Refusal::of(RefusalCode::Invalid).field("client_id"))
}

/// The reason of an act: at most 1 KiB; may be empty.
///
/// # Errors
/// TOO_LARGE, TEXT_FORBIDDEN_CHARACTER.
pub fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.len() > limits::REASON_BYTES {
        return Err(Refusal::of(RefusalCode::TooLarge).field("reason"));
    }
    if !reason.is_empty() {
        proto::codec::check_text(reason).map_err(|refusal| refusal.field("reason"))?;
    }
    Ok(())
}
