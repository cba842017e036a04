//! The first frame: a ticket, or a resume token.

use proto::{
    CloseCode, codec,
    internal::v1::Identity,
    limits,
    v1::{ClientFrame, Position, Refusal, RefusalCode, SignIn, client_frame, server_frame, sign_in::Credential},
};
use tokio::time::{Instant, timeout_at};

use super::welcome::welcome;
use crate::{
    registry::{Core, Registration, Session},
    socket::{Dialect, Ended, Inbound, Ready, Received},
};

/// Pings and pongs before anybody has signed in, at most.
const CONTROLS: u32 = 64;

/// Waits for the first frame until `deadline` and signs in. What came behind it stays in `received`. Gives where the client
/// stands.
pub async fn run(
    registration: &Registration,
    inbound: &mut Inbound,
    received: &mut Vec<Received>,
    origin: &str,
    deadline: Instant,
) -> Result<Vec<Position>, Ended> {
    let (core, session) = (&**registration.core(), &**registration.session());
    let late = |_| Ended::Closed(CloseCode::SignInTimeout);
    let bytes = timeout_at(deadline, read_first(core, session, inbound, received)).await.map_err(late)??;
    let frame = match session.subprotocol.decode(&bytes).and_then(|frame| codec::check_frame(&frame).map(|()| frame)) {
        Ok(frame) => frame,
        Err(refusal) => {
            session.refuse(0, refusal);
            return Err(Ended::Closed(CloseCode::Malformed));
        }
    };
    let ClientFrame { id, frame: Some(client_frame::Frame::SignIn(asked)) } = frame else {
        session.refuse(frame.id, Refusal::of(RefusalCode::Unauthenticated));
        return Err(Ended::Closed(CloseCode::SignInExpected));
    };
    if asked.contract < limits::CONTRACT {
        session.refuse(id, outdated());
        return Err(Ended::Closed(CloseCode::Outdated));
    }
    if asked.resume.len() > limits::SUBSCRIPTIONS {
        session.refuse(id, Refusal::of(RefusalCode::TooLarge).field("resume"));
        return Err(Ended::Closed(CloseCode::Malformed));
    }
    session.dialect.set(Dialect::negotiate(session.subprotocol, &asked));
    let resume = asked.resume.clone();
    // Whether it takes long is up to chat-core: the client has done its part in time.
    let identity = match check_credential(core, asked, origin).await {
        Ok(identity) => identity,
        Err(refusal) => {
            let code = match refusal.code() {
                RefusalCode::SessionEnded => CloseCode::SessionEnded,
                RefusalCode::TicketInvalid => CloseCode::CredentialRefused,
                RefusalCode::Overloaded => CloseCode::Overloaded,
                RefusalCode::Malformed => CloseCode::Malformed,
                _ => CloseCode::Unavailable,
            };
            session.refuse(id, refusal);
            return Err(Ended::Closed(code));
        }
    };
    registration.sign_in(identity).map_err(Ended::Closed)?;
    session.send(id, server_frame::Frame::Welcome(welcome(core, session)));
    metrics::counter!("yitang_gateway_sign_ins_total").increment(1);
    Ok(resume)
}

/// A page of before shows these words and tries no more; what was written in it is kept on its device.
fn outdated() -> Refusal {
    Refusal::of(RefusalCode::Unsupported).words(
        "页面已更新，请刷新后继续；未发出的内容仍保存在本机。",
        "There is a new version: reload this page. What was not sent yet is kept on this device.",
    )
}

async fn check_credential(core: &Core, asked: SignIn, origin: &str) -> Result<Identity, Refusal> {
    let shared = &core.shared;
    match asked.credential {
        Some(Credential::Ticket(ticket)) => shared.chat_cores.redeem(&ticket, origin).await,
        Some(Credential::ResumeToken(token)) => shared.tokens.check(&token, shared.clock.now_ms()).await,
        None => Err(Refusal::of(RefusalCode::Malformed).field("credential")),
    }
}

async fn read_first(core: &Core, session: &Session, inbound: &mut Inbound, received: &mut Vec<Received>) -> Result<bytes::Bytes, Ended> {
    let mut controls = 0;
    loop {
        while !received.is_empty() {
            match received.remove(0) {
                Received::Text(bytes) if session.subprotocol == proto::Subprotocol::Json => return Ok(bytes),
                Received::Binary(bytes) if session.subprotocol == proto::Subprotocol::Proto => return Ok(bytes),
                Received::Text(_) | Received::Binary(_) => return Err(Ended::Closed(CloseCode::Malformed)),
                Received::Answer(frame) => session.socket.send_pong(frame),
                Received::Wrong(code) => return Err(Ended::Closed(code)),
                Received::Close(frame) => return Err(Ended::ByClient(frame)),
            }
        }
        match session.socket.ready().await {
            Ok(Ready::Woken) => {
                if let Some(code) = session.socket.closing() {
                    return Err(Ended::Closed(code));
                }
                if session.is_draining() {
                    return Err(Ended::Closed(CloseCode::Draining));
                }
            }
            Ok(Ready::Readable) => {
                let mut scratch = core.scratch.borrow_mut();
                if !session.socket.read(inbound, &mut scratch, received) {
                    return Err(Ended::Broken);
                }
                controls += inbound.take_controls();
                if controls > CONTROLS {
                    return Err(Ended::Closed(CloseCode::Flooding));
                }
            }
            Err(_) => return Err(Ended::Broken),
        }
    }
}
