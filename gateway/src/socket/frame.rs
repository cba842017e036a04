//! Frames of the server (RFC 6455, section 5.2): never masked, never fragmented, a header and the payload in one piece
//! of memory that all sockets share.

use bytes::{BufMut as _, Bytes, BytesMut};
use proto::{
    CloseCode, Subprotocol,
    v1::{ServerFrame, server_frame},
};

/// A frame, whole, as it goes on the wire. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// UTF-8.
    Text = 1,
    /// Bytes.
    Binary = 2,
    /// The end.
    Close = 8,
    /// Is anybody there?
    Ping = 9,
    /// Yes.
    Pong = 10,
}

impl Frame {
    /// A frame with its header.
    #[must_use]
    pub fn new(opcode: Opcode, payload: &[u8]) -> Self {
        let mut frame = BytesMut::with_capacity(payload.len() + 10);
        frame.put_u8(0x80 | opcode as u8);
        match payload.len() {
            length @ 0..=125 => frame.put_u8(length as u8),
            length @ 126..=65_535 => {
                frame.put_u8(126);
                frame.put_u16(length as u16);
            }
            length => {
                frame.put_u8(127);
                frame.put_u64(length as u64);
            }
        }
        frame.extend_from_slice(payload);
        Self(frame.freeze())
    }

    /// A message of the contract.
    #[must_use]
    pub fn encode(subprotocol: Subprotocol, message: &ServerFrame) -> Self {
        Self::from_encoded(subprotocol, &subprotocol.encode(message))
    }

    /// An encoded message of the contract.
    #[must_use]
    pub fn from_encoded(subprotocol: Subprotocol, encoded: &[u8]) -> Self {
        let opcode = match subprotocol {
            Subprotocol::Proto => Opcode::Binary,
            Subprotocol::Json => Opcode::Text,
        };
        Self::new(opcode, encoded)
    }

    /// A Close with code and reason.
    #[must_use]
    pub fn close(code: CloseCode) -> Self {
        let mut payload = code.code().to_be_bytes().to_vec();
        payload.extend_from_slice(code.reason().as_bytes());
        Self::new(Opcode::Close, &payload)
    }

    /// A frame that was made elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Several in a row, to be written at once and counted as one.
    #[must_use]
    pub fn concat(frames: &[Self]) -> Self {
        match frames {
            [frame] => frame.clone(),
            frames => {
                let mut all = BytesMut::with_capacity(frames.iter().map(Self::len).sum());
                frames.iter().for_each(|frame| all.extend_from_slice(&frame.0));
                Self(all.freeze())
            }
        }
    }

    /// As it goes on the wire.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Bytes on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: a frame has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One message sent unasked to many, encoded once for each subprotocol. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramePair {
    proto: Frame,
    json: Frame,
}

impl FramePair {
    /// Encodes a message that answers no frame.
    #[must_use]
    pub fn encode(frame: server_frame::Frame) -> Self {
        let message = ServerFrame { re: 0, frame: Some(frame) };
        Self { proto: Frame::encode(Subprotocol::Proto, &message), json: Frame::encode(Subprotocol::Json, &message) }
    }

    /// The frame for clients of this subprotocol.
    #[must_use]
    pub fn get(&self, subprotocol: Subprotocol) -> &Frame {
        match subprotocol {
            Subprotocol::Proto => &self.proto,
            Subprotocol::Json => &self.json,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

    use super::*;

    #[test]
    fn headers_are_what_rfc_6455_says() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 300_000] {
            let frame = Frame::new(Opcode::Binary, &vec![7; length]);
            let mut cursor = Cursor::new(frame.bytes());
            let (header, parsed) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            assert_eq!(parsed as usize, length);
            assert_eq!(frame.len() - cursor.position() as usize, length);
            assert!(header.is_final && header.mask.is_none() && !header.rsv1);
        }
    }

    #[test]
    fn a_close_fits_a_control_frame() {
        for code in [CloseCode::Protocol, CloseCode::Slow, CloseCode::CredentialRefused, CloseCode::SessionEnded] {
            assert!(Frame::close(code).len() <= 127, "{code:?}");
        }
    }
}
