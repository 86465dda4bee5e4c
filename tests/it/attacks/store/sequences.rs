//! Streams that are to continue after a sequence which an invocation never had.

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::model::call::{Call, Start};
use cidery::store::SqliteStore;
use cidery::{Cid, Context, Node, dict};

use crate::support::{Folder, PATIENCE, TestNode, follow, names};

const GENERATION: u64 = 1 << 32;

/// The events of some CIDs, each after a sequence.
async fn events(node: &TestNode, after: &[(Cid, u64)]) -> Vec<v1::StreamResultsResponse> {
    let request = v1::StreamResultsRequest {
        cids: after.iter().map(|(cid, _)| cid.to_string()).collect(),
        after_sequences: after.iter().map(|(cid, n)| (cid.to_string(), *n)).collect(),
        ..v1::StreamResultsRequest::default()
    };
    let events = tokio::time::timeout(PATIENCE, node.events(request)).await;
    events.expect("the stream does not end")
}

fn assert_sequence_unknown(event: &v1::StreamResultsResponse, cid: Cid) {
    assert_eq!(event.cid, cid.to_string());
    match event.event.as_ref().unwrap() {
        Event::NotFound(event) => assert_eq!(event.reason, "SEQUENCE_UNKNOWN", "{event:?}"),
        other => panic!("{other:?}"),
    }
}

/// A node with a service that waits, on a store in a folder.
async fn node(folder: &Folder) -> TestNode {
    let store = SqliteStore::open(folder.path()).unwrap();
    let waits = async |ctx: Context| {
        ctx.emit(dict! { "n": 1 }).await?;
        ctx.cancelled().await;
        Ok::<(), cidery::Error>(())
    };
    let builder = Node::builder().demo().service("waits", waits);
    TestNode::start(builder.store(store)).await
}

async fn accept(node: &TestNode, service: &str, delay: u64) -> Cid {
    let mut call = Call::new(service.to_owned(), dict! {});
    let delay = std::time::Duration::from_secs(delay);
    call.durable().start = Some(Start::After(delay));
    node.client.invoke_async(call).await.unwrap().cid
}

#[tokio::test]
async fn a_sequence_beyond_the_last_one_is_one_event_and_does_not_end_the_stream() {
    let folder = Folder::new("sequences");
    let node = node(&folder).await;
    let ended = accept(&node, "cidery.echo", 0).await;
    let last = node.events(follow(ended)).await.last().unwrap().sequence;
    let pending = accept(&node, "cidery.echo", 3_600).await;
    let live = accept(&node, "waits", 0).await;
    let mut stream = node.stub.clone().stream_results(follow(live)).await;
    let stream = stream.as_mut().unwrap().get_mut();
    let mut item = 0;
    while item == 0 {
        let event = stream.message().await.unwrap().unwrap();
        if matches!(event.event, Some(Event::Item(_))) {
            item = event.sequence;
        }
    }
    for beyond in [1, GENERATION, u64::MAX / 2] {
        let found = events(&node, &[(live, item + beyond)]).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_sequence_unknown(&found[0], live);
        let found = events(&node, &[(pending, GENERATION + 1 + beyond)]).await;
        assert_sequence_unknown(&found[0], pending);
        let found = events(&node, &[(ended, last + beyond)]).await;
        assert_sequence_unknown(&found[0], ended);
    }
    // With others on the stream, and the last sequence itself is known.
    let found = events(&node, &[(live, u64::MAX), (ended, 0), (pending, u64::MAX)]).await;
    let unknown = found
        .iter()
        .filter(|it| matches!(it.event, Some(Event::NotFound(_))));
    assert_eq!(unknown.count(), 2);
    assert!(names(&found).contains(&"succeeded"));
    assert_eq!(events(&node, &[(ended, last)]).await, []);
    node.client.cancel(live, false).await.unwrap();
    assert_eq!(names(&events(&node, &[(live, item)]).await), ["succeeded"]);
}

/// A follower sees events before they are stored: a crash takes them back, and the follower is not refused.
#[tokio::test]
async fn a_sequence_of_an_event_that_a_crash_took_back_is_followed() {
    let folder = Folder::new("sequences");
    let before = node(&folder).await;
    let live = accept(&before, "waits", 0).await;
    let mut stream = before.stub.clone().stream_results(follow(live)).await;
    let stream = stream.as_mut().unwrap().get_mut();
    let mut item = 0;
    while item == 0 {
        let event = stream.message().await.unwrap().unwrap();
        if matches!(event.event, Some(Event::Item(_))) {
            item = event.sequence;
        }
    }
    let copy = Folder::new("sequences");
    for file in ["cidery.db", "cidery.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let after = node(&copy).await;
    let mut request = follow(live);
    request.after_sequences.insert(live.to_string(), item);
    let mut stream = after.stub.clone().stream_results(request).await;
    let stream = stream.as_mut().unwrap().get_mut();
    let next = stream.message().await.unwrap().unwrap();
    assert!(matches!(next.event, Some(Event::Started(_))), "{next:?}");
    assert!(next.sequence > item);
    for node in [&before, &after] {
        node.client.cancel(live, false).await.unwrap();
    }
}

/// A backup is restored: what the lost node gave out after it is unknown.
#[tokio::test]
async fn a_sequence_of_a_lost_future_is_unknown() {
    let folder = Folder::new("sequences");
    let before = node(&folder).await;
    let pending = accept(&before, "cidery.echo", 3_600).await;
    let copy = Folder::new("sequences");
    for file in ["cidery.db", "cidery.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let restored = node(&copy).await;
    // The lost node was restarted twice since, the restored one is in its second generation.
    let found = events(&restored, &[(pending, 3 * GENERATION + 2)]).await;
    assert_sequence_unknown(&found[0], pending);
}
