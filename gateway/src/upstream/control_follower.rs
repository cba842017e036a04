//! Follows the control log from whichever chat-core serves.

use std::{sync::Arc, time::Duration};

use proto::{
    internal::v1::{ControlBatch, FollowControlRequest},
    v1::{Refusal, RefusalCode},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::{attempt::client, control::ControlFeed, nodes::Nodes, service::Upstream};

/// The longest silence of a chat-core before another one is asked; it sends something at least every second.
const SILENCE: Duration = Duration::from_millis(2_500);

/// Runs until cancelled.
pub(super) async fn run(nodes: Arc<Nodes>, feed: ControlFeed, back_most: u64, cancelled: CancellationToken) {
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = follow_until_dropped(&nodes, &feed, back_most) => {}
    }
}

async fn follow_until_dropped(nodes: &Nodes, feed: &ControlFeed, back_most: u64) {
    let mut pause_ms = 50_u64;
    loop {
        let Some((_, node)) = nodes.pick(rand::random(), 0) else { return };
        let before = feed.cursor();
        let why = match follow(feed, node.upstream.clone(), back_most).await {
            Ok(()) => "the stream ended".to_owned(),
            Err(why) => why,
        };
        metrics::counter!("yitang_gateway_control_reconnects_total").increment(1);
        tracing::warn!(node = node.upstream.name(), why, "the control log is not being followed; asking again");
        node.mark_down(&why);
        pause_ms = if feed.cursor() == before { (pause_ms * 2).min(1_000) } else { 50 };
        tokio::time::sleep(Duration::from_millis(pause_ms / 2 + rand::random_range(0..=pause_ms / 2))).await;
    }
}

async fn follow(feed: &ControlFeed, upstream: Upstream, back_most: u64) -> Result<(), String> {
    let (mut epoch, mut after) = feed.cursor();
    if epoch == 0 {
        // The first time: learn where the log stands, then read a stretch of it back, so that older tokens can be judged.
        let newest = next(&mut open(&upstream, 0, 0).await?).await?.ok_or("the stream ended at once")?;
        (epoch, after) = (newest.epoch, newest.position.saturating_sub(back_most));
        feed.begin(epoch, after);
    }
    let mut stream = match open(&upstream, epoch, after).await {
        Err(Unopened::OtherLog) => {
            let mut stream = open(&upstream, 0, 0).await?;
            let newest = next(&mut stream).await?.ok_or("the stream ended at once")?;
            tracing::error!(epoch, after, newest.epoch, newest.position, "the control log is not the one that was followed");
            feed.restart(newest);
            stream
        }
        opened => opened?,
    };
    while let Some(batch) = next(&mut stream).await? {
        feed.apply(batch);
        metrics::gauge!("yitang_gateway_control_position_events").set(feed.position() as f64);
    }
    Ok(())
}

/// Why the log could not be followed from a position.
enum Unopened {
    /// It was made anew, or ends before that position.
    OtherLog,
    Why(String),
}

impl From<Unopened> for String {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::OtherLog => "the position is of another log".to_owned(),
            Unopened::Why(why) => why,
        }
    }
}

async fn open(upstream: &Upstream, epoch: u32, after: u64) -> Result<Streaming<ControlBatch>, Unopened> {
    match timeout(SILENCE, client(upstream).follow_control(FollowControlRequest { after, epoch })).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => match Refusal::from_status(&status).code() {
            RefusalCode::EpochChanged | RefusalCode::PositionBeyondHead => Err(Unopened::OtherLog),
            _ => Err(Unopened::Why(format!("{:?}: {}", status.code(), status.message()))),
        },
        Err(_) => Err(Unopened::Why("no answer".to_owned())),
    }
}

async fn next(stream: &mut Streaming<ControlBatch>) -> Result<Option<ControlBatch>, String> {
    match timeout(SILENCE, stream.message()).await {
        Ok(Ok(batch)) => Ok(batch),
        Ok(Err(status)) => Err(format!("{:?}: {}", status.code(), status.message())),
        Err(_) => Err("silent".to_owned()),
    }
}
