//! `/openapi.json` and the page `/docs`.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cidery::engine::access::NewApiKey;
use cidery::engine::clock::Clock;
use cidery::model::access::{NamePattern, Rights};
use cidery::{Node, Value};
use sha2::{Digest as _, Sha256};

use super::{Answer, send};
use crate::access::{admin, store_with};
use crate::support::binary::{Server, stderr, stdout, tool};
use crate::support::{TestNode, any_port};

async fn get(address: std::net::SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(address, "GET", path, headers, b"").await
}

fn invoked(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_dict().unwrap().keys();
    let paths = paths.filter_map(|path| path.strip_prefix("/invoke/"));
    paths.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_document_is_that_of_the_moment() {
    let node = TestNode::demo().await;
    let first = get(node.address(), "/openapi.json", &[]).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.get("content-type"), "application/json");
    let document = first.json();
    assert_eq!(document["openapi"], "3.1.0".into());
    assert!(invoked(&document).contains(&"customer.get".to_owned()));
    let etag = first.get("etag");
    for known in [etag, "*", &format!("W/{etag}, \"x\"")] {
        let answer = get(node.address(), "/openapi.json", &[("if-none-match", known)]).await;
        assert_eq!((answer.status, answer.get("etag")), (304, etag));
    }
    let service = crate::support::echo("later.one", cidery::sio::Sio::new());
    node.handle.invoker().add_service(service).unwrap();
    let later = get(node.address(), "/openapi.json", &[("if-none-match", etag)]).await;
    assert_eq!(later.status, 200);
    assert!(invoked(&later.json()).contains(&"later.one".to_owned()));
}

#[test]
fn the_command_writes_the_same_document() {
    let server = Server::start(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = server.address.parse().unwrap();
    let answer = runtime.block_on(get(address, "/openapi.json", &[]));
    let exported = server.run(&["export", "openapi"]);
    assert!(exported.status.success(), "{}", stderr(&exported));
    assert_eq!(stdout(&exported), answer.json_text());
    let one = server.run(&["export", "openapi", "--service", "customer.get"]);
    let one = cidery::codec::json::read(&one.stdout).unwrap();
    assert_eq!(invoked(&one), ["customer.get"]);
    let none = server.run(&["export", "openapi", "--service", "customer.got"]);
    assert!(stderr(&none).contains("customer.get"), "{}", stderr(&none));
}

#[tokio::test]
async fn a_caller_sees_what_it_may_invoke() {
    let caller = NewApiKey {
        rights: Rights {
            invoke: vec![NamePattern::parse("/invoke", "customer.*").unwrap()],
            ..Rights::default()
        },
        ..admin("caller")
    };
    let (store, [key]) = store_with([caller], &Clock::System).await;
    let builder = Node::builder().store(store).demo().listen(any_port());
    let node = builder.start().await.unwrap();
    let address = node.address().unwrap();
    let refused = get(address, "/openapi.json", &[]).await;
    assert_eq!(refused.status, 401);
    let key = format!("Bearer {}", key.expose());
    let answer = get(address, "/openapi.json", &[("authorization", &key)]).await;
    let seen = invoked(&answer.json());
    assert!(
        seen.iter().all(|name| name.starts_with("customer.")),
        "{seen:?}"
    );
    assert!(!seen.is_empty());
    // The page has nothing in it, and a browser opens it without a credential.
    assert_eq!(get(address, "/docs", &[]).await.status, 200);
    node.stop().await;
}

/// Between two texts.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap();
    rest.split_once(end).unwrap().0
}

/// A browser runs the script of the page, and nothing else.
#[tokio::test]
async fn the_page_has_a_strict_policy() {
    let node = TestNode::demo().await;
    let page = get(node.address(), "/docs", &[]).await;
    assert_eq!(page.get("content-type"), "text/html; charset=utf-8");
    let policy = page.get("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    let text = page.json_text();
    for (name, directive) in [("script", "script-src"), ("style", "style-src")] {
        let inline = between(&text, &format!("<{name}>"), &format!("</{name}>"));
        let hash = STANDARD.encode(Sha256::digest(inline));
        assert!(
            policy.contains(&format!("{directive} 'sha256-{hash}'")),
            "{name}"
        );
    }
    for foreign in ["src=", "href=", "http://", "https://", "innerHTML", " on"] {
        assert!(!text.contains(&format!("<script {foreign}")), "{foreign}");
    }
    assert!(!text.contains("innerHTML") && !text.contains("://"));
}

/// Requests that are made of the document, valid and invalid ones: no answer is a failure of the node, and each is one
/// of those that the document names.
#[test]
fn answers_are_those_that_the_document_names() {
    let Some(schemathesis) = tool("CIDERY_SCHEMATHESIS", "checks of /openapi.json") else {
        return;
    };
    let server = Server::start(&[]);
    let folder = crate::support::Folder::new("schemathesis");
    let output = Command::new(schemathesis)
        .current_dir(folder.path())
        .arg("run")
        .arg(format!("http://{}/openapi.json", server.address))
        .args([
            "--seed",
            "1",
            "--max-examples",
            "10",
            "--phases",
            "examples,fuzzing",
        ])
        .args([
            "--exclude-path-regex",
            "^/invoke/(demo[.](sleep|fail|flaky)|cidery[.])|/events$",
        ])
        .args([
            "--checks",
            CHECKS,
            "--no-color",
            "--generation-database",
            "none",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
}

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";
