//! Preparation of a run: the service's addresses, the sessions, and the conversations.

use std::collections::BTreeMap;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::v1::{
    Batch, ConsultationState, CreateGroupRequest, Event, FollowRequest, ListConsultationsRequest, OpenDirectRequest, Position, batch,
    consultation_service_client::ConsultationServiceClient, conversation_service_client::ConversationServiceClient,
};
use tonic::transport::Channel;

use crate::{
    client::{Person, Session, http},
    generator::orders::{Plan, Seat},
};

/// Calls under way at once while a run is prepared.
const AT_ONCE: usize = 16;

/// Gateways as generators take them: host and port, and whether TLS is spoken.
///
/// # Errors
/// When they are not all http or all https.
pub fn authorities(targets: &[String]) -> anyhow::Result<(Vec<String>, bool)> {
    let tls = targets.iter().filter(|target| target.starts_with("https://")).count();
    anyhow::ensure!(tls == 0 || tls == targets.len(), "either all targets are https or none");
    let scheme = if tls > 0 { "https://" } else { "http://" };
    let bare = targets.iter().map(|target| target.strip_prefix(scheme).map(|target| target.trim_end_matches('/').to_owned()));
    Ok((bare.collect::<Option<_>>().context("targets are http://ip:port or https://ip:port")?, tls > 0))
}

/// The mark of a run.
#[must_use]
pub fn run_name() -> String {
    format!("{:08x}", rand::random::<u32>())
}

/// The plan that the generators of a run share.
///
/// # Errors
/// When the targets are not addresses, or https without a certificate to trust.
pub fn plan(targets: &[String], ca: Option<&str>, rooms: Vec<String>, per_s: u32, deflate: bool) -> anyhow::Result<Plan> {
    let (targets, tls) = authorities(targets)?;
    anyhow::ensure!(!tls || ca.is_some(), "https needs --ca: the file of certificates to trust");
    let ca = if tls { ca.map(str::to_owned) } else { None };
    Ok(Plan { targets, ca, rooms, run: run_name(), per_s, deflate, reconnect: true, bucket_us: 100, ..Plan::default() })
}

/// Seats that watch a room; the gateways are their homes in turn.
#[must_use]
pub fn viewers(sessions: &[Session], room: u32, gateways: usize) -> Vec<Seat> {
    let seat = |(number, session): (usize, &Session)| Seat {
        token: session.token.clone(),
        target: (number % gateways.max(1)) as u16,
        room: Some(room),
        ..Seat::default()
    };
    sessions.iter().enumerate().map(seat).collect()
}

/// Seats that only post to a room, numbered from 0.
#[must_use]
pub fn posters(sessions: &[Session], room: u32, gateways: usize) -> Vec<Seat> {
    let seat = |(number, session): (usize, &Session)| Seat {
        token: session.token.clone(),
        target: (number % gateways.max(1)) as u16,
        posts: Some((number as u32, room)),
        group: u8::MAX,
        ..Seat::default()
    };
    sessions.iter().enumerate().map(seat).collect()
}

fn asked<T>(message: T, session: &Session) -> anyhow::Result<tonic::Request<T>> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", session.token).parse()?);
    Ok(request)
}

async fn channel(target: &str) -> anyhow::Result<Channel> {
    Channel::from_shared(target.to_owned())?.connect().await.context("reaching the gateway by gRPC")
}

/// The first open consultation in which this person may post.
///
/// # Errors
/// When there is none, or the gateway cannot be reached.
pub async fn first_open(targets: &[String], session: &Session) -> anyhow::Result<String> {
    let mut client = ConsultationServiceClient::new(channel(&targets[0]).await?);
    let request =
        ListConsultationsRequest { states: vec![ConsultationState::Open.into()], limit: 50, ..ListConsultationsRequest::default() };
    let found = client.list_consultations(asked(request, session)?).await?.into_inner().consultations;
    let open = found.into_iter().find(|consultation| consultation.may_post);
    open.map(|consultation| consultation.id).context("no open consultation to post in")
}

/// Who these sessions are.
///
/// # Errors
/// When a session is not good.
pub async fn people(targets: &[String], sessions: &[Session]) -> anyhow::Result<Vec<Person>> {
    let asks = sessions.iter().enumerate().map(|(number, session)| http::who(&targets[number % targets.len()], &session.token));
    stream::iter(asks).buffered(AT_ONCE).try_collect().await
}

/// Makes groups of `size` people each, in order, each by its first; returns their conversations.
///
/// # Errors
/// When one cannot be made.
pub async fn groups(target: &str, sessions: &[Session], people: &[Person], size: usize) -> anyhow::Result<Vec<String>> {
    let client = ConversationServiceClient::new(channel(target).await?);
    let run = run_name();
    let made = people.chunks(size).zip(sessions.chunks(size)).enumerate().map(|(number, (people, sessions))| {
        let (mut client, run) = (client.clone(), run.clone());
        async move {
            let request = CreateGroupRequest {
                client_id: format!("loadtest-{run}-{number}"),
                title: format!("压力测试 {run} {number}"),
                people: people.iter().map(|person| person.person).collect(),
            };
            let made = client.create_group(asked(request, &sessions[0])?).await.context("making a group")?;
            anyhow::Ok(made.into_inner().id)
        }
    });
    stream::iter(made).buffered(AT_ONCE).try_collect().await
}

/// Direct conversations of the first with the second, the third with the fourth, and so on.
///
/// # Errors
/// When one cannot be opened.
pub async fn pairs(target: &str, sessions: &[Session], people: &[Person]) -> anyhow::Result<Vec<String>> {
    let client = ConversationServiceClient::new(channel(target).await?);
    let opened = people.chunks_exact(2).zip(sessions.chunks_exact(2)).map(|(people, sessions)| {
        let mut client = client.clone();
        async move {
            let opened = client.open_direct(asked(OpenDirectRequest { person: people[1].person }, &sessions[0])?).await;
            anyhow::Ok(opened.context("opening a direct conversation")?.into_inner().id)
        }
    });
    stream::iter(opened).buffered(AT_ONCE).try_collect().await
}

/// A conversation's events after a position.
///
/// # Errors
/// When it is refused.
pub async fn follow(target: &str, session: &Session, conversation: &str, after: u64) -> anyhow::Result<tonic::Streaming<Batch>> {
    let client = ConversationServiceClient::new(channel(target).await?);
    let after = Position { conversation: conversation.to_owned(), epoch: 0, seq: after };
    let request = asked(FollowRequest { after: Some(after) }, session)?;
    Ok(client.max_decoding_message_size(64 << 20).follow(request).await?.into_inner())
}

/// The events of a batch that is not compressed.
///
/// # Errors
/// When it is.
pub fn events_of(batch: Batch) -> anyhow::Result<Vec<Event>> {
    match batch.body {
        Some(batch::Body::Events(events)) => Ok(events.events),
        _ => anyhow::bail!("a batch of Follow without its events"),
    }
}

/// One number of the metrics page at this address (`host:port`), summed over its labels.
///
/// # Errors
/// When it cannot be read.
pub async fn metrics(admin: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    let text = http::get_text(&format!("http://{admin}/metrics")).await?;
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let name = name.split('{').next().unwrap_or(name);
        *sums.entry(name.to_owned()).or_default() += value.parse().unwrap_or(0.0);
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_plain_or_tls_and_not_both() {
        let targets = |texts: &[&str]| authorities(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            targets(&["http://127.0.0.1:1", "http://127.0.0.1:2/"]).expect("plain"),
            (vec!["127.0.0.1:1".into(), "127.0.0.1:2".into()], false)
        );
        assert_eq!(targets(&["https://127.0.0.1:1"]).expect("TLS"), (vec!["127.0.0.1:1".into()], true));
        assert!(targets(&["https://127.0.0.1:1", "http://127.0.0.1:2"]).is_err());
        assert!(targets(&["127.0.0.1:1"]).is_err());
    }
}
