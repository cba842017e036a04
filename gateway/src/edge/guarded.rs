//! A stream that ends when the session it was asked for in ends.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use proto::{
    internal::v1::Identity,
    v1::{Refusal, RefusalCode},
};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, body::Body};

use crate::upstream::ControlFeed;

struct Guarded {
    inner: Option<Body>,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    _permit: OwnedSemaphorePermit,
}

/// The same body, cut off with SESSION_ENDED when the control log says so; holds the permit as long as it lives.
pub(super) fn guard(inner: Body, feed: ControlFeed, identity: &Identity, permit: OwnedSemaphorePermit) -> Body {
    let ended = Box::pin(wait_for_end(feed, identity.session.clone(), identity.control));
    Body::new(Guarded { inner: Some(inner), ended, _permit: permit })
}

async fn wait_for_end(feed: ControlFeed, session: String, control: u64) {
    let mut updates = feed.follow();
    while feed.has_ended(&session, 0, control) != Some(true) {
        if updates.next().await.is_none() {
            return;
        }
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.inner.is_none() {
            return Poll::Ready(None);
        }
        if self.ended.as_mut().poll(context).is_ready() {
            self.inner = None;
            let status = Status::from(Refusal::of(RefusalCode::SessionEnded));
            let mut trailers = http::HeaderMap::new();
            return Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))));
        }
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
