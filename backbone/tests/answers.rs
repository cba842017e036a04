//! What a server says is taken for what it is, even when the driver takes it for something else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backbone::{Backbone, Delivery, PartitionSet, RedisBackbone, RedisOptions};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// A server that speaks just enough RESP3. On its first connection it takes a subscription back unasked just before it
/// confirms partition 1 and refuses partition 2, as a cluster does while a slot moves; later it confirms all.
async fn server(stream: TcpStream, first: bool) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let words = command(&mut stream).await?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = match words.as_slice() {
            ["HELLO", ..] => "%1\r\n+proto\r\n:3\r\n".to_owned(),
            ["SUBSCRIBE", "y:1"] if first => format!("{}{}", push("unsubscribe", "y:9"), push("subscribe", "y:1")),
            ["SUBSCRIBE", "y:2"] if first => "-MOVED 1 127.0.0.1:1\r\n".to_owned(),
            ["SUBSCRIBE", channel] => push("subscribe", channel),
            ["PUBLISH", channel, text] => format!(">3\r\n$7\r\nmessage\r\n{}{}:1\r\n", bulk(channel), bulk(text)),
            _ => "+OK\r\n".to_owned(),
        };
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn push(kind: &str, channel: &str) -> String {
    format!(">3\r\n{}{}:1\r\n", bulk(kind), bulk(channel))
}

async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..length(stream, '*').await? {
        let mut word = vec![0; length(stream, '$').await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

async fn length(stream: &mut BufReader<TcpStream>, sign: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.strip_prefix(sign)?.trim().parse().ok()
}

#[tokio::test]
async fn an_answer_to_another_question_confirms_nothing() {
    let listener = TcpListener::bind(("127.0.0.1", testkit::free_port())).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(server(stream, counted.fetch_add(1, Ordering::SeqCst) == 0));
        }
    });
    let backbone = RedisBackbone::connect(RedisOptions { url, ..RedisOptions::default() }).unwrap();
    let mut follower = backbone.follow();
    let wanted: PartitionSet = [1, 2].into_iter().collect();
    follower.want(wanted);
    let mut stands = PartitionSet::EMPTY;
    while stands != wanted {
        match tokio::time::timeout(Duration::from_secs(10), follower.next()).await.expect("in time").expect("it lives") {
            Delivery::Confirmed { partitions } => {
                assert!(!partitions.contains(2) || connections.load(Ordering::SeqCst) > 1, "2 was refused, and is told as confirmed");
                stands = stands.union(&partitions);
            }
            Delivery::Gap { partitions } => stands = stands.difference(&partitions),
            Delivery::Message { .. } => {}
        }
    }
}
