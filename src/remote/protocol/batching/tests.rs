//! Tests of batching.

use tokio_stream::StreamExt as _;

use super::*;

fn dispatch(service: &str) -> Outbound {
    Outbound::from_item(Box::new(v1::Dispatch {
        service: service.to_owned(),
        ..v1::Dispatch::default()
    }))
}

/// Sends queued messages; returns the lengths of their service names, message by message.
async fn sent(is_enabled: bool, queued: Vec<Outbound>) -> Vec<Vec<usize>> {
    let (outbox, receiver) = mpsc::channel(100);
    for message in queued {
        outbox.try_send(message).unwrap();
    }
    drop(outbox);
    let sent = Batcher::new(receiver, Arc::new(is_enabled.into()));
    let sent = sent.map(|message| {
        let message = message.unwrap();
        let items = match message.message {
            Some(serve_response::Message::Dispatch(dispatch)) => vec![*dispatch],
            _ => message.dispatches,
        };
        let lengths = items.iter().map(|dispatch| dispatch.service.len());
        lengths.collect()
    });
    sent.collect().await
}

/// How many items a message has.
fn items(message: Option<Outbound>) -> usize {
    match message.unwrap().unwrap() {
        v1::ServeResponse { message, .. } if message.is_some() => 1,
        v1::ServeResponse { dispatches, .. } => dispatches.len(),
    }
}

#[tokio::test]
async fn queued_items_are_batched_in_their_order() {
    let drained = || Ok(v1::ServeResponse::default());
    let queued = || vec![dispatch("a"), dispatch("ab"), drained(), dispatch("abc")];
    assert_eq!(sent(true, queued()).await, [vec![1, 2], vec![], vec![3]]);
    let separate = [vec![1], vec![2], vec![], vec![3]];
    assert_eq!(sent(false, queued()).await, separate);
}

#[tokio::test]
async fn a_batch_has_a_limit_of_items_and_of_bytes() {
    let large = "x".repeat(MAX_BATCH_BYTES);
    let queued = vec![dispatch("a"), dispatch(&large), dispatch("ab")];
    assert_eq!(
        sent(true, queued).await,
        [vec![1], vec![MAX_BATCH_BYTES], vec![2]]
    );
    let many = (0..MAX_BATCH_ITEMS + 1).map(|_| dispatch("a")).collect();
    assert_eq!(sent(true, many).await, [vec![1; MAX_BATCH_ITEMS], vec![1]]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_gets_fewer_and_larger_messages() {
    let (outbox, receiver) = mpsc::channel(100);
    let flow_control = Arc::new(FlowControl::default());
    let batcher = Batcher::new(receiver, Arc::new(true.into()));
    let mut sent = batcher.with_flow_control(Arc::clone(&flow_control));
    let queue = |service| outbox.try_send(dispatch(service)).unwrap();
    for service in ["a", "b"] {
        queue(service);
        assert_eq!(items(sent.next().await), 1);
    }
    queue("c");
    assert!(futures_util::poll!(Box::pin(sent.next())).is_pending());
    queue("d");
    flow_control.record_answer();
    assert_eq!(items(sent.next().await), 2);
    queue("e");
    assert_eq!(items(sent.next().await), 1);
    let start = Instant::now();
    queue("f");
    assert_eq!(items(sent.next().await), 1);
    assert!(start.elapsed() >= FLUSH_DELAY);
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "a test has no `Tasks`")]
async fn results_that_are_about_to_be_ready_are_sent_together() {
    let (outbox, receiver) = mpsc::channel(100);
    let batcher = Batcher::new(receiver, Arc::new(true.into()));
    let mut sent = batcher.with_gathering();
    let queue_two = || {
        outbox.try_send(dispatch("a")).unwrap();
        let outbox = outbox.clone();
        tokio::spawn(async move { outbox.try_send(dispatch("b")).unwrap() });
    };
    // The first message does not wait.
    queue_two();
    assert_eq!(items(sent.next().await), 1);
    assert_eq!(items(sent.next().await), 1);
    queue_two();
    assert_eq!(items(sent.next().await), 2);
    tokio::time::advance(GATHER_WINDOW).await;
    queue_two();
    assert_eq!(items(sent.next().await), 1);
}
