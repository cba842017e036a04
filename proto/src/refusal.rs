//! Refusals: one sentence each in Chinese and English, in one place.

use prost::Message as _;

use crate::v1::{Refusal, RefusalCode};

impl Refusal {
    /// A refusal with the standard sentences of its code, and the standard time to wait.
    #[must_use]
    pub fn of(code: RefusalCode) -> Self {
        let (message_zh, message_en, retry_after_ms) = words(code);
        Self {
            code: code.into(),
            message_zh: message_zh.to_owned(),
            message_en: message_en.to_owned(),
            retry_after_ms,
            field: String::new(),
        }
    }

    /// The same, to be tried again after so many milliseconds.
    #[must_use]
    pub fn retry_after_ms(mut self, retry_after_ms: u32) -> Self {
        self.retry_after_ms = retry_after_ms;
        self
    }

    /// The same, naming the field that was wrong.
    #[must_use]
    pub fn field(mut self, field: &str) -> Self {
        self.field = field.to_owned();
        self
    }

    /// The same code in other words.
    #[must_use]
    pub fn words(mut self, zh: impl Into<String>, en: impl Into<String>) -> Self {
        self.message_zh = zh.into();
        self.message_en = en.into();
        self
    }
}

fn words(code: RefusalCode) -> (&'static str, &'static str, u32) {
    use RefusalCode as C;
    match code {
        C::Unspecified => ("请求未被接受。", "The request was not accepted.", 0),
        C::Malformed => ("无法识别这条请求。", "The request cannot be understood.", 0),
        C::TooLarge => ("内容太大。", "This is too large.", 0),
        C::Unsupported => ("不支持这项操作。", "This is not supported.", 0),
        C::Unauthenticated => ("请先登录。", "Please sign in.", 0),
        C::TicketInvalid => ("连接凭证已失效，请重新获取。", "The ticket is not valid; get a new one.", 0),
        C::SessionEnded => ("您已退出登录，请重新登录。", "The session has ended; please sign in again.", 0),
        C::PasswordWrong => ("账号或密码不正确。", "The account or the password is not right.", 0),
        C::PasswordWeak => {
            ("密码至少需要 10 个字符，且不能是常见密码。", "A password needs at least 10 characters and must not be a common one.", 0)
        }
        C::LinkInvalid => ("登录链接无效、已使用或已过期。", "The sign-in link is unknown, used or expired.", 0),
        C::OriginRefused => ("不允许从该网站访问。", "This website may not connect.", 0),
        C::AccountDisabled => ("该账号已停用，请联系管理员。", "This account is disabled; please ask an administrator.", 0),
        C::Forbidden => ("您没有这项权限。", "You may not do this.", 0),
        C::NotFound => ("没有找到。", "Not found.", 0),
        C::Conflict => ("内容与已有记录冲突，请刷新后再试。", "This conflicts with what is recorded; reload and try again.", 0),
        C::Invalid => ("填写的内容不正确。", "A value is not valid.", 0),
        C::NotOpen => ("协商尚未开始。", "The consultation is not open yet.", 0),
        C::Paused => ("协商已暂停，请稍候。", "The consultation is paused.", 5_000),
        C::Closed => ("协商已结束。", "The consultation is closed.", 0),
        C::Muted => ("您已被禁言。", "You may not post here for now.", 0),
        C::SlowMode => ("发言过于频繁，请稍候再发。", "Slow mode: please wait before posting again.", 1_000),
        C::TextEmpty => ("请输入内容。", "Please write something.", 0),
        C::TextTooLong => ("内容过长，最多约 2700 个汉字。", "The text is too long: at most 8 KiB.", 0),
        C::TextForbiddenCharacter => ("内容含有不允许的字符。", "The text contains a character that is not allowed.", 0),
        C::TargetGone => ("该条发言已不存在。", "That comment no longer stands.", 0),
        C::PositionBeyondHead => ("本地进度超出服务器记录，请重新加载。", "The position is beyond the log's head; load again.", 0),
        C::EpochChanged => ("会话记录已重建，请重新加载。", "The log was made anew; load again.", 0),
        C::Behind => ("正在追赶最新内容。", "Catching up with the newest.", 1_000),
        C::RateLimited => ("操作过于频繁，请稍候。", "Too many requests; please wait.", 1_000),
        C::Overloaded => ("当前人数较多，请稍候重试。", "The service is busy; please try again shortly.", 1_000),
        C::Unavailable => ("服务暂时不可用，正在重试。", "The service is not available for the moment.", 1_000),
        C::Internal => ("服务出现故障，已记录，请稍后再试。", "Something went wrong here; it has been recorded.", 2_000),
        C::Draining => ("服务正在切换，请稍候。", "The service is moving to another node.", 500),
    }
}

/// `google.rpc.Status`, in which gRPC carries details (<https://google.aip.dev/193>).
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

const TYPE_URL: &str = "type.googleapis.com/yitang.v1.Refusal";

impl From<Refusal> for tonic::Status {
    /// The gRPC code that fits, the English sentence as its message, and the refusal itself among the details.
    fn from(refusal: Refusal) -> Self {
        use RefusalCode as C;
        let code = match refusal.code() {
            C::Unspecified | C::Internal => tonic::Code::Internal,
            C::Malformed | C::TooLarge | C::Invalid | C::TextEmpty | C::TextTooLong | C::TextForbiddenCharacter | C::PasswordWeak => {
                tonic::Code::InvalidArgument
            }
            C::Unsupported => tonic::Code::Unimplemented,
            C::Unauthenticated | C::TicketInvalid | C::SessionEnded | C::PasswordWrong | C::LinkInvalid => tonic::Code::Unauthenticated,
            C::OriginRefused | C::AccountDisabled | C::Forbidden | C::Muted => tonic::Code::PermissionDenied,
            C::NotFound | C::TargetGone => tonic::Code::NotFound,
            C::Conflict => tonic::Code::Aborted,
            C::NotOpen | C::Paused | C::Closed | C::EpochChanged => tonic::Code::FailedPrecondition,
            C::PositionBeyondHead => tonic::Code::OutOfRange,
            C::SlowMode | C::RateLimited | C::Overloaded => tonic::Code::ResourceExhausted,
            C::Behind | C::Unavailable | C::Draining => tonic::Code::Unavailable,
        };
        let message = refusal.message_en.clone();
        let detail = prost_types::Any { type_url: TYPE_URL.to_owned(), value: refusal.encode_to_vec() };
        let status = RpcStatus { code: code as i32, message: message.clone(), details: vec![detail] };
        tonic::Status::with_details(code, message, status.encode_to_vec().into())
    }
}

impl Refusal {
    /// The refusal inside a gRPC status; one made from its code where there is none (the peer died, say).
    #[must_use]
    pub fn from_status(status: &tonic::Status) -> Self {
        RpcStatus::decode(status.details())
            .ok()
            .and_then(|status| status.details.into_iter().find(|any| any.type_url == TYPE_URL))
            .and_then(|any| Refusal::decode(any.value.as_slice()).ok())
            .unwrap_or_else(|| {
                Refusal::of(match status.code() {
                    tonic::Code::Unavailable | tonic::Code::Cancelled | tonic::Code::DeadlineExceeded | tonic::Code::Unknown => {
                        RefusalCode::Unavailable
                    }
                    tonic::Code::Unauthenticated => RefusalCode::Unauthenticated,
                    tonic::Code::PermissionDenied => RefusalCode::Forbidden,
                    tonic::Code::NotFound => RefusalCode::NotFound,
                    tonic::Code::InvalidArgument => RefusalCode::Malformed,
                    tonic::Code::Unimplemented => RefusalCode::Unsupported,
                    tonic::Code::ResourceExhausted => RefusalCode::Overloaded,
                    _ => RefusalCode::Internal,
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_way_through_grpc() {
        let refusal = Refusal::of(RefusalCode::SlowMode).retry_after_ms(7_000).field("client_id");
        let status = tonic::Status::from(refusal.clone());
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(Refusal::from_status(&status), refusal);
    }

    #[test]
    fn every_code_has_its_sentences() {
        for code in (0..=60).filter_map(|code| RefusalCode::try_from(code).ok()) {
            let refusal = Refusal::of(code);
            assert!(refusal.message_zh.ends_with('。') && refusal.message_en.ends_with('.'), "{code:?}");
        }
    }
}
