//! What becomes of chat-core's answers, and of what a session was woken for by the control log and its rooms.

use std::time::Duration;

use futures::FutureExt as _;
use proto::{
    CloseCode,
    v1::{Position, Refusal, RefusalCode, server_frame},
};
use tokio::time::sleep;
use uuid::Uuid;

use super::requests::{Outcome, RequestHandler};
use crate::{fanout::Join, upstream::Watched};

/// Newest events that come with a RESET nobody asked for.
const RELOAD_TAIL: u32 = 50;
/// When to ask again for a room that too many are about to join, ms.
const FULL_MS: u32 = 1_000;
/// How soon chat-core is asked again what it could not answer.
const AGAIN: Duration = Duration::from_millis(500);

impl RequestHandler {
    /// Joins a room again whose log was made anew: the client gets RESET, with what is the newest now.
    fn reload(&mut self, position: Position) {
        let Some(room) = Uuid::try_parse(&position.conversation).ok().filter(|room| self.session.subscriptions.borrow().contains_key(room))
        else {
            return;
        };
        let watch = self.watch(room);
        self.calls.push(async move { Outcome::Reloaded { room, after: position, result: watch.await } }.boxed_local());
    }

    fn handle_reloaded(&mut self, room: Uuid, after: Position, result: Result<Watched, Refusal>) {
        let why = match result {
            Ok(watched) if watched.verdict.refusal.is_none() => return self.handle_watched(0, room, Some(after), RELOAD_TAIL, Ok(watched)),
            Ok(Watched { verdict, .. }) => verdict.refusal,
            // It says when to ask again.
            Err(refusal) => Some(refusal),
        };
        // Not to be followed any more, or not now: the client may subscribe again.
        self.end_subscription(room, 0, why);
    }

    /// Does what the session was woken for: logs made anew, rights to ask for again, the end of the gateway.
    pub fn handle_wake(&mut self) {
        self.session.take_reload().into_iter().for_each(|position| self.reload(position));
        for room in self.session.take_again() {
            match self.session.subscriptions.borrow_mut().get_mut(&room) {
                // One answer at a time: what has changed meanwhile is asked for when it is there.
                Some(subscription) if subscription.asking => {
                    subscription.stale = true;
                    continue;
                }
                Some(subscription) => (subscription.stale, subscription.asking) = (false, true),
                None => continue,
            }
            let watch = self.watch(room);
            self.calls.push(async move { Outcome::Again { room, result: watch.await } }.boxed_local());
        }
        self.close_if_drained();
    }

    fn close_if_drained(&self) {
        if self.session.is_draining() && !self.posting {
            self.session.send(0, server_frame::Frame::Retry(self.core.shared.options.to_retry()));
            self.session.socket.close(CloseCode::Draining);
        }
    }

    /// Handles what came of a call.
    pub fn handle_outcome(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Watched { re, room, after, tail, result }) => self.handle_watched(re, room, after, tail, result),
            Some(Outcome::Again { room, result }) => self.handle_asked_again(room, result),
            Some(Outcome::Reloaded { room, after, result }) => self.handle_reloaded(room, after, result),
            Some(Outcome::Posted { re, result }) => {
                self.posting = false;
                match result {
                    Ok(receipt) => self.session.send(re, server_frame::Frame::Receipt(receipt)),
                    Err(refusal) => self.session.refuse(re, refusal),
                }
                self.send_next_post();
                self.close_if_drained();
            }
            Some(Outcome::Read { re, result }) => match result {
                Ok(frame) => self.session.send(re, frame),
                Err(refusal) => self.session.refuse(re, refusal),
            },
            None => {}
        }
    }

    fn handle_asked_again(&self, room: Uuid, result: Result<Watched, Refusal>) {
        let stale = self.session.subscriptions.borrow_mut().get_mut(&room).is_some_and(|subscription| {
            subscription.asking = false;
            subscription.stale
        });
        match result {
            Ok(watched) if self.apply_verdict(room, &watched) => {
                if stale {
                    self.session.ask_again(Some(room));
                }
            }
            // Not known, or by one that is behind: asked until it is.
            Ok(_) | Err(_) => {
                let session = self.session.clone();
                tokio::task::spawn_local(async move {
                    sleep(AGAIN).await;
                    session.ask_again(Some(room));
                });
            }
        }
    }

    /// Applies what chat-core says now: the subscription ends, or the right to post is sent where it changed. `false`: it was
    /// judged before what is known here, and is ignored.
    fn apply_verdict(&self, room: Uuid, Watched { verdict, control }: &Watched) -> bool {
        let (core, session) = (&self.core, &self.session);
        let heard = core.shared.chat_cores.control().position();
        let known = session.subscriptions.borrow().get(&room).map(|subscription| subscription.is_newer_than(*control, heard));
        match known {
            Some(false) => {}
            Some(true) => return false,
            // Unsubscribed meanwhile.
            None => return true,
        }
        if let Some(refusal) = &verdict.refusal {
            if !self.close_if_link_ended(refusal) {
                self.end_subscription(room, 0, Some(refusal.clone()));
            }
            return true;
        }
        let changed = session.subscriptions.borrow_mut().get_mut(&room).map(|subscription| subscription.apply(verdict, *control));
        let Some(changed) = changed else { return true };
        if verdict.valid_until_ms != 0 {
            core.schedule_check_at(session.id, verdict.valid_until_ms);
        }
        if changed {
            session.send_post_state(room);
        }
        true
    }

    /// Whether this refusal says that a screen's link is good no more: the socket is closed then, and is not to come back.
    fn close_if_link_ended(&self, refusal: &Refusal) -> bool {
        let ended = self.session.is_screen() && refusal.code() == RefusalCode::SessionEnded;
        if ended {
            self.session.socket.close(CloseCode::SessionEnded);
        }
        ended
    }

    fn handle_watched(&mut self, re: u32, room: Uuid, after: Option<Position>, tail: u32, result: Result<Watched, Refusal>) {
        let joined = self.session.subscriptions.borrow().get(&room).map(|subscription| subscription.joined);
        // Unsubscribed while it was asked.
        let Some(joined) = joined else { return };
        let Watched { verdict, control } = match result {
            Ok(watched) => watched,
            Err(refusal) => {
                self.drop_unjoined(room);
                return self.session.refuse(re, refusal);
            }
        };
        if let Some(refusal) = verdict.refusal {
            if self.close_if_link_ended(&refusal) {
                return;
            }
            if joined {
                self.end_subscription(room, 0, Some(refusal.clone()));
            } else {
                self.drop_unjoined(room);
            }
            return self.session.refuse(re, refusal);
        }
        let path = self.session.with_identity(|identity| identity.path.clone()).unwrap_or_default();
        let join = Join {
            socket: self.session.id,
            dialect: self.session.dialect.get(),
            person: self.session.person(),
            path,
            re,
            after,
            tail,
            verdict: Box::new(verdict),
            control,
            again: joined,
            pages: false,
        };
        if !self.core.shared.fanout.join(room, join) {
            let refusal = Refusal::of(RefusalCode::Overloaded).retry_after_ms(FULL_MS);
            if re == 0 && !joined {
                // No frame asked for it that could be answered: the client is sent which conversation this is about.
                return self.end_subscription(room, 0, Some(refusal));
            }
            self.drop_unjoined(room);
            self.session.refuse(re, refusal);
        }
    }
}
