//! One follower of the backbone for the whole gateway, and the comparing of heads that makes up for what it loses.

use std::{sync::Arc, time::Duration};

use backbone::{Delivery, PartitionSet};
use prost::Message as _;
use proto::{
    internal::v1::{HeadsRequest, Hint, PersonHint, hint, person_hint::What},
    v1::{Changes, ReadMoved, server_frame},
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    messages::{CoreMessage, RoomMessage},
    rooms::Rooms,
};
use crate::socket::FramePair;

/// Follows the partitions that rooms and people here are in.
pub(super) async fn run(rooms: Arc<Rooms>) {
    let mut follower = rooms.backbone.follow();
    let mut following = PartitionSet::EMPTY;
    loop {
        tokio::select! {
            () = rooms.stop.cancelled() => return,
            () = rooms.wanted_changed.notified() => {
                let wanted = rooms.wanted();
                // Confirmed anew before it is relied on again.
                let gone = following.difference(&wanted);
                rooms.confirmed.send_modify(|confirmed| *confirmed = confirmed.difference(&gone));
                following = wanted;
                follower.want(wanted);
            }
            delivery = follower.next() => match delivery {
                Some(Delivery::Message { payload, .. }) => handle_hint(&rooms, &payload).await,
                Some(Delivery::Confirmed { partitions }) => {
                    rooms.confirmed.send_modify(|confirmed| *confirmed = confirmed.union(&partitions.intersection(&following)));
                    rooms.compare_now.notify_one();
                }
                Some(Delivery::Gap { partitions }) => {
                    metrics::counter!("yitang_gateway_backbone_gaps_total").increment(1);
                    rooms.confirmed.send_modify(|confirmed| *confirmed = confirmed.difference(&partitions));
                }
                None => return tracing::error!("the backbone has ended"),
            }
        }
    }
}

fn catch_up(rooms: &Rooms, partitions: &PartitionSet) {
    for handle in &rooms.open {
        if partitions.contains(handle.partition) {
            handle.send_hint(RoomMessage::CatchUp);
        }
    }
}

async fn handle_hint(rooms: &Rooms, payload: &[u8]) {
    let room = |id: &str| Uuid::try_parse(id).ok().and_then(|id| rooms.find(id));
    match Hint::decode(payload) {
        Ok(Hint { hint: Some(hint::Hint::Announcement(announcement)) }) => {
            if let Some(handle) = announcement.head.as_ref().and_then(|head| room(&head.conversation)) {
                handle.send_hint(RoomMessage::Announce(Box::new(announcement)));
            }
        }
        Ok(Hint { hint: Some(hint::Hint::Typing(typing)) }) => {
            if let Some(handle) = room(&typing.conversation) {
                handle.send_hint(RoomMessage::Typing { person: typing.person });
            }
        }
        Ok(Hint { hint: Some(hint::Hint::Person(hint)) }) => send_to_person(rooms, hint).await,
        Ok(Hint { hint: None }) => {}
        Err(error) => tracing::warn!(%error, "a hint cannot be understood"),
    }
}

async fn send_to_person(rooms: &Rooms, hint: PersonHint) {
    let frame = match hint.what {
        Some(What::Read(mark)) => server_frame::Frame::ReadMoved(ReadMoved { conversation: mark.conversation, mseq: mark.mseq }),
        Some(What::Change(change)) => server_frame::Frame::Changes(Changes { changed: vec![change], ..Changes::default() }),
        _ => return,
    };
    let frames = FramePair::encode(frame);
    for core in &rooms.cores {
        let _ = core.send(CoreMessage::Person { person: hint.person, frames: frames.clone() }).await;
    }
}

/// How many times heads are compared after a subscription was confirmed: an answer may have been made a moment before.
const AFTER_CONFIRMED: u32 = 2;

/// Comparisons in which every room is asked about by name, once: a commit that took effect later than any watermark reaches back
/// (the disk or a standby was away for long) moves no head that is asked for by its time.
const ROUND: usize = 20;
/// Rooms asked about by name in one comparison, at most.
const NAMES: usize = 1_000;

/// Compares heads: every few seconds as a repair, and quickly for partitions that the backbone does not serve now or did
/// not serve a moment ago.
pub(super) async fn compare_heads(rooms: Arc<Rooms>) {
    let (poll, repair) = (Duration::from_millis(rooms.options.poll_ms.max(10)), Duration::from_millis(rooms.options.repair_ms.max(10)));
    let mut since_ms = 0;
    let mut compared = tokio::time::Instant::now();
    let mut doubts = 0;
    let mut turn = Uuid::nil();
    loop {
        tokio::select! {
            () = rooms.stop.cancelled() => return,
            () = rooms.compare_now.notified() => doubts = AFTER_CONFIRMED,
            () = sleep(poll.min(repair)) => {}
        }
        let confirmed = *rooms.confirmed.borrow();
        let wanted: PartitionSet = rooms.open.iter().map(|handle| handle.partition).collect();
        let doubted = if rooms.backbone.healthy() { wanted.difference(&confirmed) } else { wanted };
        metrics::gauge!("yitang_gateway_partitions_polled").set(doubted.len() as f64);
        // The very first comparison only says where to begin: rooms that are open by then read on from the store themselves.
        let first = since_ms == 0;
        let idle = wanted.is_empty() || doubts == 0 && doubted.is_empty() && compared.elapsed() < repair;
        if idle && !first {
            continue;
        }
        let partitions = wanted.iter().map(u32::from).collect();
        let named = next_names(rooms.open.iter().map(|handle| *handle.key()).collect(), turn);
        let conversations = named.iter().map(Uuid::to_string).collect();
        match rooms.chat_cores.heads(HeadsRequest { since_ms, partitions, conversations }).await {
            Ok(answer) => {
                turn = named.last().copied().unwrap_or_default();
                compared = tokio::time::Instant::now();
                doubts = doubts.saturating_sub(1);
                since_ms = answer.as_of_ms;
                if first {
                    catch_up(&rooms, &wanted);
                }
                for head in answer.heads {
                    let room = Uuid::try_parse(&head.conversation).ok().and_then(|id| rooms.find(id));
                    if let Some(handle) = room {
                        handle.send_hint(RoomMessage::Head(head));
                    }
                }
            }
            Err(refusal) => tracing::debug!(code = refusal.code().as_str_name(), "heads are compared later"),
        }
    }
}

/// The rooms whose turn it is, in a circle by their ids; the last is where to go on from.
fn next_names(mut rooms: Vec<Uuid>, last: Uuid) -> Vec<Uuid> {
    let count = rooms.len().div_ceil(ROUND).min(NAMES);
    rooms.sort_unstable();
    let from = rooms.partition_point(|room| *room <= last);
    rooms[from..].iter().chain(&rooms[..from]).take(count).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_has_its_turn_in_a_round() {
        for count in [0, 1, 19, 20, 21, 3_000] {
            let rooms: Vec<Uuid> = (1..=count).map(Uuid::from_u128).collect();
            let (mut last, mut named) = (Uuid::nil(), Vec::new());
            for _ in 0..ROUND {
                let next = next_names(rooms.clone(), last);
                assert!(next.len() <= NAMES);
                last = next.last().copied().unwrap_or_default();
                named.extend(next);
            }
            named.sort_unstable();
            named.dedup();
            assert_eq!(named, rooms);
        }
    }
}
