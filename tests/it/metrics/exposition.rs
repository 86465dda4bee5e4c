//! `/metrics`: formats, names, who may read them, and what is counted of the port.

use std::collections::{BTreeMap, BTreeSet};

use cidery::axum::{Router, routing::get};
use cidery::model::call::Call;
use cidery::store::SqliteStore;
use cidery::{Node, dict};

use super::{check_with_promtool, fetch, guarded, scrape, value};
use crate::support::{Folder, TestNode, any_port, ended};

const PAGE: &str = include_str!("../../../docs/metrics.md");

/// The names of all metrics in the documentation, with those of their labels.
fn documented() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rows = PAGE.lines().filter_map(|line| {
        let name = line.strip_prefix("| `")?.split('`').next()?;
        let labels = line.split('|').nth(3)?.split('`').skip(1).step_by(2);
        let is_metric = name.starts_with("cidery_") || name.starts_with("process_");
        is_metric.then(|| (name, labels.collect()))
    });
    rows.collect()
}

/// The labels of the first series of a metric; `None` where it has no series.
fn labels_of<'a>(text: &'a str, name: &str) -> Option<BTreeSet<&'a str>> {
    let series = ["", "_bucket"].map(|suffix| format!("{name}{suffix}"));
    let mut labels = text.lines().filter_map(|line| {
        let (found, rest) = line.split_once(['{', ' '])?;
        let has_labels = line.as_bytes()[found.len()] == b'{';
        let names = rest.split_inclusive("=\"").filter_map(|part| {
            let name = part.strip_suffix("=\"")?;
            name.rsplit(['"', ',', ' ']).next()
        });
        let names = names.filter(|name| has_labels && *name != "le");
        series.iter().any(|it| it == found).then(|| names.collect())
    });
    labels.next()
}

#[tokio::test]
async fn every_metric_is_written_and_promtool_accepts_them() {
    let folder = Folder::new("metrics");
    let store = SqliteStore::open(folder.path()).unwrap();
    let node = TestNode::start(Node::builder().store(store).demo()).await;
    node.client
        .invoke(Call::new("cidery.ping", ()))
        .await
        .unwrap();
    let call = Call::new("customer.get", dict! { "cust_id": 1 });
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    ended(&node.client, cid).await;
    let text = scrape(node.address()).await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: BTreeSet<_> = types.map(|it| it.split(' ').next().unwrap()).collect();
    let documented = documented();
    assert_eq!(names, documented.keys().copied().collect());
    for (name, labels) in &documented {
        if let Some(found) = labels_of(&text, name) {
            assert_eq!(found, *labels, "{name}");
        }
    }
    let of = |labels: &str| value(&text, &format!("cidery_invocations_total{{{labels}}}"));
    let ping = r#"service="cidery.ping",kind="sync",outcome="succeeded",code="OK""#;
    assert_eq!(of(ping), Some(1.0), "{text}");
    let stored = r#"service="customer.get",kind="async",outcome="succeeded",code="OK""#;
    assert_eq!(of(stored), Some(1.0), "{text}");
    for (series, at_least) in [
        (r#"cidery_node_health{health="serving"}"#, 1.0),
        (r#"cidery_store_up{store="sqlite"}"#, 1.0),
        ("cidery_store_commit_duration_seconds_count", 1.0),
        ("cidery_store_commit_rows_sum", 2.0),
        ("cidery_store_wal_bytes", 4_096.0),
        ("cidery_connections", 1.0),
        (
            r#"cidery_handler_duration_seconds_count{service="customer.get"}"#,
            1.0,
        ),
        (
            r#"cidery_queue_wait_seconds_count{service="customer.get"}"#,
            1.0,
        ),
        (r#"cidery_attempts_total{service="customer.get"}"#, 1.0),
    ] {
        let found = value(&text, series);
        assert!(
            found.is_some_and(|it| it >= at_least),
            "{series}: {found:?}\n{text}"
        );
    }
    if cfg!(target_os = "linux") {
        let resident = value(&text, "process_resident_memory_bytes").unwrap();
        assert!(resident > 1e6, "{resident}");
    }
    check_with_promtool(&text);
}

#[tokio::test]
async fn open_metrics_is_written_where_it_is_accepted() {
    let node = TestNode::demo().await;
    let accept = "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let open = fetch(node.address(), "GET", "/metrics", accept).await;
    assert!(
        open.head
            .contains("content-type: application/openmetrics-text; version=1.0.0")
    );
    assert!(open.body.ends_with("\n# EOF\n"));
    assert!(open.body.contains("# TYPE cidery_invocations counter\n"));
    let plain = fetch(node.address(), "GET", "/metrics", "").await;
    assert!(
        plain
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    assert!(!plain.body.contains("# EOF"));
    let head = fetch(node.address(), "HEAD", "/metrics", "").await;
    assert_eq!((head.status, &*head.body), (200, ""));
    let post = fetch(node.address(), "POST", "/metrics", "content-length: 0\r\n").await;
    assert_eq!(post.status, 405);
    assert!(post.head.contains("allow: get, head"));
}

#[tokio::test]
async fn with_authentication_only_who_reads_all_reads_metrics() {
    let (node, [own, all, admin]) = guarded().await;
    let address = node.address().unwrap();
    let status = async |headers: String| {
        let fetched = fetch(address, "GET", "/metrics", &headers).await;
        assert_eq!(fetched.status == 200, fetched.body.contains("cidery_"));
        let challenge = fetched.head.contains("www-authenticate: bearer");
        assert_eq!(challenge, fetched.status == 401);
        fetched.status
    };
    let bearer = |key: &str| format!("authorization: Bearer {key}\r\n");
    assert_eq!(status(String::new()).await, 401);
    assert_eq!(status(bearer("cidery_nothing")).await, 401);
    assert_eq!(status(bearer(&own)).await, 403);
    assert_eq!(status(bearer(&all)).await, 200);
    assert_eq!(status(bearer(&admin)).await, 200);
    // A web page of another host cannot read them.
    let foreign = fetch(
        address,
        "GET",
        "/metrics",
        "origin: http://evil.example\r\n",
    )
    .await;
    assert_eq!(foreign.status, 403);
}

#[tokio::test]
async fn a_route_of_the_host_replaces_metrics() {
    let routes = Router::new().route("/metrics", get(async || "mine"));
    let node = Node::builder().routes(routes).listen(any_port());
    let node = node.start().await.unwrap();
    let fetched = fetch(node.address().unwrap(), "GET", "/metrics", "").await;
    assert_eq!(fetched.body, "mine");
}

#[tokio::test]
async fn connections_calls_and_requests_of_the_port_are_counted() {
    let node = TestNode::demo().await;
    let unknown = Call::new("nobody", ());
    node.client.invoke(unknown).await.unwrap_err();
    node.client
        .invoke(Call::new("cidery.ping", ()))
        .await
        .unwrap();
    assert_eq!(
        fetch(node.address(), "GET", "/healthz", "").await.status,
        200
    );
    assert_eq!(
        fetch(node.address(), "GET", "/nothing", "").await.status,
        404
    );
    let text = scrape(node.address()).await;
    let calls = |code: &str| {
        let method = r#"rpc_method="cidery.v1.InvocationService/Invoke""#;
        let code = format!(r#"rpc_response_status_code="{code}""#);
        let series = format!("cidery_rpc_server_calls_total{{{method},{code}}}");
        value(&text, &series)
    };
    assert_eq!(
        (calls("OK"), calls("NOT_FOUND")),
        (Some(1.0), Some(1.0)),
        "{text}"
    );
    let requests = |route: &str, status: u16| {
        let labels = [
            format!(r#"http_route="{route}""#),
            r#"http_request_method="GET""#.to_owned(),
            format!(r#"http_response_status_code="{status}""#),
        ];
        let labels = labels.join(",");
        value(
            &text,
            &format!("cidery_http_server_requests_total{{{labels}}}"),
        )
    };
    assert_eq!(requests("/healthz", 200), Some(1.0), "{text}");
    assert_eq!(requests("_OTHER", 404), Some(1.0), "{text}");
    let accepted = value(&text, "cidery_connections_accepted_total").unwrap();
    assert!(accepted >= 4.0, "{accepted}");
}
