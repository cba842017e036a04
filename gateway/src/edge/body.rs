//! Reading the body of a request.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use proto::v1::{Refusal, RefusalCode};
use tokio::time::timeout;

/// Reads a whole body of `most` bytes at most, within `within_ms` milliseconds.
pub(super) async fn collect<B>(body: B, most: usize, within_ms: u64) -> Result<Bytes, Refusal>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<tower::BoxError>,
{
    match timeout(Duration::from_millis(within_ms), Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::of(RefusalCode::TooLarge)),
        Ok(Err(_)) | Err(_) => Err(Refusal::of(RefusalCode::Malformed)),
    }
}
