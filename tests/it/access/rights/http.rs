//! Every path of plain HTTP refuses callers without a credential, and those without its right, as `docs/rights.md`
//! says.

use cidery::Cid;
use cidery::model::access::{NamePattern, Rights, Scope};

use super::{bearer, invoking, node, none};
use crate::plain_http::client::{Answer, Client, call, text};
use crate::support::TestNode;

const TABLE: &str = include_str!("../../../../docs/rights.md");
const CID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The right that the documentation names for each method of a path.
fn documented() -> Vec<(String, &'static str)> {
    let rows = TABLE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let path = cells.next()?.trim().trim_end_matches('`');
        let right = cells.next()?.trim().trim_matches('`');
        path.contains(" /").then(|| (path.to_owned(), right))
    });
    rows.collect()
}

fn only(right: &str) -> Rights {
    match right {
        "invoke" => Rights {
            invoke: vec![NamePattern::all()],
            ..none()
        },
        "read" => Rights {
            read: Scope::All,
            ..none()
        },
        "control" => Rights {
            control: Scope::All,
            ..none()
        },
        _ => none(),
    }
}

async fn as_caller(node: &TestNode, caller: Option<&str>, request: &str) -> Answer {
    let header = caller.map(|name| format!("authorization: {}", bearer(name)));
    let headers: Vec<&str> = header.as_deref().into_iter().collect();
    call(node.address(), request, &headers, "").await
}

#[tokio::test]
async fn the_documented_right_is_needed_and_enough() {
    let documented = documented();
    assert_eq!(documented.len(), 15, "{documented:?}");
    let rights = ["invoke", "read", "control"];
    let mut people: Vec<_> = rights.into_iter().map(|it| (it, only(it))).collect();
    people.push(("nobody", none()));
    let node = node(people).await;
    for (path, right) in documented {
        let token = if path.ends_with("/complete") {
            "?token=11111111111111111111111111111111"
        } else {
            ""
        };
        let request = path
            .replace("{service}", "cidery.ping")
            .replace("{cid}", CID);
        let request = format!("{request}{token}");
        let open = as_caller(&node, None, &request).await;
        if right == "none" {
            assert_eq!(open.status, 200, "{request}: {open:?}");
            continue;
        }
        assert_eq!(
            (open.status, open.reason().as_str()),
            (401, "CREDENTIAL_REQUIRED"),
            "{request}"
        );
        assert_eq!(
            open.header("www-authenticate"),
            Some("Bearer realm=\"cidery\"")
        );
        let someone = as_caller(&node, Some("someone"), &request).await;
        assert_eq!(
            (someone.status, someone.reason().as_str()),
            (401, "CREDENTIAL_INVALID")
        );
        let nobody = as_caller(&node, Some("nobody"), &request).await;
        if right == "credential" {
            assert_eq!(nobody.status, 200, "{request}: {nobody:?}");
            continue;
        }
        // What is out of reach is as unknown.
        let refused = ["NOT_PERMITTED", "CID_UNKNOWN"];
        assert!(
            refused.contains(&nobody.reason().as_str()),
            "{request}: {nobody:?}"
        );
        let allowed = as_caller(&node, Some(right), &request).await;
        if allowed.status != 200 {
            assert_eq!(allowed.reason(), "CID_UNKNOWN", "{request}: {allowed:?}");
        }
    }
}

/// The rights hold on one connection for each request: the credential of the one before proves nothing.
#[tokio::test]
async fn each_request_of_a_connection_has_its_own_caller() {
    let node = node(vec![
        ("ann", invoking(&["cidery.*"])),
        ("bob", invoking(&["demo.*"])),
    ])
    .await;
    let mut client = Client::connect(node.address()).await;
    for (caller, status) in [
        (Some("ann"), 200),
        (None, 401),
        (Some("bob"), 403),
        (Some("ann"), 200),
    ] {
        let header = caller.map(|name| format!("authorization: {}", bearer(name)));
        let headers: Vec<&str> = header.as_deref().into_iter().collect();
        let answer = client.call("POST /invoke/cidery.ping", &headers, "").await;
        assert_eq!(answer.status, status, "{caller:?}: {answer:?}");
        assert!(!answer.head.contains("cdy_") && !answer.body.contains("cdy_"));
    }
}

#[tokio::test]
async fn invocations_of_others_are_unknown() {
    let node = node(vec![("ann", invoking(&["*"])), ("bob", invoking(&["*"]))]).await;
    let accepted = as_caller(
        &node,
        Some("ann"),
        "POST /invoke/cidery.ping?async&delay=1h",
    )
    .await;
    let cid = text(&accepted.json()["cid"]);
    assert!(Cid::parse(&cid).is_ok());
    for request in [
        format!("GET /invocations/{cid}"),
        format!("GET /invocations/{cid}/events"),
        format!("DELETE /invocations/{cid}"),
    ] {
        let answer = as_caller(&node, Some("bob"), &request).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (404, "CID_UNKNOWN"),
            "{request}"
        );
    }
    let page = as_caller(&node, Some("bob"), "GET /invocations")
        .await
        .json();
    assert_eq!(page["invocations"], cidery::Value::List(Vec::new()));
    let found = as_caller(&node, Some("ann"), &format!("GET /invocations/{cid}"))
        .await
        .json();
    assert_eq!(found["principal"], "ann".into());
}

/// A stream ends with the credential that opened it.
#[tokio::test]
async fn a_stream_of_events_ends_with_its_credential() {
    let administrator = Rights {
        administer: true,
        ..none()
    };
    let node = node(vec![("ann", invoking(&["*"])), ("root", administrator)]).await;
    let accepted = as_caller(
        &node,
        Some("ann"),
        "POST /invoke/cidery.ping?async&delay=1h",
    )
    .await;
    let path = accepted.header("location").unwrap().to_owned();
    let mut client = Client::connect(node.address()).await;
    let header = format!("authorization: {}", bearer("ann"));
    client
        .send(format!(
            "GET {path}/events HTTP/1.1\r\nhost: localhost\r\n{header}\r\n\r\n"
        ))
        .await;
    assert_eq!(client.head().await.status, 200);
    client.chunk().await.unwrap();
    let revoke = cidery::codec::proto::v1::RevokeApiKeyRequest {
        id: "ann".to_owned(),
    };
    let revoked = super::call(
        &node,
        Some("root"),
        "/cidery.v1.SecurityService/RevokeApiKey",
        &revoke,
    )
    .await;
    assert!(super::failure(&revoked).is_none());
    let last = String::from_utf8(client.chunk().await.unwrap()).unwrap();
    assert!(
        last.starts_with("event: problem\n") && last.contains("CREDENTIAL_INVALID"),
        "{last}"
    );
    assert!(client.chunk().await.is_none());
}
