//! `invoke_with_retry`: synchronous retries in a handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::model::call::Call;
use cidery::{Context, Definition, Error, Node, RetryPolicy};

use crate::support::TestNode;

#[tokio::test]
async fn invoke_with_retry_retries_until_the_service_succeeds() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&calls);
    let flaky = Definition::new("test.flaky", move || {
        let calls = counts.fetch_add(1, Ordering::SeqCst);
        std::future::ready(match calls {
            0..2 => Err(Error::unavailable("BUSY", "busy")),
            2 => Ok("at last"),
            _ => Err(Error::invalid_argument("WRONG", "wrong")),
        })
    });
    async fn patient(ctx: Context) -> cidery::Result<String> {
        let policy = RetryPolicy {
            max_attempts: 3,
            initial_interval: Duration::from_millis(1),
            ..RetryPolicy::default()
        };
        let response = ctx.invoke_with_retry("test.flaky", ()).policy(policy).await;
        response?.parse()
    }
    async fn impatient(ctx: Context) -> cidery::Result<String> {
        let policy = RetryPolicy {
            max_attempts: 2,
            initial_interval: Duration::from_millis(1),
            ..RetryPolicy::default()
        };
        let response = ctx.invoke_with_retry("test.flaky", ()).policy(policy).await;
        response?.parse()
    }
    let builder = Node::builder()
        .register(flaky.unwrap())
        .service("test.patient", patient)
        .service("test.impatient", impatient);
    let node = TestNode::start(builder).await;
    let call = || Call::new("test.patient", ());
    node.client.invoke(call()).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    // An error that the caller must fix is not retried.
    let error = node.client.invoke(call()).await.unwrap_err();
    assert_eq!((error.reason(), calls.load(Ordering::SeqCst)), ("WRONG", 4));
    // The policy limits the number of attempts.
    calls.store(0, Ordering::SeqCst);
    let fails = Call::new("test.impatient", ());
    let error = node.client.invoke(fails).await.unwrap_err();
    assert_eq!((error.reason(), calls.load(Ordering::SeqCst)), ("BUSY", 2));
}
