//! Holding what a client sent to the contract: ids by the codec, content by its kind.

use proto::{
    codec, limits,
    v1::{ClientFrame, Post, Refusal, RefusalCode, client_frame::Frame},
};

use super::as_posted_mut;

/// Holds a post to the contract and brings it into its normal form: what only the server says is cleared.
///
/// # Errors
/// MALFORMED with the field; what the kind's check says.
pub fn check_post(post: &mut Post) -> Result<(), Refusal> {
    codec::check_post_ids(post)?;
    let content = post.content.as_mut().ok_or_else(|| Refusal::of(RefusalCode::Malformed).field("content"))?;
    as_posted_mut(content).check()
}

/// Holds a decoded client frame to the contract: `proto::codec::check_frame`, and [`check_post`] where it is a post.
///
/// # Errors
/// What those say.
pub fn check_frame(frame: &mut ClientFrame) -> Result<(), Refusal> {
    codec::check_frame(frame)?;
    match &mut frame.frame {
        Some(Frame::Post(post)) => check_post(post),
        _ => Ok(()),
    }
}

/// Holds the reason of an act to [`limits::REASON_BYTES`] and to what a text may hold; it may be empty.
pub(super) fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.len() > limits::REASON_BYTES {
        return Err(Refusal::of(RefusalCode::TooLarge).field("reason"));
    }
    if reason.chars().any(codec::is_forbidden) {
        return Err(Refusal::of(RefusalCode::TextForbiddenCharacter).field("reason"));
    }
    Ok(())
}
