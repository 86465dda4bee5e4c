//! `GET /invocations/{cid}/events`: server-sent events.

use cidery::codec::json;
use cidery::{Cid, Value};

use super::client::{Client, call, text};
use crate::support::TestNode;

/// A server-sent event.
#[derive(Debug)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

/// The events of a whole body.
fn events(body: &str) -> Vec<Event> {
    let blocks = body
        .split("\n\n")
        .filter(|block| !block.is_empty() && *block != ":");
    blocks
        .map(|block| {
            let field = |name: &str| {
                let mut lines = block.lines().filter_map(|line| line.split_once(": "));
                lines
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.to_owned())
            };
            Event {
                id: field("id"),
                name: field("event").unwrap(),
                data: json::read(field("data").unwrap().as_bytes()).unwrap(),
            }
        })
        .collect()
}

/// Names, without progress: how much of it is seen depends on timing.
fn names(events: &[Event]) -> Vec<&str> {
    let names = events.iter().map(|event| event.name.as_str());
    names.filter(|name| *name != "progress").collect()
}

#[tokio::test]
async fn events_are_streamed_to_the_end_and_resumed() {
    let node = TestNode::demo().await;
    let mut client = Client::connect(node.address()).await;
    let count = client.call(
        "POST /invoke/demo.count?async",
        &["content-type: application/json"],
        r#"{"to":2}"#,
    );
    let path = count.await.header("location").unwrap().to_owned();
    let request = format!("GET {path}/events");
    let answer = client.call(&request, &[], "").await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let all = events(&answer.body);
    assert_eq!(
        names(&all),
        ["accepted", "started", "item", "item", "succeeded"]
    );
    let numbered: Vec<&Event> = all
        .iter()
        .filter(|event| event.name != "progress")
        .collect();
    assert!(
        all.iter()
            .all(|event| event.id.is_some() == (event.name != "progress"))
    );
    assert_eq!(numbered[4].data["response"]["total"], 2.into());
    assert_eq!(
        text(&numbered[0].data["cid"]),
        path.rsplit('/').next().unwrap()
    );
    // The connection goes on after the last event.
    let third = numbered[2].id.clone().unwrap();
    for (request, header) in [
        (format!("{request}?after={third}"), None),
        (
            format!("{request}?after=1"),
            Some(format!("last-event-id: {third}")),
        ),
    ] {
        let headers: Vec<&str> = header.as_deref().into_iter().collect();
        let rest = client.call(&request, &headers, "").await;
        assert_eq!(
            names(&events(&rest.body)),
            ["item", "succeeded"],
            "{request}"
        );
    }
    // A browser that reconnects after the end is told not to.
    let last = format!("last-event-id: {}", numbered[4].id.clone().unwrap());
    let none = client.call(&request, &[&last], "").await;
    assert_eq!((none.status, none.body.as_str()), (204, ""));
    let head = client.call(&format!("HEAD {path}/events"), &[], "").await;
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
}

#[tokio::test]
async fn an_invocation_that_is_unknown_is_no_stream() {
    let node = TestNode::demo().await;
    let cid = Cid::new();
    let request = format!("GET /invocations/{cid}/events");
    let answer = call(node.address(), &request, &[], "").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (404, "CID_UNKNOWN")
    );
    let answer = call(node.address(), &request, &["last-event-id: x"], "").await;
    assert_eq!(answer.paths(), ["/last-event-id"]);
    // Unless it will be accepted.
    let mut client = Client::connect(node.address()).await;
    let wait = format!(
        "GET {}?wait_for_accept HTTP/1.1\r\nhost: localhost\r\n\r\n",
        &request[4..]
    );
    client.send(wait).await;
    assert_eq!(client.head().await.status, 200);
    let header = format!("cidery-cid: {cid}");
    call(
        node.address(),
        "POST /invoke/cidery.ping?async",
        &[&header],
        "",
    )
    .await;
    let mut body = Vec::new();
    while let Some(chunk) = client.chunk().await {
        body.extend(chunk);
    }
    let body = String::from_utf8(body).unwrap();
    assert_eq!(names(&events(&body)), ["accepted", "started", "succeeded"]);
}

/// Proxies end connections that are silent.
#[tokio::test]
async fn a_silent_stream_has_comments() {
    let node = TestNode::demo().await;
    let later = call(
        node.address(),
        "POST /invoke/cidery.ping?async&delay=1h",
        &[],
        "",
    )
    .await;
    let path = later.header("location").unwrap().to_owned();
    let mut client = Client::connect(node.address()).await;
    client
        .send(format!(
            "GET {path}/events HTTP/1.1\r\nhost: localhost\r\n\r\n"
        ))
        .await;
    assert_eq!(client.head().await.status, 200);
    let first = String::from_utf8(client.chunk().await.unwrap()).unwrap();
    assert!(first.contains("event: accepted"), "{first}");
    tokio::time::pause();
    assert_eq!(client.chunk().await.unwrap(), b":\n\n");
}

/// What is open when the node stops ends with a problem.
#[tokio::test]
async fn a_stream_ends_when_the_node_stops() {
    let node = TestNode::demo().await;
    let later = call(
        node.address(),
        "POST /invoke/cidery.ping?async&delay=1h",
        &[],
        "",
    )
    .await;
    let path = later.header("location").unwrap().to_owned();
    let mut client = Client::connect(node.address()).await;
    client
        .send(format!(
            "GET {path}/events HTTP/1.1\r\nhost: localhost\r\n\r\n"
        ))
        .await;
    client.head().await;
    client.chunk().await.unwrap();
    let stopping = crate::support::raw::spawn(node.handle.stop());
    let last = String::from_utf8(client.chunk().await.unwrap()).unwrap();
    let last = events(&last);
    assert_eq!(
        (names(&last), &last[0].data["reason"]),
        (vec!["problem"], &"NODE_STOPPING".into())
    );
    assert!(client.chunk().await.is_none());
    drop(client);
    stopping.await.unwrap();
}
