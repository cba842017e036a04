//! The client side of RFC 6455 as little as a generator needs: frames in, small masked frames out.

/// A frame's header: where its payload begins and ends, counted from the header's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// Bytes of the header.
    pub start: usize,
    /// Header and payload, bytes.
    pub end: usize,
}

/// A server's frame is no longer than this, bytes; more is a breach.
const FRAME_MOST: usize = 1 << 20;

/// Looks at a header alone. `None`: more bytes are needed. `Some(None)`: not a frame that a server may send.
#[must_use]
pub fn head(bytes: &[u8]) -> Option<Option<Head>> {
    let [first, second, ..] = *bytes else { return None };
    // FIN must be set, no reserved bit, no mask.
    if first & 0xF0 != 0x80 || second & 0x80 != 0 {
        return Some(None);
    }
    let (start, length): (usize, usize) = match second {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..10)?.first_chunk()?)).unwrap_or(usize::MAX)),
        length => (2, usize::from(length)),
    };
    let end = start.checked_add(length).filter(|end| *end <= FRAME_MOST);
    Some(end.map(|end| Head { opcode: first & 0x0F, start, end }))
}

/// A client's frame. Its mask is zero, which RFC 6455 allows and which costs nothing to apply.
#[must_use]
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// The request that asks for the upgrade.
#[must_use]
pub fn upgrade(authority: &str, subprotocol: &str) -> Vec<u8> {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    )
    .into_bytes()
}

/// The request for a ticket; the upgrade follows on the same connection, as a browser's kept connection allows.
#[must_use]
pub fn ticket_request(authority: &str, token: &str) -> Vec<u8> {
    format!(
        "POST /api/v1/ticket HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    )
    .into_bytes()
}

/// An answer over HTTP.
#[derive(Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// 101, 200 …
    pub status: u16,
    /// Its body, by its Content-Length; none with 101.
    pub body: &'a [u8],
    /// Head and body, bytes.
    pub length: usize,
}

/// The answer at the front of `bytes`. `None`: more bytes are needed. An answer without a length has no body for us.
#[must_use]
pub fn response(bytes: &[u8]) -> Option<Response<'_>> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap_or_default();
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok()).unwrap_or(0);
    let length: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse().ok())
        .unwrap_or(0);
    let body = bytes.get(head..head.checked_add(length)?)?;
    Some(Response { status, body, length: head + length })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A whole frame at the front of `bytes`: its opcode, payload, and length with the header.
    pub fn whole(bytes: &[u8]) -> Option<Option<(u8, &[u8], usize)>> {
        match head(bytes)? {
            None => Some(None),
            Some(Head { opcode, start, end }) => Some(Some((opcode, bytes.get(start..end)?, end))),
        }
    }

    fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => bytes.push(length as u8),
            length => {
                bytes.push(126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        for length in [0, 1, 125, 126, 300, 60_000] {
            let payload = vec![7; length];
            let bytes = server_frame(2, &payload);
            for cut in [0, 1, 2, 3, bytes.len() - 1] {
                if cut < bytes.len() {
                    assert_eq!(whole(&bytes[..cut]), None, "{length} cut at {cut}");
                }
            }
            assert_eq!(whole(&bytes), Some(Some((2, payload.as_slice(), bytes.len()))));
        }
    }

    #[test]
    fn what_a_server_may_not_send_is_broken() {
        assert_eq!(whole(&[0x02, 0x00]), Some(None), "not final");
        assert_eq!(whole(&[0xC2, 0x00]), Some(None), "a reserved bit");
        assert_eq!(whole(&[0x82, 0x80, 0, 0, 0, 0]), Some(None), "masked");
        assert_eq!(whole(&[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]), Some(None), "4 GiB");
    }

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\n\r\nhelloHTTP";
        for cut in 0..bytes.len() - 4 {
            assert_eq!(response(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(response(bytes), Some(Response { status: 200, body: b"hello", length: bytes.len() - 4 }));
        let upgraded = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n\x82\x00";
        assert_eq!(response(upgraded).map(|answer| (answer.status, answer.length)), Some((101, upgraded.len() - 2)));
    }
}
