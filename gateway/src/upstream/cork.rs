//! A connection to a node that holds what is written to it until whoever writes has nothing more to write in this turn of the
//! runtime. HTTP/2 hands over a call's head, its message and its end one by one, and each for itself would be a system call here
//! and a wake-up there.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Bytes held at most; past it they are written, whatever else may come.
const MOST_BYTES: usize = 64 * 1024;
/// Turns that a flush is put off at most: for a head, a message and an end.
const MOST_TURNS: u8 = 3;

/// Connects to the host and port of an `http` URI.
///
/// # Errors
/// When the URI is another one, or nobody listens there.
pub async fn connect(uri: Uri) -> io::Result<TokioIo<Corked<TcpStream>>> {
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an http:// URI with a host"));
    };
    // An IPv6 address stands in brackets there.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(Corked::new(stream)))
}

/// A stream whose writes are held until it is flushed twice with nothing written in between.
#[derive(Debug)]
pub struct Corked<S> {
    stream: S,
    held: BytesMut,
    /// Something was written since it was last asked to flush.
    fresh: bool,
    turns: u8,
}

impl<S> Corked<S> {
    /// Around a stream.
    #[must_use]
    pub fn new(stream: S) -> Self {
        Self { stream, held: BytesMut::new(), fresh: false, turns: 0 }
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.fresh = true;
    }
}

impl<S: AsyncWrite + Unpin> Corked<S> {
    fn write_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.advance(written);
        }
        // A quiet connection holds no buffer.
        self.held = BytesMut::new();
        self.turns = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() >= MOST_BYTES {
            ready!(self.write_out(context))?;
        }
        self.hold(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.held.len() >= MOST_BYTES {
            ready!(self.write_out(context))?;
        }
        slices.iter().for_each(|slice| self.hold(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.fresh) && self.turns < MOST_TURNS && self.held.len() < MOST_BYTES {
            self.turns += 1;
            // At the end of the queue of what is ready to run: those who wait to write come first.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.write_out(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_out(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::{Wake, Waker},
    };

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Every write that came through.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl AsyncWrite for Writes {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn write(corked: &mut Corked<Writes>, context: &mut Context<'_>, bytes: &[u8]) {
        assert!(matches!(Pin::new(corked).poll_write(context, bytes), Poll::Ready(Ok(written)) if written == bytes.len()));
    }

    #[test]
    fn what_is_written_in_one_turn_goes_in_one_write() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let context = &mut Context::from_waker(&waker);
        let mut corked = Corked::new(Writes::default());
        for part in ["head, ", "message, ", "end"] {
            write(&mut corked, context, part.as_bytes());
            assert!(Pin::new(&mut corked).poll_flush(context).is_pending());
            assert!(woken.0.swap(false, Ordering::Relaxed), "whoever is put off is called again");
        }
        assert!(corked.stream.0.is_empty());
        assert!(Pin::new(&mut corked).poll_flush(context).is_ready());
        assert_eq!(corked.stream.0, [b"head, message, end"]);
        assert!(Pin::new(&mut corked).poll_flush(context).is_ready(), "nothing more is put off");
    }

    #[test]
    fn who_writes_on_and_on_is_not_put_off_for_ever() {
        let context = &mut Context::from_waker(Waker::noop());
        let mut corked = Corked::new(Writes::default());
        for turn in 0..=MOST_TURNS {
            write(&mut corked, context, b"x");
            assert_eq!(Pin::new(&mut corked).poll_flush(context).is_ready(), turn == MOST_TURNS);
        }
        assert_eq!(corked.stream.0.concat().len(), usize::from(MOST_TURNS) + 1);
        // Nor is who writes much.
        write(&mut corked, context, &vec![0; MOST_BYTES]);
        assert!(Pin::new(&mut corked).poll_flush(context).is_ready());
    }

    #[tokio::test]
    async fn what_a_narrow_connection_takes_slowly_comes_whole_and_in_order() {
        let much: Vec<u8> = (0..5 * MOST_BYTES).map(|number| (number % 251) as u8).collect();
        let (near, mut far) = tokio::io::duplex(1_000);
        let sent = much.clone();
        let writer = tokio::spawn(async move {
            let mut corked = Corked::new(near);
            for part in sent.chunks(MOST_BYTES / 3) {
                corked.write_all(part).await?;
                assert!(corked.held.len() < 2 * MOST_BYTES, "what is held is bounded");
            }
            poll_fn(|context| Pin::new(&mut corked).poll_shutdown(context)).await
        });
        let mut came = Vec::new();
        far.read_to_end(&mut came).await.unwrap();
        writer.await.unwrap().unwrap();
        assert!(came == much);
    }

    #[tokio::test]
    async fn only_plain_http_is_connected_to() {
        for uri in ["https://127.0.0.1:1", "/nowhere"] {
            let error = connect(uri.parse().unwrap()).await.err().map(|error| error.kind());
            assert_eq!(error, Some(io::ErrorKind::InvalidInput), "{uri}");
        }
    }
}
