//! Tests of concurrency limits.

use jiff::Timestamp;

use super::*;
use crate::engine::admission::worker_pool::Location;
use crate::model::access::Caller;
use crate::model::id::Cid;
use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::service::{BoxFuture, Context, Definition, DispatchStatus, HandlerFuture};

pub(in crate::engine) fn limit(concurrency: usize, queue_length: usize) -> Arc<ConcurrencyLimit> {
    let node = Arc::new(Semaphore::new(100));
    Arc::new(ConcurrencyLimit::new(
        concurrency,
        queue_length,
        node,
        100,
        None,
    ))
}

fn name() -> ServiceName {
    ServiceName::parse("a").unwrap()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test has no `Tasks`")]
async fn a_full_queue_refuses_the_call() {
    let limit = limit(1, 1);
    let running = limit.acquire(&name(), None).await.unwrap();
    let waiting = tokio::spawn({
        let limit = Arc::clone(&limit);
        async move { limit.acquire(&name(), None).await.map(drop) }
    });
    while limit.queued.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let refused = limit.acquire(&name(), None).await.unwrap_err();
    assert_eq!(refused.reason(), "QUEUE_FULL");
    assert!(refused.retry_after().is_some());
    drop(running);
    waiting.await.unwrap().unwrap();
    assert_eq!(limit.queued.load(Ordering::Relaxed), 0);
    assert_eq!(limit.running(), 0);
}

/// A worker with one permit.
#[derive(Debug)]
struct OnePermitPool(Arc<Semaphore>);

#[derive(Debug)]
struct HeldPermit(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl WorkerPermit for HeldPermit {
    fn caller(&self) -> Caller {
        Caller::Trusted
    }

    fn definition(&self) -> &Arc<Definition> {
        unreachable!()
    }
    fn status(&self) -> DispatchStatus {
        DispatchStatus::Open
    }
    fn token(&self) -> Option<Token> {
        None
    }
    fn worker(&self) -> &str {
        "one"
    }
    fn dispatch(self: Arc<Self>, _: Context, _: Payload) -> HandlerFuture {
        unreachable!()
    }
    fn report_invalid_output(&self, _: Cid, _: &Error) {
        unreachable!()
    }
    fn release(&self) {}
    fn try_reacquire(&self) -> bool {
        true
    }
    fn reacquire(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl WorkerPool for OnePermitPool {
    fn try_acquire(&self, _: Accepts<'_>) -> Option<Arc<dyn WorkerPermit>> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Arc::new(HeldPermit(permit)))
    }
    fn acquire<'a>(&'a self, _: Accepts<'a>) -> BoxFuture<'a, Option<Arc<dyn WorkerPermit>>> {
        Box::pin(async {
            Some(Arc::new(HeldPermit(acquire_owned(&self.0).await)) as Arc<dyn WorkerPermit>)
        })
    }
    fn wait_served(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn announced(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
    fn is_served(&self) -> bool {
        true
    }
    fn last_served(&self) -> Option<Timestamp> {
        None
    }
    fn credit(&self) -> usize {
        1
    }
    fn locations(&self) -> Vec<Location> {
        Vec::new()
    }
}

/// A handler that returns from a nested call waits for its worker permit with its local permits in hand: no caller
/// may wait in the opposite order.
#[tokio::test]
async fn waiting_for_local_permits_holds_no_worker_permit_and_the_reverse() {
    let (node, worker_permits) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
    let pool: Arc<dyn WorkerPool> = Arc::new(OnePermitPool(Arc::clone(&worker_permits)));
    let limit = ConcurrencyLimit::new(1, 1, Arc::clone(&node), 1, Some(pool));
    let name = name();
    let mut acquiring = Box::pin(limit.acquire(&name, None));

    let local = acquire_owned(&node).await;
    assert!(futures_util::poll!(&mut acquiring).is_pending());
    assert_eq!(worker_permits.available_permits(), 1);
    let worker = acquire_owned(&worker_permits).await;
    drop(local);
    assert!(futures_util::poll!(&mut acquiring).is_pending());
    assert_eq!((node.available_permits(), limit.running()), (1, 0));
    drop(worker);
    acquiring.await.unwrap();
    assert_eq!(
        (node.available_permits(), worker_permits.available_permits()),
        (1, 1)
    );
}
