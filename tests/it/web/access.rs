//! Who may call by these protocols: credentials, rights and web pages, as for gRPC.

use cidery::engine::access::NewApiKey;
use cidery::engine::clock::Clock;
use cidery::model::access::{NamePattern, Rights};
use cidery::{Node, NodeHandle};

use super::{Answer, enveloped, messages, post};
use crate::access::{admin, store_with};
use crate::support::{TestNode, any_port};

/// A node, and the credentials of an administrator and of a caller that may invoke `cidery.*`.
async fn guarded() -> (NodeHandle, [String; 2]) {
    let caller = NewApiKey {
        rights: Rights {
            invoke: vec![NamePattern::parse("/invoke", "cidery.*").unwrap()],
            ..Rights::default()
        },
        ..admin("caller")
    };
    let (store, keys) = store_with([admin("operator"), caller], &Clock::System).await;
    let builder = Node::builder().store(store).demo().listen(any_port());
    let keys = keys.map(|key| format!("Bearer {}", key.expose()));
    (builder.start().await.unwrap(), keys)
}

async fn json(node: &NodeHandle, method: &str, credential: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(credential.map(|credential| ("authorization", credential)));
    let address = node.address().unwrap();
    post(address, &format!("/{method}"), &headers, body.as_bytes()).await
}

#[tokio::test]
async fn callers_are_authenticated_and_have_the_rights_of_grpc() {
    let (node, [operator, caller]) = guarded().await;
    let invoke = "cidery.v1.InvocationService/Invoke";
    let ping = r#"{"service":"cidery.ping"}"#;
    let status = "cidery.v1.AdminService/GetStatus";
    let typed = "customer.Service/Get";
    let cust = r#"{"cust_id":1}"#;
    for (method, body, credential, expected, reason) in [
        (invoke, ping, None, 401, "CREDENTIAL_REQUIRED"),
        (
            invoke,
            ping,
            Some("Bearer cdy_no_key"),
            401,
            "CREDENTIAL_INVALID",
        ),
        (invoke, ping, Some(caller.as_str()), 200, ""),
        (status, "", Some(&caller), 403, "NOT_PERMITTED"),
        (status, "", Some(&operator), 200, ""),
        (typed, cust, Some(&operator), 200, ""),
        // Nothing is told about its message.
        (typed, r#"{"x":1}"#, None, 401, "CREDENTIAL_REQUIRED"),
        (typed, "{", None, 401, "CREDENTIAL_REQUIRED"),
        ("grpc.health.v1.Health/Check", "", None, 200, ""),
    ] {
        let answer = json(&node, method, credential, body).await;
        assert_eq!(answer.status, expected, "{method}: {}", answer.json_text());
        if !reason.is_empty() {
            assert_eq!(answer.reason(), reason, "{method}");
        }
        if expected == 401 {
            let error = match reason {
                "CREDENTIAL_INVALID" => ", error=\"invalid_token\"",
                _ => "",
            };
            let challenge = format!("Bearer realm=\"cidery\"{error}");
            assert_eq!(answer.get("www-authenticate"), challenge);
        }
    }
    // What a caller may not invoke is not known to it, whatever it sends.
    let unknown = json(&node, "customer.Service/Nothing", Some(&caller), "{}").await;
    for body in [cust, r#"{"x":1}"#] {
        let hidden = json(&node, typed, Some(&caller), body).await;
        assert_eq!(hidden.status, unknown.status, "{}", hidden.json_text());
        assert!(!hidden.json_text().contains("cust_id"));
    }
    node.stop().await;
}

#[tokio::test]
async fn grpc_web_and_streams_need_a_credential() {
    let (node, _) = guarded().await;
    let address = node.address().unwrap();
    let path = "/cidery.v1.InvocationService/StreamResults";
    for content_type in ["application/grpc-web", "application/connect+json"] {
        let headers = [("content-type", content_type)];
        let answer = post(address, path, &headers, &enveloped(0, b"")).await;
        let text = String::from_utf8_lossy(&messages(&answer.body)[0].1).into_owned();
        let code = match content_type {
            "application/grpc-web" => "grpc-status:16",
            _ => "\"unauthenticated\"",
        };
        assert!(text.contains(code), "{text}");
    }
    node.stop().await;
}

/// A page from elsewhere, and one whose own name resolves to the node.
#[tokio::test]
async fn web_pages_of_others_are_refused() {
    let node = TestNode::demo().await;
    let body = enveloped(0, b"");
    for content_type in [
        "application/json",
        "application/proto",
        "application/connect+json",
        "application/grpc-web",
        "application/grpc-web-text",
    ] {
        for (name, value, status) in [
            ("origin", "https://evil.example", 403),
            ("origin", "null", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("host", "evil.example", 421),
        ] {
            let headers = [("content-type", content_type), (name, value)];
            let path = "/cidery.v1.InvocationService/Invoke";
            let answer = post(node.address(), path, &headers, &body).await;
            assert_eq!(answer.status, status, "{content_type} {name}");
        }
    }
    // Without a preflight, a page can only send forms and plain text.
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let headers = [("content-type", content_type)];
        let path = "/cidery.v1.InvocationService/Invoke";
        let answer = post(node.address(), path, &headers, b"{}").await;
        assert_eq!(answer.status, 415);
    }
}
