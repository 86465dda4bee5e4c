//! Fan-out: batches, the outcomes of their members in order, cancellation and retries.

mod acceptance;
mod cancellation;
mod joins;
mod outcomes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cidery::model::batch::Batch;
use cidery::{Definition, NodeBuilder, Value, dict};
use tokio::sync::Semaphore;

use crate::support::TestNode;

/// The inputs that the recording service received.
type Recorded = Arc<Mutex<Vec<Value>>>;

/// A node with a service that records its inputs.
async fn with_recorder(builder: NodeBuilder) -> (TestNode, Recorded) {
    let recorded = Recorded::default();
    let recorder = Arc::clone(&recorded);
    let record = Definition::new("test.record", move |input: Value| {
        recorder.lock().unwrap().push(input);
        std::future::ready(())
    });
    let node = TestNode::start(builder.demo().register(record.unwrap())).await;
    (node, recorded)
}

/// Three members, of which the second one fails.
fn mixed() -> Batch {
    let failing = dict! { "code": "NOT_FOUND", "message": "none" };
    Batch::of([
        ("customer.get", dict! { "cust_id": 1 }),
        ("demo.fail", failing),
        ("customer.get", dict! { "cust_id": 3 }),
    ])
    .unwrap()
}

/// A service that blocks until the test releases it, and the number of running handlers.
fn blocked_service(name: &str) -> (Definition, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (waits, counts) = (Arc::clone(&gate), Arc::clone(&running));
    let definition = Definition::new(name, move |input: Value| {
        let (gate, running) = (Arc::clone(&waits), Arc::clone(&counts));
        async move {
            running.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            input
        }
    });
    (definition.unwrap(), gate, running)
}
