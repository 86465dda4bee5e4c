//! `/invocations`: lists, reads, cancels and completes.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::{Answer, Cid, Context, Error, Node, NodeBuilder, Value, dict};
use tokio::sync::mpsc;

use super::client::{Client, call, text};
use crate::support::{TestNode, ended};

const JSON: &str = "content-type: application/json";
const PROBLEM: &str = "content-type: application/problem+json";

/// Accepts an invocation that is due in an hour.
async fn later(client: &mut Client, service: &str) -> String {
    let request = format!("POST /invoke/{service}?async&delay=1h");
    let json = ["content-type: application/json"];
    let accepted = client.call(&request, &json, r#"{"to":1}"#).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    text(&accepted.json()["cid"])
}

#[tokio::test]
async fn invocations_are_listed_by_filters_and_pages() {
    let node = TestNode::demo().await;
    let mut client = Client::connect(node.address()).await;
    let mut cids = Vec::new();
    for service in ["cidery.ping", "demo.count", "cidery.ping"] {
        cids.insert(0, later(&mut client, service).await);
    }
    let mut list = async |query: &str| {
        let request = format!("GET /invocations?{query}");
        let page = client.call(&request, &[], "").await.json();
        let Value::List(found) = &page["invocations"] else {
            panic!("{page:?}");
        };
        let found: Vec<String> = found.iter().map(|one| text(&one["cid"])).collect();
        (found, page["next_page_token"].clone())
    };
    assert_eq!(list("").await, (cids.clone(), Value::Null));
    let (first, token) = list("page_size=2").await;
    assert_eq!(first, cids[..2]);
    let next = format!("page_size=2&page_token={}", text(&token));
    assert_eq!(list(&next).await, (cids[2..].to_vec(), Value::Null));
    for query in [
        "service=demo.count",
        "services=demo.count&state=pending",
        "filter=service%20%3D%20demo.count",
        "pending=DUE_LATER&service=demo.count&accepted_after=-1h",
    ] {
        assert_eq!(list(query).await.0, cids[1..2], "{query}");
    }
    assert!(list("state=succeeded").await.0.is_empty());
    let wrong = client
        .call(
            "GET /invocations?state=done&page_sise=1&accepted_after=x",
            &[],
            "",
        )
        .await;
    let mut paths = wrong.paths();
    paths.sort_unstable();
    assert_eq!(paths, ["/accepted_after", "/page_sise", "/states"]);
    let both = client
        .call(
            "GET /invocations?state=failed&filter=state%3DFAILED",
            &[],
            "",
        )
        .await;
    assert_eq!(both.reason(), "REQUEST_INVALID");
    // The parameter has a name of its own here.
    for request in ["filter=state%3D", "state=failed&filter=state%3DFAILED"] {
        let request = format!("GET /invocations?{request}");
        assert_eq!(client.call(&request, &[], "").await.paths(), ["/filter"]);
    }
}

#[tokio::test]
async fn an_invocation_is_read_once_it_has_ended() {
    let node = TestNode::demo().await;
    let mut client = Client::connect(node.address()).await;
    let accepted = client
        .call(
            "POST /invoke/customer.get?async",
            &[JSON],
            r#"{"cust_id":1}"#,
        )
        .await;
    let path = accepted.header("location").unwrap().to_owned();
    let found = client
        .call(&format!("GET {path}?wait=30s&view=full"), &[], "")
        .await;
    assert_eq!(found.status, 200, "{found:?}");
    let found = found.json();
    assert_eq!(found["state"], "SUCCEEDED".into());
    assert_eq!(found["response"]["cust_name"], "Alexis Smith".into());
    assert_eq!(found["input"]["cust_id"], 1.into());
    assert_eq!(found["attempts"][0]["number"], 1.into());
    let head = client.call(&format!("HEAD {path}"), &[], "").await;
    assert_eq!(
        (head.status, head.header("cidery-cid")),
        (200, path.rsplit('/').next())
    );
    let failed = client.call(
        "POST /invoke/demo.fail?async",
        &[JSON],
        r#"{"code":"NOT_FOUND","message":"x"}"#,
    );
    let path = failed.await.header("location").unwrap().to_owned();
    let found = client
        .call(&format!("GET {path}?wait=30s"), &[], "")
        .await
        .json();
    assert_eq!(
        (&found["state"], &found["failure"]["code"]),
        (&"FAILED".into(), &"NOT_FOUND".into())
    );
    assert!(found.as_dict().unwrap().get("input").is_none());
    for (request, status, reason) in [
        (
            format!("GET /invocations/{}", Cid::new()),
            404,
            "CID_UNKNOWN",
        ),
        ("GET /invocations/x".to_owned(), 400, "CID_INVALID"),
        (format!("GET {path}?wait=2h"), 400, "REQUEST_INVALID"),
        (format!("GET {path}?view=some"), 400, "REQUEST_INVALID"),
    ] {
        let answer = client.call(&request, &[], "").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (status, reason),
            "{request}"
        );
    }
}

#[tokio::test]
async fn an_invocation_is_cancelled() {
    let builder = Node::builder()
        .demo()
        .service("waits", async |context: Context| {
            context.cancelled().await;
            Err::<(), _>(Error::cancelled("STOPPED", "stopped"))
        });
    let node = TestNode::start(builder).await;
    let mut client = Client::connect(node.address()).await;
    let cid = later(&mut client, "cidery.ping").await;
    let cancelled = client
        .call(
            &format!("DELETE /invocations/{cid}?reason=a%20test"),
            &[],
            "",
        )
        .await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(cancelled.json()["state"], "CANCELLED".into());
    let again = client
        .call(&format!("DELETE /invocations/{cid}"), &[], "")
        .await;
    assert_eq!((again.status, again.reason().as_str()), (400, "ENDED"));
    assert_eq!(again.header("cidery-cid"), Some(cid.as_str()));
    let found = client
        .call(&format!("GET /invocations/{cid}"), &[], "")
        .await
        .json();
    assert!(
        text(&found["failure"]["message"]).contains("a test"),
        "{found:?}"
    );
    // One that runs is asked to stop.
    let running = client.call("POST /invoke/waits?async", &[], "").await;
    let cid = Cid::parse(&text(&running.json()["cid"])).unwrap();
    let filter = v1::InvocationFilter {
        states: vec![v1::State::Running.into()],
        ..v1::InvocationFilter::default()
    };
    while node
        .client
        .invocations(filter.clone(), 1)
        .await
        .unwrap()
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    let asked = client
        .call(&format!("DELETE /invocations/{cid}"), &[], "")
        .await;
    assert_eq!(
        (asked.status, &asked.json()["cancel_requested"]),
        (202, &true.into())
    );
    assert_eq!(ended(&node.client, cid).await.state(), v1::State::Cancelled);
}

/// A service that is completed from outside: the CID and the token of each call.
pub(super) fn deferring(calls: mpsc::UnboundedSender<(Cid, String)>) -> NodeBuilder {
    Node::builder().service("deferred", move |context: Context| {
        let calls = calls.clone();
        async move {
            let later = context.later()?;
            calls.send((later.cid(), later.token())).unwrap();
            Ok::<_, Error>(Answer::<Value>::Later(later))
        }
    })
}

#[tokio::test]
async fn an_invocation_is_completed_from_outside() {
    let (calls, mut called) = mpsc::unbounded_channel();
    let node = TestNode::start(deferring(calls)).await;
    let mut client = Client::connect(node.address()).await;
    let mut begin = async || {
        node.client
            .invoke_async(Call::new("deferred", ()))
            .await
            .unwrap();
        called.recv().await.unwrap()
    };
    let (cid, token) = begin().await;
    let path = format!("POST /invocations/{cid}/complete");
    for (headers, body, expected) in [
        (vec![JSON.to_owned()], "{}", (400, "REQUEST_INVALID")),
        (
            vec![JSON.to_owned(), "cidery-token: 0".to_owned()],
            "{}",
            (400, "DISPATCH_VOID"),
        ),
        (
            vec!["content-type: image/png".to_owned()],
            "x",
            (415, "MEDIA_TYPE_UNSUPPORTED"),
        ),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = client.call(&path, &headers, body).await;
        assert_eq!((answer.status, answer.reason().as_str()), expected);
    }
    let header = format!("cidery-token: {token}");
    let answer = client.call(&path, &[JSON, &header], r#"{"n":1}"#).await;
    assert_eq!(
        (answer.status, &answer.json()["state"]),
        (200, &"SUCCEEDED".into())
    );
    let found = client
        .call(&format!("GET /invocations/{cid}"), &[], "")
        .await
        .json();
    assert_eq!(found["response"], dict! { "n": 1 }.into());
    // A failure, with the token in the query.
    let (cid, token) = begin().await;
    let path = format!("POST /invocations/{cid}/complete?token={token}");
    let problem = r#"{"code":"NOT_FOUND","reason":"NO_ORDER","detail":"no such order"}"#;
    let answer = client.call(&path, &[PROBLEM], problem).await;
    assert_eq!(
        (answer.status, &answer.json()["state"]),
        (200, &"FAILED".into())
    );
    let found = client
        .call(&format!("GET /invocations/{cid}"), &[], "")
        .await
        .json();
    assert_eq!(found["failure"]["reason"], "NO_ORDER".into());
    // Without a body it is the empty response.
    let (cid, token) = begin().await;
    let header = format!("cidery-token: {token}");
    let path = format!("POST /invocations/{cid}/complete");
    let answer = call(node.address(), &path, &[&header], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = node.client.invocation(cid, Duration::ZERO).await.unwrap();
    assert_eq!(found.state(), v1::State::Succeeded);
}
