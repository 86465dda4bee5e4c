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
    // All paths but those of services that are there to take long or to fail, with some of what is possible.
    let paths = [
        "--exclude-path-regex",
        "^/invoke/demo[.](sleep|fail|flaky)$",
    ];
    make_requests(
        &[
            &paths[..],
            &["--phases", "examples,fuzzing", "--max-examples", "10"],
        ]
        .concat(),
    );
}

/// Each value that a schema allows, and each kind that it does not, of each parameter. All services have the same
/// parameters: two of them will do, one of which takes a list.
#[test]
fn answers_to_values_at_their_bounds_are_those_that_the_document_names() {
    let paths = ["--exclude-path-regex", "^/invoke/(?!customer[.])"];
    make_requests(&[&paths[..], &["--phases", "coverage"]].concat());
}

fn make_requests(options: &[&str]) {
    let Some(schemathesis) = tool("CIDERY_SCHEMATHESIS", "checks of /openapi.json") else {
        return;
    };
    let server = Server::start(&[]);
    let folder = crate::support::Folder::new("schemathesis");
    let output = Command::new(schemathesis)
        .current_dir(folder.path())
        .arg("run")
        .arg(format!("http://{}/openapi.json", server.address))
        .args(options)
        .args(["--checks", CHECKS, "--no-color"])
        .args(["--seed", "1", "--generation-database", "none"])
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

/// The types and the headers of answers to a call, as the document has them.
#[tokio::test]
async fn all_types_and_headers_of_an_answer_are_documented() {
    let node = TestNode::demo().await;
    let document = get(node.address(), "/openapi.json", &[]).await.json();
    let responses = &document["paths"]["/invoke/customer.get"]["post"]["responses"];
    let keys = |value: &Value| -> Vec<String> {
        let keys = value.as_dict().unwrap().keys();
        keys.map(str::to_ascii_lowercase).collect()
    };
    let accepted = &document["components"]["responses"]["Accepted"];
    let headers = [&responses["200"], accepted].map(|response| keys(&response["headers"]));
    let types = keys(&responses["200"]["content"]);
    let call = async |query: &str, more: &[(&str, &str)]| {
        let json = [("content-type", "application/json")];
        let path = format!("/invoke/customer.get{query}");
        let body = br#"{"cust_id":1,"unknown":2}"#;
        let answer = send(
            node.address(),
            "POST",
            &path,
            &[&json[..], more].concat(),
            body,
        )
        .await;
        let index = match answer.status {
            200 => 0,
            202 => 1,
            _ => panic!("{answer:?}"),
        };
        let names = answer.headers.keys().map(http::HeaderName::as_str);
        let special = names.filter(|name| {
            name.starts_with("cidery-") || ["location", "preference-applied"].contains(name)
        });
        let special: Vec<String> = special.map(str::to_owned).collect();
        let undocumented = special.iter().filter(|name| !headers[index].contains(name));
        assert_eq!(undocumented.count(), 0, "{special:?}");
        (answer, special.len())
    };
    for name in [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/csv",
    ] {
        let (answer, _) = call("", &[("accept", name)]).await;
        let answered = answer.get("content-type").split(';').next().unwrap();
        assert_eq!(answered, name);
        assert!(
            types.iter().any(|documented| documented == answered),
            "{answered}: {types:?}"
        );
    }
    // All that there are.
    for (query, prefer) in [("", "wait=30"), ("?async", "respond-async")] {
        let key = [("idempotency-key", query.len().to_string())];
        let key: Vec<_> = key
            .iter()
            .map(|(name, key)| (*name, key.as_str()))
            .collect();
        let more = [&key[..], &[("prefer", prefer)]].concat();
        call(query, &more).await;
        let (answer, count) = call(query, &more).await;
        assert_eq!(count, 4 + query.len().min(1), "{answer:?}");
    }
    // What a parameter cannot be by the document, it cannot be.
    for path in [
        "/services?page_size=0",
        "/invocations?page_size=0",
        "/invocations?root_cid=",
        "/invocations?parent_cid=x",
    ] {
        let answer = get(node.address(), path, &[]).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
}
