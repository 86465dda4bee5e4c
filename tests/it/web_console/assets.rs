//! The page and the files: which path has what, for whom, and how browsers keep it.

use cidery::{ConsoleOptions, Node};

use super::{NAVIGATION, demo, get, node};
use crate::plain_http::client::{Answer, call};
use crate::support::any_port;

/// Each header that keeps the page to itself.
const STRICT: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

#[track_caller]
fn assert_strict(answer: &Answer) {
    for (name, value) in STRICT {
        assert_eq!(answer.header(name), Some(value), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_browser_gets_the_page_and_others_what_they_got_before() {
    let node = demo().await;
    for path in [
        "/",
        "/console",
        "/console/",
        "/console/services/customer.get",
    ] {
        let page = get(node.address(), path, &[NAVIGATION]).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        assert!(page.body.starts_with("<!doctype html>"), "{}", page.body);
        assert_strict(&page);
    }
    for (path, headers) in [
        ("/", &[][..]),
        ("/", &["accept: */*"]),
        ("/", &["accept: application/json"]),
        ("/console/other.js", &["accept: */*"]),
        ("/console/other.js", &[NAVIGATION]),
        ("/consoles", &[NAVIGATION]),
    ] {
        let answer = get(node.address(), path, headers).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (404, "PATH_UNKNOWN"),
            "{path} {headers:?}"
        );
    }
    let answer = call(node.address(), "POST /console/", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, HEAD, OPTIONS"))
    );
    assert_strict(&answer);
}

/// The address of the script, as the page has it.
fn script(page: &str) -> &str {
    let (_, from) = page.split_once("src=\"").unwrap();
    from.split('"').next().unwrap()
}

#[tokio::test]
async fn files_are_kept_for_as_long_as_their_address_is_theirs() {
    let node = demo().await;
    let page = get(node.address(), "/", &[NAVIGATION]).await;
    let script = script(&page.body);
    assert!(script.starts_with("/console/@"), "{script}");
    let kept = get(node.address(), script, &[]).await;
    assert_eq!(kept.status, 200);
    assert_eq!(
        kept.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(
        kept.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    assert_strict(&kept);
    let name = script.rsplit('/').next().unwrap();
    let path = format!("/console/{name}");
    let asked = get(node.address(), &path, &[]).await;
    assert_eq!(asked.header("cache-control"), Some("no-cache"));
    assert_eq!(asked.body, kept.body);
    let etag = asked.header("etag").unwrap();
    let known = format!("if-none-match: \"other\", {etag}");
    let unchanged = get(node.address(), &path, &[&known]).await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    assert_eq!(unchanged.header("etag"), Some(etag));
    assert_strict(&unchanged);
    let other = get(node.address(), &path, &["if-none-match: \"other\""]).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn only_those_who_accept_gzip_get_it() {
    let node = demo().await;
    let head = |headers: &'static [&'static str]| {
        let address = node.address();
        async move { call(address, "HEAD /console/index.html", headers, "").await }
    };
    let plain = head(&[]).await;
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("accept-encoding, accept"));
    let compressed = head(&["accept-encoding: gzip, deflate, br"]).await;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    let length = |answer: &Answer| {
        let length = answer.header("content-length").unwrap();
        length.parse::<usize>().unwrap()
    };
    assert!(length(&compressed) < length(&plain));
    let refused = head(&["accept-encoding: gzip;q=0"]).await;
    assert_eq!(length(&refused), length(&plain));
}

#[tokio::test]
async fn a_node_without_a_console_has_none_of_its_paths() {
    let mut options = ConsoleOptions::default();
    options.enabled = false;
    let node = node(Node::builder().console(options)).await;
    for path in ["/", "/console", "/console/index.html", "/console/session"] {
        let answer = get(node.address(), path, &[NAVIGATION]).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (404, "PATH_UNKNOWN"),
            "{path}"
        );
        assert_eq!(answer.header("content-security-policy"), None);
    }
}

#[tokio::test]
async fn a_route_of_the_host_replaces_the_page() {
    use cidery::axum::{Router, routing::get as route};
    let routes = Router::new().route("/", route(async || "of the host"));
    let node = node(Node::builder().routes(routes)).await;
    let page = get(node.address(), "/", &[NAVIGATION]).await;
    assert_eq!(page.body, "of the host");
    assert_eq!(get(node.address(), "/console/", &[]).await.status, 200);
    // Routes of a host never get requests of other sites.
    let link = [
        "sec-fetch-site: cross-site",
        "sec-fetch-mode: navigate",
        "sec-fetch-dest: document",
    ];
    assert_eq!(get(node.address(), "/", &link).await.status, 403);
}

/// The page calls the node it came from; pages of others do not, wherever they are.
#[tokio::test]
async fn only_the_page_of_the_node_itself_calls_it() {
    let node = node(
        Node::builder()
            .listen(any_port())
            .allow_host("node.example"),
    )
    .await;
    let own = format!("origin: http://{}", node.address());
    let request = "POST /cidery.v1.DiscoveryService/ListServices";
    for (status, headers) in [
        (200, vec![own.as_str(), "sec-fetch-site: same-origin"]),
        // A proxy in front has TLS.
        (
            200,
            vec![
                "origin: https://node.example",
                "sec-fetch-site: same-origin",
            ],
        ),
        (403, vec!["origin: https://other.example"]),
        (403, vec!["origin: null"]),
        (403, vec![own.as_str(), "sec-fetch-site: cross-site"]),
        (421, vec!["host: other.example", own.as_str()]),
    ] {
        let all = [&["content-type: application/json"], &headers[..]].concat();
        let answer = call(node.address(), request, &all, "{}").await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
}

#[tokio::test]
async fn other_sites_may_link_to_the_page_and_load_none_of_it() {
    let node = demo().await;
    let cross = "sec-fetch-site: cross-site";
    let (navigate, document) = ("sec-fetch-mode: navigate", "sec-fetch-dest: document");
    for (path, headers, status) in [
        ("/", [cross, navigate, document], 200),
        ("/console/invocations/x", [cross, navigate, document], 200),
        ("/services", [cross, navigate, document], 403),
        ("/", [cross, navigate, "sec-fetch-dest: iframe"], 403),
        (
            "/console/index.html",
            [cross, "sec-fetch-mode: no-cors", "sec-fetch-dest: script"],
            403,
        ),
    ] {
        let all = [&[NAVIGATION], &headers[..]].concat();
        let answer = get(node.address(), path, &all).await;
        assert_eq!(answer.status, status, "{path} {headers:?}");
    }
}
