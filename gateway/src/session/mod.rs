//! One session: a client's socket from its first frame to its last. One task reads it; everything it may do is decided
//! in chat-core, and remembered here until the control log says otherwise.

mod accepted;
mod answers;
mod requests;
mod sign_in;
mod welcome;

use std::{io, rc::Rc, time::Duration};

use proto::{CloseCode, Subprotocol};
use tokio::{task::spawn_local, time::Instant};

pub use self::accepted::Accepted;
use self::requests::RequestHandler;
use crate::{
    registry::{Core, Registration, SocketCount},
    socket::{Ended, Frame, Inbound, Ready, Received, Socket, Wire, WireOptions},
};

/// A session's task at most: thirteen thousand of them wait on one core.
const TASK_BYTES: usize = 1_024;

/// Starts a session on its core. With `refused` it is only closed with that code.
///
/// # Errors
/// When the connection is gone already.
pub fn start(core: &Rc<Core>, accepted: Accepted, count: SocketCount, refused: Option<CloseCode>) -> io::Result<()> {
    let options = &core.shared.options;
    let Accepted { stream, already_read, subprotocol, origin, peer, since } = accepted;
    let wire = Wire::new(stream, WireOptions { unsent_bytes: options.unsent_bytes, dead_after_ms: options.dead_after_ms })?;
    let registration = Registration::new(core, Socket::new(wire, options.outbox_bytes), subprotocol, count);
    let deadline = Instant::from_std(since + Duration::from_millis(options.sign_in_ms));
    let task = async move {
        let ended = match refused {
            Some(code) => Ended::Closed(code),
            None => serve(&registration, already_read, origin.unwrap_or_default(), deadline).await,
        };
        let (core, session) = (registration.core().clone(), registration.session().clone());
        // In nothing any more, whatever the goodbye takes.
        drop(registration);
        let close = match ended {
            Ended::Closed(code) => {
                tracing::debug!(%peer, person = session.person(), code = code.code(), reason = code.reason(), "a socket is closed");
                metrics::counter!("yitang_gateway_sockets_closed_total", "code" => code.code().to_string()).increment(1);
                Frame::close(code)
            }
            Ended::ByClient(answer) => answer,
            Ended::Broken => return,
        };
        // In a box: no socket that lives needs the room for it.
        Box::pin(session.socket.finish(close, &core.scratch)).await;
    };
    debug_assert!(size_of_val(&task) <= TASK_BYTES, "a session's task takes {} bytes", size_of_val(&task));
    spawn_local(task);
    Ok(())
}

async fn serve(registration: &Registration, already_read: Box<[u8]>, origin: String, deadline: Instant) -> Ended {
    let (core, session) = (registration.core(), registration.session());
    let mut inbound = Inbound::default();
    let mut received = Vec::new();
    inbound.push(&already_read, &mut received);
    drop(already_read);
    // In a box: this is long, and over once the client has signed in.
    let signed_in = Box::pin(sign_in::run(registration, &mut inbound, &mut received, &origin, deadline)).await;
    let resume = match signed_in {
        Ok(resume) => resume,
        Err(ended) => return ended,
    };
    let mut requests = RequestHandler::new(core.clone(), session.clone());
    for position in resume {
        requests.resume(position);
    }
    loop {
        for message in received.drain(..) {
            match message {
                Received::Text(bytes) if session.subprotocol == Subprotocol::Json => requests.handle_frame(&bytes),
                Received::Binary(bytes) if session.subprotocol == Subprotocol::Proto => requests.handle_frame(&bytes),
                Received::Text(_) | Received::Binary(_) => return Ended::Closed(CloseCode::Malformed),
                Received::Answer(frame) => session.socket.send_pong(frame),
                Received::Wrong(code) => return Ended::Closed(code),
                Received::Close(frame) => return Ended::ByClient(frame),
            }
        }
        // An idle socket holds no buffers.
        if received.capacity() > 0 {
            received = Vec::new();
        }
        let ready = tokio::select! {
            biased;
            ready = session.socket.ready() => ready,
            outcome = requests.next_outcome(), if requests.is_waiting() => {
                requests.handle_outcome(outcome);
                continue;
            }
        };
        match ready {
            Ok(Ready::Woken) => {
                if let Some(code) = session.socket.closing() {
                    return Ended::Closed(code);
                }
                requests.handle_wake();
            }
            Ok(Ready::Readable) => {
                let mut scratch = core.scratch.borrow_mut();
                if !session.socket.read(&mut inbound, &mut scratch, &mut received) {
                    return Ended::Broken;
                }
                requests.handle_control_frames(inbound.take_controls());
            }
            Err(_) => return Ended::Broken,
        }
    }
}
