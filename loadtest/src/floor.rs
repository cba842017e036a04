//! The floor: a bare epoll server that does nothing but one `write` per socket, so that every run carries the price of
//! its own machine. It takes connections, and for each line on its stdin writes one frame to all of them.
//!
//! A line is `post BYTES TEXT`: a Batch of one comment with that text, padded to a frame of about BYTES.

use std::{
    io::{self, BufRead as _, Write as _},
    net::SocketAddr,
    sync::mpsc,
};

use anyhow::Context as _;
use mio::{Events, Interest, Poll, Token, Waker, net::TcpListener};
use proto::v1::{Batch, Comment, Event, Events as EventList, ServerFrame, batch, event, server_frame};
use socket2::{Domain, Socket, Type};

const LISTENER: Token = Token(usize::MAX);
const WAKE: Token = Token(usize::MAX - 1);

/// Listens until stdin ends. Says `listening ADDRESS` and, after each post, `sent SEQ SOCKETS`.
///
/// # Errors
/// When it cannot listen.
pub fn run(listen: SocketAddr, room: &str) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = listener(listen).with_context(|| format!("listening on {listen}"))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    println!("listening {}", listener.local_addr()?);
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = send.send(Some(line));
            let _ = waker.wake();
        }
        let _ = send.send(None);
        let _ = waker.wake();
    });
    let mut sockets = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut seq = 0;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        if events.iter().any(|event| event.token() == LISTENER) {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nodelay(true)?;
                sockets.push(stream);
            }
        }
        while let Ok(line) = lines.try_recv() {
            let Some(line) = line else { return Ok(()) };
            let mut words = line.splitn(3, ' ');
            let (Some("post"), Some(Ok(bytes)), Some(text)) = (words.next(), words.next().map(str::parse::<usize>), words.next()) else {
                anyhow::bail!("a line that is not `post BYTES TEXT`: {line}");
            };
            seq += 1;
            let frame = frame(room, seq, text, bytes);
            let mut sent = 0;
            for socket in &mut sockets {
                // Nothing but the write: a socket that does not take it whole is not served again.
                if socket.write(&frame).is_ok_and(|written| written == frame.len()) {
                    sent += 1;
                }
            }
            println!("sent {seq} {sent}");
        }
    }
}

/// Listens with as long a queue as the system allows: thousands come within a second, and a connection that a full queue
/// turned away would be counted as the server's slowness.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(65_535)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A whole server frame with one comment in it.
fn frame(room: &str, seq: u64, text: &str, bytes: usize) -> Vec<u8> {
    let encode = |text: String| {
        let comment = event::Kind::Comment(Comment { text, ..Comment::default() });
        let events = vec![Event { seq, mseq: seq, kind: Some(comment), ..Event::default() }];
        let body = Some(batch::Body::Events(EventList { events }));
        let batch = Batch { conversation: room.to_owned(), epoch: 1, first_seq: seq, count: 1, body, window_ms: 0 };
        proto::Subprotocol::Proto.encode(&ServerFrame { re: 0, frame: Some(server_frame::Frame::Batch(batch)) })
    };
    let bare = encode(text.to_owned()).len() + 4;
    let payload = encode(format!("{text}{}", ".".repeat(bytes.saturating_sub(bare))));
    let mut frame = vec![0x82];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::mark::{Mark, mark_text},
        generator::{
            catalogue::{Catalogue, Decoded},
            wire::tests::whole,
        },
    };

    #[test]
    fn the_floors_frames_are_what_generators_understand() {
        let of = Mark { index: 3, due_us: 1_764_000_000_000_000 };
        let frame = frame("room", 7, &mark_text("run", of), 300);
        assert!((290..=310).contains(&frame.len()), "{}", frame.len());
        let Some(Some((2, payload, _))) = whole(&frame) else { panic!("not a frame") };
        let mut catalogue = Catalogue::new("run", &["room".to_owned()], 100);
        let Ok(Decoded::Live(id)) = catalogue.decode(payload) else { panic!("not a batch") };
        assert_eq!(catalogue.frames[id as usize].posts, [(7, of)]);
    }
}
