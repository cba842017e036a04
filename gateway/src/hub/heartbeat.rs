//! Heartbeats, and rights that end by time: each socket is checked twice in the time of a heartbeat, and what was sent between
//! two checks is as good as one.

use std::rc::Rc;

use proto::v1::{Position, ServerFrame, Tops, server_frame};
use tokio::{
    task::yield_now,
    time::{MissedTickBehavior, interval},
};

use crate::{
    registry::{Checks, Core, Session},
    socket::Frame,
};

/// Sockets checked before the others have their turn.
const AT_ONCE: usize = 128;

/// Checks whoever is due, at every tick of the core's wheel.
pub async fn run(core: Rc<Core>) {
    let mut ticks = interval(Core::TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now_ms = core.shared.clock.now_ms();
        let due = core.wheel.borrow_mut().advance();
        for (number, (socket, checks)) in due.into_iter().enumerate() {
            if let Some(session) = core.find(socket) {
                check(&core, &session, checks, now_ms);
            }
            if number % AT_ONCE == AT_ONCE - 1 {
                yield_now().await;
            }
        }
    }
}

fn check(core: &Core, session: &Session, checks: Checks, now_ms: i64) {
    let until_ms = session.ask_for_expired(now_ms);
    if checks == Checks::Once {
        return;
    }
    if !session.socket.take_active() && session.person() != 0 {
        session.socket.send(&encode_tops(core, session, now_ms));
    }
    let mut wheel = core.wheel.borrow_mut();
    let reach = wheel.reach();
    wheel.schedule(reach, session.id, Checks::Always);
    drop(wheel);
    if let Some(until_ms) = until_ms {
        core.schedule_check_at(session.id, until_ms);
    }
}

/// Where the conversations stand that a socket follows.
fn encode_tops(core: &Core, session: &Session, now_ms: i64) -> Frame {
    let rooms = core.rooms.borrow();
    let subscriptions = session.subscriptions.borrow();
    let tops = subscriptions
        .iter()
        .filter(|(_, subscription)| subscription.joined)
        .filter_map(|(room, _)| rooms.get(room).map(|members| (room, members.top)))
        .filter(|(_, top)| top.seq > 0)
        .map(|(room, top)| proto::v1::Top {
            position: Some(Position { conversation: room.to_string(), epoch: top.epoch, seq: top.seq }),
            mseq: top.mseq,
        })
        .collect();
    let frame = server_frame::Frame::Tops(Tops { tops, time_ms: now_ms });
    Frame::encode(session.subprotocol, &ServerFrame { re: 0, frame: Some(frame) })
}
