//! Sessions: whose requests they allow, and when they end.

use std::net::SocketAddr;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::engine::access::NewApiKey;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::model::access::Rights;
use cidery::{ConsoleOptions, Context, Node, NodeBuilder, Value};

use super::get;
use crate::access::{admin, store_with};
use crate::plain_http::client::{Answer, Client, call, text};
use crate::support::{TestNode, error_of, secret_of};

const SESSION: &str = "/console/session";
const PAGE: &str = "cidery-console: 1";
const SAME: &str = "sec-fetch-site: same-origin";
const JSON: &str = "content-type: application/json";

/// A node with the key of an administrator, and one of a principal that may do little.
struct Guarded {
    node: TestNode,
    time: ManualClock,
    root: String,
    clerk: String,
}

fn clerk() -> NewApiKey {
    NewApiKey {
        rights: Rights {
            administer: false,
            ..Rights::all()
        },
        ttl: Some(Duration::from_hours(2)),
        ..admin("clerk")
    }
}

impl Guarded {
    async fn start() -> Self {
        Self::start_with(Node::builder()).await
    }

    async fn start_with(builder: NodeBuilder) -> Self {
        let time = ManualClock::new();
        let clock = Clock::Manual(time.clone());
        let (store, [root, clerk]) = store_with([admin("root"), clerk()], &clock).await;
        let mut options = ConsoleOptions::default();
        options.session_idle = Duration::from_mins(30);
        options.session_lifetime = Duration::from_hours(3);
        let builder = builder.store(store).clock(clock).demo();
        Self {
            node: TestNode::start(builder.console(options)).await,
            time,
            root: root.expose().to_owned(),
            clerk: clerk.expose().to_owned(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// Tries to log in.
    async fn try_log_in(&self, key: &str, headers: &[&str]) -> Answer {
        let body = format!("{{\"api_key\":\"{key}\"}}");
        let headers = [&[JSON], headers].concat();
        call(self.address(), &format!("POST {SESSION}"), &headers, &body).await
    }

    /// Logs in, and returns the header of the cookie.
    async fn log_in(&self, key: &str) -> String {
        let answer = self.try_log_in(key, &[PAGE, SAME]).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        cookie_of(&answer)
    }

    /// Makes a request of the page.
    async fn page(&self, request: &str, cookie: &str) -> Answer {
        call(self.address(), request, &[cookie, PAGE, SAME], "").await
    }

    async fn revoke(&self, key: &str) {
        let header = format!("authorization: Bearer {}", self.root);
        let id = key.split('_').nth(1).unwrap();
        let body = format!("{{\"id\":\"{id}\"}}");
        let request = "POST /cidery.v1.SecurityService/RevokeApiKey";
        let answer = call(self.address(), request, &[JSON, &header], &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// The header `cookie` that a browser sends from now on.
fn cookie_of(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap();
    format!("cookie: theme=dark; {}", set.split(';').next().unwrap())
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (status, reason),
        "{answer:?}"
    );
}

#[tokio::test]
async fn someone_logs_in_looks_around_and_logs_out() {
    let node = Guarded::start().await;
    let before = get(node.address(), SESSION, &[PAGE, SAME]).await;
    assert_eq!(before.status, 200);
    let before = before.json();
    assert_eq!(before["authentication"], true.into());
    assert_eq!(before["session"], false.into());
    assert_eq!(before["client_certificate"], false.into());
    assert_eq!(before["caller"], Value::Null);

    let answer = node.try_log_in(&node.clerk, &[PAGE, SAME]).await;
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("cidery-session="), "{set}");
    let attributes = "; HttpOnly; SameSite=Strict; Path=/; Max-Age=10800";
    assert!(set.ends_with(attributes), "{set}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let secret = secret_of(&node.clerk);
    assert!(!answer.head.contains(secret), "{answer:?}");
    let cookie = cookie_of(&answer);

    let shown = node.page(&format!("GET {SESSION}"), &cookie).await.json();
    assert_eq!(shown["session"], true.into());
    assert_eq!(shown["caller"]["principal"], "clerk".into());
    assert_eq!(shown["caller"]["credential"], "API_KEY".into());
    assert_eq!(shown["caller"]["rights"]["administer"], false.into());
    assert!(matches!(shown["session_expire_time"], Value::Text(_)));

    for request in ["GET /services", "POST /invoke/cidery.ping"] {
        let answer = node.page(request, &cookie).await;
        assert_eq!(answer.status, 200, "{request}: {answer:?}");
    }
    let keys = "POST /cidery.v1.SecurityService/ListApiKeys";
    let headers = [JSON, cookie.as_str(), PAGE, SAME];
    let answer = call(node.address(), keys, &headers, "{}").await;
    assert_eq!(answer.status, 403, "a clerk administers nothing");
    let connect = "POST /cidery.v1.SecurityService/GetCaller";
    let headers = [JSON, cookie.as_str(), PAGE, SAME];
    let caller = call(node.address(), connect, &headers, "{}").await;
    assert_eq!(caller.json()["principal"], "clerk".into());

    let ended = node.page(&format!("DELETE {SESSION}"), &cookie).await;
    assert_eq!(ended.status, 204);
    let set = ended.header("set-cookie").unwrap();
    assert!(
        set.contains("cidery-session=;") && set.contains("Max-Age=0"),
        "{set}"
    );
    let after = node.page("GET /services", &cookie).await;
    assert_refused(&after, 401, "CREDENTIAL_INVALID");
    // The page asks again, and the browser forgets the cookie.
    let after = node.page(&format!("GET {SESSION}"), &cookie).await;
    assert_eq!(after.json()["caller"], Value::Null);
    assert!(after.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn the_cookie_is_for_the_page_of_the_node_alone() {
    let node = Guarded::start().await;
    let cookie = node.log_in(&node.root).await;
    let own = "origin: http://localhost";
    for (request, headers, status) in [
        ("GET /services", &[SAME][..], 200),
        ("GET /services", &[PAGE], 200),
        ("POST /invoke/cidery.ping", &[PAGE, SAME], 200),
        ("POST /invoke/cidery.ping", &[PAGE, own], 200),
        // Another port of the machine is the same site, and its pages send the cookie.
        ("GET /services", &["sec-fetch-site: same-site"], 403),
        ("GET /services", &[], 403),
        ("POST /invoke/cidery.ping", &[SAME], 403),
        ("POST /invoke/cidery.ping", &[own], 403),
        (
            "POST /invoke/cidery.ping",
            &[PAGE, "origin: http://localhost:3000"],
            403,
        ),
        ("DELETE /console/session", &[SAME], 403),
        ("GET /console/session", &["sec-fetch-site: same-site"], 403),
    ] {
        let all = [&[cookie.as_str()], headers].concat();
        let answer = call(node.address(), request, &all, "").await;
        match status {
            403 => assert_refused(&answer, 403, "CROSS_SITE"),
            status => assert_eq!(answer.status, status, "{request} {headers:?}: {answer:?}"),
        }
    }
    // Pages of other sites do not come that far.
    for header in ["sec-fetch-site: cross-site", "origin: https://evil.example"] {
        let all = [cookie.as_str(), PAGE, header];
        let answer = call(node.address(), "POST /invoke/cidery.ping", &all, "").await;
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("may not call the node"), "{answer:?}");
    }
    // A credential of the request itself counts, as if there were no cookie.
    let header = format!("authorization: Bearer {}", node.clerk);
    let answer = call(node.address(), "GET /services", &[&cookie, &header], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn nobody_logs_in_from_elsewhere_or_with_a_wrong_key() {
    let node = Guarded::start().await;
    for headers in [
        &[SAME][..],
        &[PAGE, "sec-fetch-site: same-site"],
        &[PAGE, "origin: http://localhost:3000"],
    ] {
        let answer = node.try_log_in(&node.root, headers).await;
        assert_refused(&answer, 403, "CROSS_SITE");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let request = format!("POST {SESSION}");
    for (content_type, body, status) in [
        ("content-type: text/plain", "{}", 415),
        (JSON, "{}", 400),
        (JSON, "[1]", 400),
        (JSON, "{\"api_key\": 1}", 400),
        (JSON, "{\"api_key\": \"x\", \"other\": 1}", 400),
    ] {
        let answer = call(node.address(), &request, &[content_type, PAGE, SAME], body).await;
        assert_eq!(answer.status, status, "{content_type} {body}: {answer:?}");
    }
    let long = "x".repeat(11 * 1024);
    assert_eq!(node.try_log_in(&long, &[PAGE, SAME]).await.status, 413);
    let wrong = format!("{}x", node.root);
    for key in ["x", wrong.as_str()] {
        let answer = node.try_log_in(key, &[PAGE, SAME]).await;
        assert_refused(&answer, 401, "CREDENTIAL_INVALID");
        assert!(!answer.body.contains(secret_of(&node.root)));
    }
    node.revoke(&node.clerk).await;
    let answer = node.try_log_in(&node.clerk, &[PAGE, SAME]).await;
    assert_refused(&answer, 401, "CREDENTIAL_INVALID");
}

#[tokio::test]
async fn wrong_keys_and_cookies_are_limited_as_other_credentials_are() {
    let node = Guarded::start().await;
    let mut client = Client::connect(node.address()).await;
    let mut refused = false;
    for attempt in 0..300 {
        let answer = match attempt % 2 {
            0 => {
                let request = format!("POST {SESSION}");
                let headers = [JSON, PAGE, SAME];
                client.call(&request, &headers, "{\"api_key\":\"x\"}").await
            }
            _ => {
                let headers = ["cookie: cidery-session=wrong", PAGE, SAME];
                client.call("GET /services", &headers, "").await
            }
        };
        refused |= answer.status == 429;
        match answer.status {
            429 => assert_refused(&answer, 429, "ATTEMPTS_LIMIT"),
            _ => assert_refused(&answer, 401, "CREDENTIAL_INVALID"),
        }
    }
    assert!(refused, "wrong credentials are not limited");
    // Who has a right one is not affected.
    node.log_in(&node.root).await;
}

#[tokio::test]
async fn a_session_ends_with_its_key_and_with_its_time() {
    let node = Guarded::start().await;
    let minutes = |n: u64| node.time.advance(Duration::from_mins(n));
    let is_over = async |cookie: &str| {
        let answer = node.page("GET /services", cookie).await;
        if answer.status != 200 {
            assert_refused(&answer, 401, "CREDENTIAL_INVALID");
        }
        answer.status != 200
    };
    // Without a request.
    let idle = node.log_in(&node.root).await;
    minutes(29);
    assert!(!is_over(&idle).await);
    minutes(30);
    assert!(is_over(&idle).await);
    // Whatever is requested.
    let busy = node.log_in(&node.root).await;
    for _ in 0..8 {
        minutes(20);
        assert!(!is_over(&busy).await);
    }
    minutes(20);
    assert!(is_over(&busy).await);
}

#[tokio::test]
async fn a_session_ends_when_its_key_is_revoked_or_expires() {
    let node = Guarded::start().await;
    let clerk = node.log_in(&node.clerk).await;
    assert_eq!(node.page("GET /services", &clerk).await.status, 200);
    for _ in 0..6 {
        node.time.advance(Duration::from_mins(20));
        node.page("GET /services", &clerk).await;
    }
    let answer = node.page("GET /services", &clerk).await;
    assert_refused(&answer, 401, "CREDENTIAL_INVALID");

    let node = Guarded::start().await;
    let clerk = node.log_in(&node.clerk).await;
    node.revoke(&node.clerk).await;
    let answer = node.page("GET /services", &clerk).await;
    assert_refused(&answer, 401, "CREDENTIAL_INVALID");
}

/// A stream of events that a page has opened.
async fn stream(node: &Guarded, cookie: &str) -> Client {
    let request = "POST /invoke/cidery.ping?async&delay=1h";
    let accepted = node.page(request, cookie).await;
    let path = accepted.header("location").unwrap();
    let mut client = Client::connect(node.address()).await;
    let head = format!("GET {path}/events HTTP/1.1\r\nhost: localhost\r\n");
    client
        .send(format!("{head}{cookie}\r\n{SAME}\r\n\r\n"))
        .await;
    assert_eq!(client.head().await.status, 200);
    client.chunk().await.unwrap();
    client
}

#[track_caller]
fn assert_ended(last: Vec<u8>) {
    let last = String::from_utf8(last).unwrap();
    let is_ended = last.starts_with("event: problem\n") && last.contains("CREDENTIAL_INVALID");
    assert!(is_ended, "{last}");
}

#[tokio::test]
async fn its_streams_end_with_it() {
    let node = Guarded::start().await;
    let clerk = node.log_in(&node.clerk).await;
    let (mut first, mut second) = (stream(&node, &clerk).await, {
        let other = node.log_in(&node.clerk).await;
        stream(&node, &other).await
    });
    node.page(&format!("DELETE {SESSION}"), &clerk).await;
    assert_ended(first.chunk().await.unwrap());
    assert!(first.chunk().await.is_none());
    node.revoke(&node.clerk).await;
    assert_ended(second.chunk().await.unwrap());

    let root = node.log_in(&node.root).await;
    let mut third = stream(&node, &root).await;
    node.time.advance(Duration::from_mins(31));
    assert_ended(third.chunk().await.unwrap());
}

#[tokio::test]
async fn a_principal_has_a_few_sessions_and_the_oldest_ends() {
    let node = Guarded::start().await;
    let first = node.log_in(&node.clerk).await;
    node.time.advance(Duration::from_secs(1));
    for _ in 1..20 {
        node.log_in(&node.clerk).await;
    }
    node.time.advance(Duration::from_secs(1));
    assert_eq!(node.page("GET /services", &first).await.status, 200);
    node.time.advance(Duration::from_secs(1));
    let last = node.log_in(&node.clerk).await;
    // It was used after the others: one of those has ended.
    assert_eq!(node.page("GET /services", &first).await.status, 200);
    assert_eq!(node.page("GET /services", &last).await.status, 200);
    for _ in 0..20 {
        node.time.advance(Duration::from_secs(1));
        node.log_in(&node.clerk).await;
    }
    let answer = node.page("GET /services", &first).await;
    assert_refused(&answer, 401, "CREDENTIAL_INVALID");
}

#[tokio::test]
async fn a_new_log_in_ends_the_session_of_before() {
    let node = Guarded::start().await;
    let before = node.log_in(&node.clerk).await;
    let answer = node.try_log_in(&node.root, &[PAGE, SAME, &before]).await;
    let after = cookie_of(&answer);
    assert_ne!(before, after);
    let shown = node.page(&format!("GET {SESSION}"), &after).await.json();
    assert_eq!(shown["caller"]["principal"], "root".into());
    let answer = node.page("GET /services", &before).await;
    assert_refused(&answer, 401, "CREDENTIAL_INVALID");
}

/// gRPC clients are no browsers: they send credentials themselves.
#[tokio::test]
async fn the_cookie_is_no_credential_of_grpc() {
    let node = Guarded::start().await;
    let cookie = node.log_in(&node.root).await;
    let cookie = cookie.strip_prefix("cookie: ").unwrap();
    let address = format!("http://{}", node.address());
    let mut stub = InvocationServiceClient::connect(address).await.unwrap();
    let mut request = tonic::Request::new(v1::InvokeRequest {
        service: "cidery.ping".to_owned(),
        ..v1::InvokeRequest::default()
    });
    let headers = request.metadata_mut();
    headers.insert("cookie", cookie.parse().unwrap());
    headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
    let refused = stub.invoke(request).await.unwrap_err();
    assert_eq!(error_of(&refused).reason(), "CREDENTIAL_REQUIRED");
}

#[tokio::test]
async fn handlers_see_nothing_of_it() {
    let metadata = async |context: Context| {
        let metadata = context.metadata().iter();
        let names = metadata.map(|(name, _)| Value::from(name.to_owned()));
        Value::List(names.collect())
    };
    let node = Guarded::start_with(Node::builder().service("names", metadata)).await;
    let cookie = node.log_in(&node.root).await;
    let headers = [cookie.as_str(), PAGE, SAME, "tenant: a"];
    let answer = call(node.address(), "POST /invoke/names", &headers, "").await;
    assert_eq!(answer.json(), Value::List(vec!["tenant".into()]));
    let body = r#"{"service":"names","metadata":{"tenant":"a"}}"#;
    let headers = [&headers[..], &[JSON]].concat();
    let request = "POST /cidery.v1.InvocationService/Invoke";
    let answer = call(node.address(), request, &headers, body).await;
    assert!(answer.body.contains("tenant"), "{answer:?}");
    assert!(!answer.body.contains("cookie") && !answer.body.contains("console"));
}

#[tokio::test]
async fn without_authentication_there_is_nothing_to_log_in_to() {
    let node = super::demo().await;
    let shown = get(node.address(), SESSION, &[PAGE]).await.json();
    assert_eq!(shown["authentication"], false.into());
    assert_eq!(shown["caller"]["credential"], "NONE".into());
    assert_eq!(shown["caller"]["rights"]["administer"], true.into());
    let request = format!("POST {SESSION}");
    let body = "{\"api_key\":\"cdy_a_b\"}";
    let answer = call(node.address(), &request, &[JSON, PAGE, SAME], body).await;
    assert_refused(&answer, 400, "AUTHENTICATION_OFF");
    // The page sends its header all the same.
    let answer = call(node.address(), "POST /invoke/cidery.ping", &[PAGE], "").await;
    assert_eq!(answer.status, 200);
    let ended = call(node.address(), &format!("DELETE {SESSION}"), &[PAGE], "").await;
    assert_eq!(ended.status, 204);
}

#[tokio::test]
async fn the_end_of_a_session_is_told() {
    let node = Guarded::start().await;
    let cookie = node.log_in(&node.root).await;
    let shown = node.page(&format!("GET {SESSION}"), &cookie).await.json();
    let end: jiff::Timestamp = text(&shown["session_expire_time"]).parse().unwrap();
    let left = end.duration_since(node.time.now());
    assert!(left.as_secs().abs_diff(3 * 3_600) <= 1, "{left}");
}
