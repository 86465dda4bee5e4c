//! `/services`, `/healthz` and `/readyz`.

use cidery::Node;

use super::client::{Client, call};
use crate::support::TestNode;

#[tokio::test]
async fn services_are_listed_and_described() {
    let node = TestNode::demo().await;
    let mut client = Client::connect(node.address()).await;
    let page = client
        .call("GET /services?name_prefix=demo.&page_size=2", &[], "")
        .await
        .json();
    let first = &page["services"][0]["name"];
    assert_eq!(page["services"][1]["health"], "SERVING".into());
    let token = super::client::text(&page["next_page_token"]);
    let next = format!("GET /services?name_prefix=demo.&page_token={token}");
    let rest = client.call(&next, &[], "").await.json();
    assert_ne!(rest["services"][0]["name"], *first);
    assert!(rest["next_page_token"].is_null());
    let found = client.call("GET /services/customer.get", &[], "").await;
    assert_eq!(found.header("cache-control"), Some("no-store"));
    let found = found.json();
    assert_eq!(found["name"], "customer.get".into());
    assert_eq!(found["input_schema"]["required"][0], "cust_id".into());
    let curl = super::client::text(&found["examples"]["curl"]);
    assert!(curl.contains("/invoke/customer.get"), "{curl}");
    let unknown = client.call("GET /services/customer.got", &[], "").await;
    assert_eq!(
        (unknown.status, unknown.reason().as_str()),
        (404, "SERVICE_UNKNOWN")
    );
    let wrong = client.call("GET /services/customer.get?x=1", &[], "").await;
    assert_eq!(wrong.paths(), ["/x"]);
}

#[tokio::test]
async fn a_node_is_ready_unless_it_is_held() {
    let node = TestNode::demo().await;
    let ready = call(node.address(), "GET /readyz", &[], "").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    let json = call(
        node.address(),
        "GET /readyz",
        &["accept: application/json"],
        "",
    )
    .await;
    assert_eq!(json.json()["status"], "READY".into());
    let node = TestNode::start(Node::builder().demo().hold()).await;
    let healthy = call(node.address(), "GET /healthz", &["accept: */*"], "").await;
    assert_eq!((healthy.status, healthy.body.as_str()), (200, "ok\n"));
    let held = call(node.address(), "GET /readyz", &[], "").await;
    assert_eq!((held.status, held.body.as_str()), (503, "held\n"));
    node.handle.resume();
    let ready = call(node.address(), "GET /readyz", &[], "").await;
    assert_eq!(ready.status, 200);
}
