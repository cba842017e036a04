//! `echo <port> [most_bytes]`: sends every message back through exactly the gateway's socket layer (reading, writing,
//! control frames, fragments, closing), so that any suite for RFC 6455 can be run against it. `most_bytes` bounds a
//! message: 64 MiB where it is not given, for suites send more than the product takes.

use std::{cell::RefCell, env};

use gateway::socket::{Ended, Frame, Inbound, Opcode, READ_BYTES, Ready, Received, Socket, Stream, Wire, WireOptions};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut arguments = env::args().skip(1);
    let port: u16 = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(9001);
    let most_bytes: usize = arguments.next().and_then(|most| most.parse().ok()).unwrap_or(64 * 1024 * 1024);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("echo on ws://127.0.0.1:{}/", listener.local_addr()?.port());
    LocalSet::new()
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                spawn_local(async move {
                    if let Err(error) = serve(stream, most_bytes).await {
                        eprintln!("{error}");
                    }
                });
            }
        })
        .await
}

async fn serve(stream: TcpStream, most_bytes: usize) -> std::io::Result<()> {
    // A client sends nothing more before it has the answer, so nothing that was read ahead is lost here.
    let Ok(upgraded) = tokio_tungstenite::accept_async(stream).await else { return Ok(()) };
    let wire = Wire::new(Stream::Plain(upgraded.into_inner()), WireOptions { unsent_bytes: 32 * 1024, dead_after_ms: 30_000 })?;
    let socket = Socket::new(wire, most_bytes.saturating_mul(4));
    let scratch = RefCell::new(vec![0; READ_BYTES]);
    match echo(&socket, most_bytes, &scratch).await {
        Ended::Closed(code) => socket.finish(Frame::close(code), &scratch).await,
        Ended::ByClient(frame) => socket.finish(frame, &scratch).await,
        Ended::Broken => {}
    }
    Ok(())
}

async fn echo(socket: &Socket, most_bytes: usize, scratch: &RefCell<Vec<u8>>) -> Ended {
    let mut inbound = Inbound::with_most(most_bytes);
    let mut received = Vec::new();
    loop {
        match socket.ready().await {
            Ok(Ready::Readable) => {
                if !socket.read(&mut inbound, &mut scratch.borrow_mut(), &mut received) {
                    return Ended::Broken;
                }
            }
            Ok(Ready::Woken) => {}
            Err(_) => return Ended::Broken,
        }
        if let Some(code) = socket.closing() {
            return Ended::Closed(code);
        }
        for one in received.drain(..) {
            match one {
                Received::Text(text) => {
                    socket.send(&Frame::new(Opcode::Text, &text));
                }
                Received::Binary(bytes) => {
                    socket.send(&Frame::new(Opcode::Binary, &bytes));
                }
                Received::Answer(frame) => socket.send_pong(frame),
                Received::Wrong(code) => return Ended::Closed(code),
                Received::Close(frame) => {
                    return Ended::ByClient(frame);
                }
            }
        }
    }
}
