//! The client side of RFC 6455 as little as a generator needs: frames in, small masked frames out.

/// A frame found in a buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// 1 text, 2 binary, 8 close, 9 ping, 10 pong. Servers send no fragments to us.
    pub opcode: u8,
    /// Its payload.
    pub payload: &'a [u8],
    /// Header and payload, bytes.
    pub length: usize,
}

/// What stands at the front of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// Not all of it is here yet.
    More,
    /// Not a frame that a server may send.
    Broken,
}

/// Looks at the front of `bytes`.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let [first, second, ..] = *bytes else { return Parsed::More };
    // FIN must be set, no reserved bit, no mask.
    if first & 0xF0 != 0x80 || second & 0x80 != 0 {
        return Parsed::Broken;
    }
    let (start, length): (usize, usize) = match second {
        126 if bytes.len() >= 4 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
        127 if bytes.len() >= 10 => {
            let length = u64::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8], bytes[9]]);
            (10, usize::try_from(length).unwrap_or(usize::MAX))
        }
        126 | 127 => return Parsed::More,
        length => (2, usize::from(length)),
    };
    let Some(end) = start.checked_add(length).filter(|end| *end <= 1 << 20) else { return Parsed::Broken };
    match bytes.get(start..end) {
        Some(payload) => Parsed::Frame(Frame { opcode: first & 0x0F, payload, length: end }),
        None => Parsed::More,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
                    assert_eq!(parse(&bytes[..cut]), Parsed::More, "{length} cut at {cut}");
                }
            }
            assert_eq!(parse(&bytes), Parsed::Frame(Frame { opcode: 2, payload: &payload, length: bytes.len() }));
        }
    }

    #[test]
    fn what_a_server_may_not_send_is_broken() {
        assert_eq!(parse(&[0x02, 0x00]), Parsed::Broken, "not final");
        assert_eq!(parse(&[0xC2, 0x00]), Parsed::Broken, "a reserved bit");
        assert_eq!(parse(&[0x82, 0x80, 0, 0, 0, 0]), Parsed::Broken, "masked");
        assert_eq!(parse(&[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]), Parsed::Broken, "4 GiB");
    }
}
