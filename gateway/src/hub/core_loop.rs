//! What one core does all day: takes sockets, writes to rooms, sends heartbeats, follows the control log.

use std::{
    rc::{Rc, Weak},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proto::CloseCode;
use tokio::{
    sync::mpsc,
    task::{LocalSet, spawn_local, yield_now},
};
use tokio_util::sync::CancellationToken;

use super::{command::Command, control, heartbeat, rooms};
use crate::{
    fanout::CoreMessage,
    fault::Fault,
    registry::{Core, Session, Shared, SocketCount},
    session,
};

/// Messages and commands handled before the next room is written to.
const AT_ONCE: usize = 64;

/// Where a core's work comes from.
pub struct Queues {
    /// From the hub.
    pub commands: mpsc::Receiver<Command>,
    /// From rooms.
    pub messages: mpsc::Receiver<CoreMessage>,
}

/// Starts a core on the thread that calls, which must be inside a `LocalSet`.
pub fn start_here(index: u32, shared: Arc<Shared>, queues: Queues, stop: CancellationToken) {
    spawn_local(serve(Core::new(index, shared), queues, stop));
}

/// Starts a core on a thread of its own.
///
/// # Errors
/// When the system refuses it.
pub fn start_thread(index: u32, shared: Arc<Shared>, queues: Queues, stop: CancellationToken) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Fault::System { doing: "making a core's runtime", cause })?;
    std::thread::Builder::new()
        .name(format!("core-{index}"))
        .spawn(move || LocalSet::new().block_on(&runtime, async { serve(Core::new(index, shared), queues, stop).await }))
        .map_err(|cause| Fault::System { doing: "starting a core", cause })?;
    Ok(())
}

async fn serve(core: Rc<Core>, queues: Queues, stop: CancellationToken) {
    tokio::select! {
        () = run(core.clone(), queues) => {}
        () = heartbeat::run(core.clone()) => {}
        () = control::follow(core) => {}
        () = stop.cancelled() => {}
    }
}

async fn run(core: Rc<Core>, queues: Queues) {
    let Queues { mut commands, mut messages } = queues;
    loop {
        if core.ready.borrow().is_empty() {
            tokio::select! {
                biased;
                message = messages.recv() => {
                    let Some(message) = message else { return };
                    rooms::handle_message(&core, message);
                }
                command = commands.recv() => {
                    let Some(command) = command else { return };
                    handle_command(&core, command);
                }
            }
        }
        for _ in 0..AT_ONCE {
            match messages.try_recv() {
                Ok(message) => rooms::handle_message(&core, message),
                Err(_) => break,
            }
        }
        for _ in 0..AT_ONCE {
            match commands.try_recv() {
                Ok(command) => handle_command(&core, command),
                Err(_) => break,
            }
        }
        let room = core.ready.borrow_mut().pop_front();
        if let Some(room) = room {
            rooms::write_some(&core, room);
        }
        // The sockets read, and the other rooms have their turn.
        yield_now().await;
    }
}

fn handle_command(core: &Rc<Core>, command: Command) {
    match command {
        Command::Accept(accepted) => accept(core, *accepted),
        Command::Drain { over_ms } => drain(core, over_ms),
    }
}

fn accept(core: &Rc<Core>, accepted: session::Accepted) {
    let options = &core.shared.options;
    let (count, sockets, unsigned) = SocketCount::add(core.shared.clone());
    let refused = if core.shared.draining.load(Ordering::Acquire) {
        Some(CloseCode::Draining)
    } else if sockets >= options.sockets_most || unsigned >= options.unsigned_most {
        Some(CloseCode::Overloaded)
    } else {
        None
    };
    if let Err(error) = session::start(core, accepted, count, refused) {
        tracing::debug!(%error, "a socket was gone before it began");
    }
}

fn drain(core: &Core, over_ms: u64) {
    let sessions: Vec<Weak<Session>> = core.sessions.borrow().iter().map(|(_, session)| Rc::downgrade(session)).collect();
    for session in sessions {
        let wait = Duration::from_millis(rand::random_range(0..=over_ms));
        spawn_local(async move {
            tokio::time::sleep(wait).await;
            if let Some(session) = session.upgrade() {
                session.drain();
            }
        });
    }
}
