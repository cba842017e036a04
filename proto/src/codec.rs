//! The socket's two subprotocols, and bounds at decode.

use bytes::Bytes;
use prost::Message as _;

use crate::{
    limits,
    v1::{ClientFrame, Post, Refusal, RefusalCode, ServerFrame, client_frame, sign_in::Credential},
};

/// How frames are written on a socket, agreed in the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// `yitang.v1.proto`: binary messages.
    Proto,
    /// `yitang.v1.json`: text messages, canonical protobuf JSON. Unknown fields are refused.
    Json,
}

impl Subprotocol {
    /// As named in `Sec-WebSocket-Protocol`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proto => "yitang.v1.proto",
            Self::Json => "yitang.v1.json",
        }
    }

    /// The first of the offered names (comma-separated, as in the header) that we speak.
    #[must_use]
    pub fn choose(offered: &str) -> Option<Self> {
        offered.split(',').map(str::trim).find_map(|name| [Self::Proto, Self::Json].into_iter().find(|known| known.name() == name))
    }

    /// Decodes what a client sent and holds it to the contract's bounds.
    ///
    /// # Errors
    /// `MALFORMED` (not decodable; JSON: also an unknown field), `TOO_LARGE`, `TEXT_…`.
    pub fn decode(self, message: &[u8]) -> Result<ClientFrame, Refusal> {
        if message.len() > limits::FRAME_IN_BYTES {
            return Err(Refusal::of(RefusalCode::TooLarge));
        }
        let frame = match self {
            Self::Proto => ClientFrame::decode(message).map_err(|_| Refusal::of(RefusalCode::Malformed))?,
            Self::Json => serde_json::from_slice(message).map_err(|error| {
                let error = error.to_string();
                let said: String = error.chars().take(160).collect();
                Refusal::of(RefusalCode::Malformed)
                    .words(format!("无法识别这条 JSON：{said}"), format!("The JSON cannot be understood: {said}"))
            })?,
        };
        Ok(frame)
    }

    /// Encodes one frame for clients of this subprotocol (the WebSocket message, not yet its header).
    #[must_use]
    pub fn encode(self, frame: &ServerFrame) -> Bytes {
        match self {
            Self::Proto => frame.encode_to_vec().into(),
            Self::Json => serde_json::to_vec(frame).unwrap_or_default().into(),
        }
    }

    /// Encodes one frame as a client does; for clients written in Rust.
    #[must_use]
    pub fn encode_client(self, frame: &ClientFrame) -> Bytes {
        match self {
            Self::Proto => frame.encode_to_vec().into(),
            Self::Json => serde_json::to_vec(frame).unwrap_or_default().into(),
        }
    }

    /// Decodes what a server sent; for clients written in Rust.
    ///
    /// # Errors
    /// A sentence saying what is wrong with it.
    pub fn decode_server(self, message: &[u8]) -> Result<ServerFrame, String> {
        match self {
            Self::Proto => ServerFrame::decode(message).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(message).map_err(|error| error.to_string()),
        }
    }
}

/// Holds a text to the contract: not empty, at most [`limits::TEXT_BYTES`], no control character but newline and tab.
/// (PostgreSQL refuses U+0000 and SQLite takes it: both must answer alike, so it is refused here.)
///
/// # Errors
/// `TEXT_EMPTY`, `TEXT_TOO_LONG`, `TEXT_FORBIDDEN_CHARACTER`.
pub fn check_text(text: &str) -> Result<(), Refusal> {
    if text.len() > limits::TEXT_BYTES {
        return Err(Refusal::of(RefusalCode::TextTooLong).field("text"));
    }
    if text.chars().any(is_forbidden) {
        return Err(Refusal::of(RefusalCode::TextForbiddenCharacter).field("text"));
    }
    if text.chars().all(|c| c.is_whitespace() || invisible(c)) {
        return Err(Refusal::of(RefusalCode::TextEmpty).field("text"));
    }
    Ok(())
}

/// Whether no text may hold it: control characters (but newline, carriage return and tab), and those that turn the direction of what
/// follows.
#[must_use]
pub fn is_forbidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{00AD}')
}

/// Holds the ids of a post to the contract. Its content is for `sequence::check_post`, which knows the kinds.
///
/// # Errors
/// `MALFORMED` with the field.
pub fn check_post_ids(post: &Post) -> Result<(), Refusal> {
    let malformed = |field| Refusal::of(RefusalCode::Malformed).field(field);
    uuid::Uuid::try_parse(&post.conversation).map_err(|_| malformed("conversation"))?;
    uuid::Uuid::try_parse(&post.client_id).map_err(|_| malformed("client_id"))?;
    Ok(())
}

/// Holds a decoded client frame to the contract's bounds, whatever subprotocol it came in; of a post, its ids.
///
/// # Errors
/// `MALFORMED` or `TOO_LARGE` with the field.
pub fn check_frame(frame: &ClientFrame) -> Result<(), Refusal> {
    let malformed = |field| Refusal::of(RefusalCode::Malformed).field(field);
    let conversation = |id: &str| uuid::Uuid::try_parse(id).map(|_| ()).map_err(|_| malformed("conversation"));
    if frame.id == 0 {
        return Err(malformed("id"));
    }
    use client_frame::Frame as F;
    match frame.frame.as_ref().ok_or_else(|| malformed("frame"))? {
        F::SignIn(sign_in) => {
            let (Some(Credential::Ticket(shown)) | Some(Credential::ResumeToken(shown))) = &sign_in.credential else {
                return Err(malformed("credential"));
            };
            if shown.len() > limits::CREDENTIAL_BYTES {
                return Err(Refusal::of(RefusalCode::TooLarge).field("credential"));
            }
            if sign_in.client.chars().count() > limits::CLIENT_CHARS {
                return Err(Refusal::of(RefusalCode::TooLarge).field("client"));
            }
            if sign_in.resume.len() > limits::SUBSCRIPTIONS {
                return Err(Refusal::of(RefusalCode::TooLarge).field("resume"));
            }
            sign_in.resume.iter().try_for_each(|position| conversation(&position.conversation))
        }
        F::Subscribe(subscribe) => {
            conversation(&subscribe.conversation)?;
            match &subscribe.after {
                Some(after) if after.conversation != subscribe.conversation => Err(malformed("after")),
                _ => Ok(()),
            }
        }
        F::Unsubscribe(unsubscribe) => conversation(&unsubscribe.conversation),
        F::Post(post) => check_post_ids(post),
        F::MarkRead(mark) => conversation(&mark.conversation),
        F::Page(page) => {
            conversation(&page.conversation)?;
            page.r#where.as_ref().map(|_| ()).ok_or_else(|| malformed("where"))
        }
        F::Typing(typing) => conversation(&typing.conversation),
        F::Refresh(_) | F::Ping(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Comment, Post, Subscribe, post};

    fn post(text: &str) -> ClientFrame {
        let id = uuid::Uuid::nil().to_string();
        ClientFrame {
            id: 1,
            frame: Some(client_frame::Frame::Post(Post {
                conversation: id.clone(),
                client_id: id,
                content: Some(post::Content::Comment(Comment { text: text.to_owned(), ..Comment::default() })),
            })),
        }
    }

    #[test]
    fn both_subprotocols_carry_the_same_frame() {
        for protocol in [Subprotocol::Proto, Subprotocol::Json] {
            let frame = post("议堂");
            let encoded = protocol.encode_client(&frame);
            assert_eq!(protocol.decode(&encoded), Ok(frame));
        }
    }

    #[test]
    fn json_with_an_unknown_field_is_refused_and_binary_ignores_it() {
        let refused = Subprotocol::Json.decode(br#"{"id":1,"ping":{},"colour":"red"}"#).expect_err("unknown field");
        assert_eq!(refused.code(), RefusalCode::Malformed);
        assert!(refused.message_en.contains("colour"), "{}", refused.message_en);
        // Field 99, varint 1, then `id` = 1.
        assert_eq!(Subprotocol::Proto.decode(&[0x98, 0x06, 0x01, 0x08, 0x01]).map(|frame| frame.id), Ok(1));
    }

    #[test]
    fn texts_are_held_to_their_bounds() {
        let table = [
            ("", Some(RefusalCode::TextEmpty)),
            (" \n\u{200b}", Some(RefusalCode::TextEmpty)),
            ("好", None),
            ("a\tb\nc", None),
            ("a\0b", Some(RefusalCode::TextForbiddenCharacter)),
            ("a\u{202e}b", Some(RefusalCode::TextForbiddenCharacter)),
            (&"好".repeat(2730), None),
            (&"好".repeat(2731), Some(RefusalCode::TextTooLong)),
        ];
        for (text, expected) in table {
            assert_eq!(check_text(text).err().map(|refusal| refusal.code()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_frame_without_an_id_or_with_a_foreign_position_is_refused() {
        let id = uuid::Uuid::nil().to_string();
        let mut frame =
            ClientFrame { id: 0, frame: Some(client_frame::Frame::Subscribe(Subscribe { conversation: id, after: None, tail: 0 })) };
        assert_eq!(check_frame(&frame).expect_err("no id").field, "id");
        frame.id = 1;
        assert_eq!(check_frame(&frame), Ok(()));
        if let Some(client_frame::Frame::Subscribe(subscribe)) = &mut frame.frame {
            subscribe.after = Some(crate::v1::Position { conversation: uuid::Uuid::max().to_string(), epoch: 1, seq: 1 });
        }
        assert_eq!(check_frame(&frame).expect_err("foreign position").field, "after");
    }

    #[test]
    fn the_first_offered_subprotocol_that_we_speak_is_chosen() {
        assert_eq!(Subprotocol::choose("x, yitang.v1.json, yitang.v1.proto"), Some(Subprotocol::Json));
        assert_eq!(Subprotocol::choose("graphql-ws"), None);
    }
}
