//! How the HTTP API answers.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use proto::v1::{Refusal, RefusalCode};
use serde::Serialize;

/// A refusal as an answer of the API.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<RefusalCode> for Refused {
    fn from(code: RefusalCode) -> Self {
        Self(Refusal::of(code))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    refusal: RefusalBody<'a>,
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    code: &'static str,
    message_zh: &'a str,
    message_en: &'a str,
    retry_after_ms: u32,
    field: &'a str,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(refusal) = self;
        let code = refusal.code();
        let body = RefusalBody {
            code: code.as_str_name(),
            message_zh: &refusal.message_zh,
            message_en: &refusal.message_en,
            retry_after_ms: refusal.retry_after_ms,
            field: &refusal.field,
        };
        let mut response = (status_for(code), Json(Body { refusal: body })).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if refusal.retry_after_ms > 0 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(refusal.retry_after_ms.div_ceil(1_000)));
        }
        response
    }
}

/// The HTTP status that fits a refusal.
pub(super) fn status_for(code: RefusalCode) -> StatusCode {
    use RefusalCode as C;
    match code {
        C::Unspecified | C::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        C::Malformed | C::Invalid | C::PasswordWeak | C::TextEmpty | C::TextTooLong | C::TextForbiddenCharacter | C::PositionBeyondHead => {
            StatusCode::BAD_REQUEST
        }
        C::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        C::Unsupported => StatusCode::NOT_IMPLEMENTED,
        C::Unauthenticated | C::TicketInvalid | C::SessionEnded | C::PasswordWrong | C::LinkInvalid => StatusCode::UNAUTHORIZED,
        C::OriginRefused | C::AccountDisabled | C::Forbidden | C::Muted => StatusCode::FORBIDDEN,
        C::NotFound | C::TargetGone => StatusCode::NOT_FOUND,
        C::Conflict | C::NotOpen | C::Paused | C::Closed | C::EpochChanged => StatusCode::CONFLICT,
        C::SlowMode | C::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        C::Behind | C::Overloaded | C::Unavailable | C::Draining => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_when_to_come_again_in_whole_seconds_too() {
        let response = Refused(Refusal::of(RefusalCode::RateLimited).retry_after_ms(1_200)).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert!(Refused::from(RefusalCode::Forbidden).into_response().headers().get(header::RETRY_AFTER).is_none());
    }
}
