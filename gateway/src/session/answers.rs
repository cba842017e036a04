//! What becomes of chat-core's answers, and of what the control log and the room have woken a session for.

use std::time::Duration;

use futures::FutureExt as _;
use proto::{
    CloseCode,
    v1::{Position, Refusal, RefusalCode, server_frame},
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    Subscription,
    desk::{Desk, Outcome},
};
use crate::{fanout::Join, upstream::Watched};

/// Newest events that come with a RESET nobody asked for.
const RELOAD_TAIL: u32 = 50;
/// A room that too many are about to come into is asked again after so long, ms.
const FULL_MS: u32 = 1_000;
/// What chat-core could not answer is asked again after so long.
const AGAIN: Duration = Duration::from_millis(500);

impl Desk {
    /// The log was made anew: in again, told RESET, with what is the newest now.
    fn reload(&mut self, position: Position) {
        let Some(room) = Uuid::try_parse(&position.conversation).ok().filter(|room| self.session.subscriptions.borrow().contains_key(room))
        else {
            return;
        };
        let watch = self.watch(room);
        self.calls.push(async move { Outcome::Reloaded { room, after: position, result: watch.await } }.boxed_local());
    }

    fn reloaded(&mut self, room: Uuid, after: Position, result: Result<Watched, Refusal>) {
        let why = match result {
            Ok(watched) if watched.verdict.refusal.is_none() => return self.watched(0, room, Some(after), RELOAD_TAIL, Ok(watched)),
            Ok(Watched { verdict, .. }) => verdict.refusal,
            // It says when to ask again.
            Err(refusal) => Some(refusal),
        };
        // Not to be followed any more, or not now: the client is told, and may subscribe again.
        self.session.end_subscription(&self.core, room, 0, why);
    }

    /// Somebody has woken the session: rights to ask for again, or the end of the gateway.
    pub fn woken(&mut self) {
        let reload = std::mem::take(&mut *self.session.reload.borrow_mut());
        reload.into_iter().for_each(|position| self.reload(position));
        let again = std::mem::take(&mut *self.session.again.borrow_mut());
        for room in again {
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
        self.end_if_drained();
    }

    fn end_if_drained(&self) {
        if self.session.draining.get() && !self.posting {
            self.session.tell(0, server_frame::Frame::Retry(self.core.shared.options.retry()));
            self.session.socket.close(CloseCode::Draining);
        }
    }

    /// An answer has come.
    pub fn settle(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Watched { re, room, after, tail, result }) => self.watched(re, room, after, tail, result),
            Some(Outcome::Again { room, result }) => self.answered_again(room, result),
            Some(Outcome::Reloaded { room, after, result }) => self.reloaded(room, after, result),
            Some(Outcome::Posted { re, result }) => {
                self.posting = false;
                match result {
                    Ok(receipt) => self.session.tell(re, server_frame::Frame::Receipt(receipt)),
                    Err(refusal) => self.session.refuse(re, refusal),
                }
                self.post_next();
                self.end_if_drained();
            }
            Some(Outcome::Read { re, result }) => match result {
                Ok(frame) => self.session.tell(re, frame),
                Err(refusal) => self.session.refuse(re, refusal),
            },
            None => {}
        }
    }

    fn answered_again(&self, room: Uuid, result: Result<Watched, Refusal>) {
        let stale = self.session.subscriptions.borrow_mut().get_mut(&room).is_some_and(|subscription| {
            subscription.asking = false;
            subscription.stale
        });
        match result {
            Ok(watched) if self.session.judged_again(&self.core, room, &watched) => {
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

    fn watched(&mut self, re: u32, room: Uuid, after: Option<Position>, tail: u32, result: Result<Watched, Refusal>) {
        let known = self.session.subscriptions.borrow().get(&room).cloned();
        // Unsubscribed while it was asked.
        let Some(Subscription { placed, .. }) = known else { return };
        let Watched { verdict, control } = match result {
            Ok(watched) => watched,
            Err(refusal) => {
                self.give_up(room);
                return self.session.refuse(re, refusal);
            }
        };
        if let Some(refusal) = verdict.refusal {
            if self.session.dark(&refusal) {
                return;
            }
            if placed {
                self.session.end_subscription(&self.core, room, 0, Some(refusal.clone()));
            } else {
                self.give_up(room);
            }
            return self.session.refuse(re, refusal);
        }
        let path = self.session.identity.borrow().as_ref().map(|identity| identity.path.clone()).unwrap_or_default();
        let join = Join {
            socket: self.session.id.get(),
            dialect: self.session.dialect.get(),
            person: self.session.person(),
            path,
            re,
            after,
            tail,
            verdict: Box::new(verdict),
            control,
            again: placed,
            pages: false,
        };
        if !self.core.shared.fanout.join(room, join) {
            let refusal = Refusal::of(RefusalCode::Overloaded).retry_after_ms(FULL_MS);
            if re == 0 && !placed {
                // It was not asked for by a frame that could be answered: the client is told of which conversation this is said.
                return self.session.end_subscription(&self.core, room, 0, Some(refusal));
            }
            self.give_up(room);
            self.session.refuse(re, refusal);
        }
    }
}
