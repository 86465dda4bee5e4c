//! What a node counts: of its services, for Prometheus, for KEDA, and what is deployed with it.

mod cardinality;
mod deployed;
mod exposition;
mod history;
mod scaler;
mod service_stats;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::admin_service_client::AdminServiceClient;
use cidery::engine::access::NewApiKey;
use cidery::engine::clock::Clock;
use cidery::model::access::{Rights, Scope};
use cidery::{Node, NodeHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::access::{admin, store_with};
use crate::support::binary::{stderr, stdout, tool};
use crate::support::{PATIENCE, any_port};

/// A response over HTTP/1.1.
struct Fetched {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

/// Sends a request over a connection of its own.
async fn fetch(address: SocketAddr, method: &str, path: &str, headers: &str) -> Fetched {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    Fetched {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// The metrics of a node, in the format of Prometheus.
async fn scrape(address: SocketAddr) -> String {
    let fetched = fetch(address, "GET", "/metrics", "").await;
    assert_eq!(fetched.status, 200, "{}", fetched.body);
    fetched.body
}

/// The value of a series, such as `a_total{b="c"}`, if it is there.
fn value(text: &str, series: &str) -> Option<f64> {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// `promtool check metrics` has nothing to say of a text.
#[track_caller]
fn check_with_promtool(text: &str) {
    let Some(promtool) = tool("CIDERY_PROMTOOL", "the checks of metrics by promtool") else {
        return;
    };
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = check.wait_with_output().unwrap();
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
}

/// The statistics of a service.
async fn stats_of(address: SocketAddr, service: &str) -> v1::ServiceStats {
    let mut admin = AdminServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let request = v1::ListServiceStatsRequest {
        services: vec![service.to_owned()],
        ..v1::ListServiceStatsRequest::default()
    };
    let mut found = admin
        .list_service_stats(request)
        .await
        .unwrap()
        .into_inner();
    found.stats.pop().expect("the service is known")
}

/// Waits until something holds that is asked of a node.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, wait).await;
    found.unwrap_or_else(|_| panic!("timeout: {what}"));
}

/// A node that asks who calls, and keys that read no invocations but their own, that read all, and that administer.
async fn guarded() -> (NodeHandle, [String; 3]) {
    let reading = |name, read| NewApiKey {
        rights: Rights {
            read,
            ..Rights::default()
        },
        ..admin(name)
    };
    let keys = [
        reading("own", Scope::Own),
        reading("all", Scope::All),
        admin("admin"),
    ];
    let (store, secrets) = store_with(keys, &Clock::System).await;
    let node = Node::builder().store(store).listen(any_port()).demo();
    let node = node.start().await.unwrap();
    (node, secrets.map(|secret| secret.expose().to_owned()))
}
