//! The events of a client: a stream of types of the model.

use cidery::{
    Batch, Cid, Client, Context, Dict, Error, Event, EventKind, Kind, Node, Progress, Result,
    RetryPolicy, Value, dict,
};
use futures_util::TryStreamExt as _;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::proxy::Proxy;
use crate::support::{TestNode, until};

/// Reports progress and emits an item, then fails in its first attempt.
async fn counts(ctx: Context, input: Dict) -> Result<Dict> {
    ctx.progress(Progress::at(0.5));
    ctx.emit(dict! { "attempt": ctx.attempt() }).await?;
    match ctx.attempt() {
        1 => Err(Error::unavailable("NOT_YET", "not yet")),
        _ => Ok(input),
    }
}

async fn fails() -> Result<()> {
    Err(Error::failed_precondition("BROKEN", "is broken"))
}

async fn connect(node: &TestNode) -> Client {
    let address = node.address().to_string();
    Client::connect(&address).await.unwrap()
}

fn at_once() -> RetryPolicy {
    RetryPolicy {
        initial_interval: std::time::Duration::ZERO,
        ..RetryPolicy::default()
    }
}

fn name(event: &Event) -> &'static str {
    match &event.kind {
        EventKind::Accepted { .. } => "accepted",
        EventKind::Started { .. } => "started",
        EventKind::Progress(_) => "progress",
        EventKind::Item(_) => "item",
        EventKind::RetryScheduled { .. } => "retry_scheduled",
        EventKind::Succeeded(_) => "succeeded",
        EventKind::Failed(_) => "failed",
        EventKind::NotFound { .. } => "not_found",
        _ => "other",
    }
}

#[tokio::test]
async fn events_are_types_of_the_model() {
    let node = TestNode::start(Node::builder().service("a.counts", counts)).await;
    let client = connect(&node).await;
    let call = client.invoke_async("a.counts", dict! { "n": 1 });
    let cid = call.retry_policy(at_once()).await.unwrap();
    client.outcome(cid, crate::support::PATIENCE).await.unwrap();
    let events: Vec<Event> = client.results(cid).try_collect().await.unwrap();
    let stored: Vec<&Event> = events
        .iter()
        .filter(|event| event.sequence.is_some())
        .collect();
    let names: Vec<_> = stored.iter().map(|event| name(event)).collect();
    assert_eq!(
        names,
        [
            "accepted",
            "started",
            "item",
            "retry_scheduled",
            "started",
            "item",
            "succeeded"
        ]
    );
    assert!(
        events
            .iter()
            .all(|event| event.cid == cid && event.time.is_some())
    );
    assert_eq!((stored[0].attempt, stored[0].run), (None, None));
    assert_eq!(
        (stored[5].attempt, stored[5].run),
        (Some(2), stored[4].sequence)
    );
    let EventKind::Accepted {
        service,
        start_time,
        ..
    } = &stored[0].kind
    else {
        panic!("{events:?}");
    };
    let service = service.as_ref().unwrap();
    assert_eq!((service.as_str(), start_time.is_some()), ("a.counts", true));
    let EventKind::Item(item) = &stored[2].kind else {
        panic!("{events:?}");
    };
    assert_eq!(item["attempt"], Value::Int(1));
    let EventKind::RetryScheduled { failure, .. } = &stored[3].kind else {
        panic!("{events:?}");
    };
    assert_eq!(failure.reason(), "NOT_YET");
    let response = stored[6].outcome().unwrap().unwrap();
    assert_eq!((response.cid(), &response["n"]), (cid, &Value::Int(1)));
    assert!(stored[5].outcome().is_none());

    let after = client.results(cid).after(cid, stored[4].sequence.unwrap());
    let later: Vec<Event> = after.try_collect().await.unwrap();
    let later: Vec<_> = later
        .iter()
        .filter(|event| event.sequence.is_some())
        .map(name)
        .collect();
    assert_eq!(later, ["item", "succeeded"]);
}

#[tokio::test]
async fn several_invocations_and_unknown_ones_are_followed_in_one_stream() {
    let node = TestNode::start(Node::builder().service("a.fails", fails).demo()).await;
    let client = connect(&node).await;
    let failed = client.invoke_async("a.fails", ()).await.unwrap();
    let echoed = client
        .invoke_async("cidery.echo", dict! { "n": 1 })
        .await
        .unwrap();
    let unknown = Cid::new();
    let mut ends = Vec::new();
    let mut events = client.results_of([failed, echoed, unknown]);
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        if let Some(outcome) = event.outcome() {
            ends.push((
                event.cid,
                outcome.map(drop).map_err(|error| error.reason().to_owned()),
            ));
        }
    }
    ends.sort_by_key(|(cid, _)| [failed, echoed, unknown].iter().position(|one| one == cid));
    let expected = [
        Err("BROKEN".to_owned()),
        Ok(()),
        Err("CID_UNKNOWN".to_owned()),
    ];
    assert_eq!(
        ends,
        [failed, echoed, unknown]
            .into_iter()
            .zip(expected)
            .collect::<Vec<_>>()
    );

    let batch = Batch::of([("cidery.echo", dict! { "n": 1 })]).unwrap();
    let group = client.invoke_batch(batch).await.unwrap();
    let events: Vec<Event> = client.results(group.cid).try_collect().await.unwrap();
    assert!(events.iter().any(|event| event.cid == group.members[0]));
    let none: Result<Vec<Event>> = client.results_of([]).try_collect().await;
    assert_eq!(none.unwrap_err().kind(), Kind::InvalidArgument);
}

#[tokio::test]
async fn a_broken_stream_continues_after_the_last_event() {
    let (waits, mut waiting) = unbounded_channel();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let opened = gate.clone();
    let emits = move |ctx: Context| {
        let (gate, waits) = (gate.clone(), waits.clone());
        async move {
            ctx.emit(1).await?;
            waits.send(()).unwrap();
            gate.acquire().await.unwrap().forget();
            ctx.emit(2).await
        }
    };
    let node = TestNode::start(Node::builder().service("a.emits", emits)).await;
    let proxy = Proxy::to(node.address()).await;
    let client = Client::connect(&proxy.address.to_string()).await.unwrap();
    let cid = client.invoke_async("a.emits", ()).await.unwrap();
    let mut events = client.results(cid);
    let mut items = Vec::new();
    let mut sequences = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        sequences.extend(event.sequence);
        let EventKind::Item(item) = event.kind else {
            continue;
        };
        if items.is_empty() {
            waiting.recv().await.unwrap();
            proxy.cut();
            opened.add_permits(1);
            proxy.restore();
        }
        items.push(item);
    }
    assert_eq!(items, [Value::Int(1), Value::Int(2)]);
    assert!(
        sequences.is_sorted_by(|one, other| one < other),
        "{sequences:?}"
    );
}

#[tokio::test]
async fn an_invocation_can_be_followed_before_it_is_accepted() {
    let node = TestNode::demo().await;
    let client = connect(&node).await;
    let cid = Cid::new();
    let mut events = client.results(cid).wait_for_accept();
    let accepts = async {
        until("a follower is there", || true).await;
        client
            .invoke_async("cidery.ping", ())
            .cid(cid)
            .await
            .unwrap()
    };
    let (first, accepted) = tokio::join!(events.next(), accepts);
    assert_eq!(accepted, cid);
    assert_eq!(name(&first.unwrap().unwrap()), "accepted");
}
