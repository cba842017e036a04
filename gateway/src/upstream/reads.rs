//! Pages: whoever wants the same stretch at the same time shares one call.

use std::{collections::HashMap, future::Future, sync::Arc};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use prost::Message as _;
use proto::{
    internal::v1::ReadRequest,
    v1::{Page, Refusal, RefusalCode, page_request::Where},
};
use tokio::{runtime::Handle, sync::Semaphore};

pub(super) type PageRead = Result<Arc<Page>, Refusal>;

/// Reads in flight, by what they read.
pub(super) struct Reads {
    running: Mutex<HashMap<Vec<u8>, Shared<BoxFuture<'static, PageRead>>>>,
    permits: Semaphore,
}

impl Reads {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { running: Mutex::new(HashMap::new()), permits: Semaphore::new(most.max(1)) })
    }

    /// Joins the read of this stretch, or starts it on `home`.
    pub(super) async fn read<F>(self: &Arc<Self>, home: &Handle, mut request: ReadRequest, start: impl FnOnce(ReadRequest) -> F) -> PageRead
    where
        F: Future<Output = Result<Page, Refusal>> + Send + 'static,
    {
        // Whose page it is matters to one kind of request only.
        if !matches!(request.page.as_ref().and_then(|page| page.r#where), Some(Where::FirstUnread(_))) {
            request.person = 0;
        }
        let key = request.encode_to_vec();
        let shared = {
            let mut running = self.running.lock();
            match running.get(&key) {
                Some(shared) => {
                    metrics::counter!("yitang_gateway_reads_shared_total").increment(1);
                    shared.clone()
                }
                None => {
                    let read = start(request);
                    let (reads, done) = (Arc::clone(self), key.clone());
                    let task = home.spawn(async move {
                        let _gone = Gone { reads: &reads, key: &done };
                        let _permit = reads.permits.acquire().await.map_err(|_| Refusal::of(RefusalCode::Unavailable))?;
                        read.await.map(Arc::new)
                    });
                    let shared = async move { task.await.unwrap_or_else(|_| Err(Refusal::of(RefusalCode::Internal))) }.boxed().shared();
                    running.insert(key, shared.clone());
                    shared
                }
            }
        };
        shared.await
    }
}

/// Forgets a read when its task ends, however it ends.
struct Gone<'a> {
    reads: &'a Reads,
    key: &'a [u8],
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.reads.running.lock().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proto::v1::PageRequest;

    use super::*;

    fn request(after: u64, person: u32, first_unread: bool) -> ReadRequest {
        let r#where = if first_unread { Where::FirstUnread(true) } else { Where::After(after) };
        let page = PageRequest { conversation: "c".to_owned(), r#where: Some(r#where), ..PageRequest::default() };
        ReadRequest { conversation: "c".to_owned(), page: Some(page), person }
    }

    #[tokio::test]
    async fn a_thousand_readers_of_one_stretch_are_one_read() {
        let reads = Reads::new(4);
        let calls = Arc::new(AtomicUsize::new(0));
        let home = Handle::current();
        let read = |request: ReadRequest| {
            let (reads, calls, home) = (reads.clone(), calls.clone(), home.clone());
            async move {
                reads
                    .read(&home, request, |request| async move {
                        calls.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                        Ok(Page { conversation: request.conversation, ..Page::default() })
                    })
                    .await
            }
        };
        let pages = futures::future::join_all((0..1_000).map(|person| read(request(7, person, false)))).await;
        assert!(pages.iter().all(Result::is_ok));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        // The next asks anew; another stretch, or one that depends on the person, is another read.
        futures::future::join_all([
            read(request(7, 1, false)),
            read(request(8, 1, false)),
            read(request(0, 1, true)),
            read(request(0, 2, true)),
        ])
        .await;
        assert_eq!(calls.load(Ordering::SeqCst), 5);
        assert!(reads.running.lock().is_empty());
    }
}
