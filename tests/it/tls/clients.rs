//! The clients of `examples/` in other languages, and grpcurl, with API keys.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use cidery::codec::json;
use cidery::engine::access::NewApiKey;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::remote::client::ContractClient;
use cidery::{Client, ClientCredential, Kind, Node, Value, dict};

use super::TlsNode;
use crate::access::{admin, store_with};
use crate::support::binary::{stderr, stdout, tool};
use crate::support::certificates::{Ca, write};
use crate::support::programs::{Program, Role, go, java, node, python};
use crate::support::{Folder, any_port, secret_of};

/// A node with a certificate that asks who calls, and the files of its CA and of another one.
struct Guarded {
    folder: Folder,
    node: TlsNode,
    ca: Ca,
    right: PathBuf,
    key: String,
    /// Keys that are refused, with what the refusal says.
    refused: [(String, &'static str); 3],
}

impl Guarded {
    async fn start() -> Self {
        let (folder, ca) = (Folder::new("clients"), Ca::new());
        let expiring = NewApiKey {
            ttl: Some(Duration::from_secs(1)),
            ..admin("old")
        };
        let past = Clock::Manual(ManualClock::at(jiff::Timestamp::UNIX_EPOCH));
        let keys = [admin("root"), expiring, admin("left")];
        let (store, keys) = store_with(keys, &past).await;
        let [key, expired, revoked] = keys.map(|key| key.expose().to_owned());
        let builder = Node::builder().demo().store(store);
        let builder = builder.tls(ca.node().serve()).listen(any_port());
        let handle = builder.start().await.unwrap();
        let url = format!("https://{}", handle.address().unwrap());
        let root = ContractClient::connect_with_tls(&url, ca.trusted()).await;
        let root = root
            .unwrap()
            .credential(ClientCredential::api_key(&key).unwrap());
        let id = revoked.split('_').nth(1).unwrap();
        root.revoke_api_key(id).await.unwrap();
        // Only the last character of the secret differs.
        let end = if key.ends_with('A') { "E" } else { "A" };
        let wrong = format!("{}{end}", &key[..key.len() - 1]);
        Self {
            right: write(&folder, "right.pem", &ca.pem),
            node: TlsNode { handle, url },
            refused: [
                (wrong, "not one of this node's"),
                (expired, "has expired"),
                (revoked, "was revoked"),
            ],
            folder,
            ca,
            key,
        }
    }
}

/// Asserts that a call was refused, and that its output says why without the key.
#[track_caller]
fn assert_refused(output: &Output, key: &str, code: &str, says: &str) {
    let text = stderr(output) + &stdout(output);
    assert!(!output.status.success(), "{text}");
    for part in [code, says] {
        assert!(text.contains(part), "`{part}`: {text}");
    }
    assert!(!text.contains(secret_of(key)), "{text}");
}

/// Runs a client with the right CA and with a wrong one, and with keys.
async fn calls(program: Option<Program>) {
    let Some(program) = program else { return };
    let node = Guarded::start().await;
    let run = |ca: &Path, key: Option<&str>| {
        let mut command = program.command();
        command.env("CIDERY_CA", ca).env("GRPC_VERBOSITY", "NONE");
        command.env_remove("CIDERY_API_KEY");
        command.envs(key.map(|key| ("CIDERY_API_KEY", key)));
        let address = node.node.url.as_str();
        command.args([address, "customer.get", "{\"cust_id\": 1}", "sync", "20"]);
        command.output().unwrap()
    };
    let right = run(&node.right, Some(&node.key));
    let answer = json::read(stdout(&right).trim().as_bytes())
        .unwrap_or_else(|_| panic!("{}", stderr(&right)));
    assert_eq!(answer["cust_name"], Value::from("Alexis Smith"));
    let begins = |output: &Output, with: &str| {
        let text = stderr(output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.lines().any(|line| line.starts_with(with)), "{text}");
    };
    let without = run(&node.right, None);
    begins(&without, "UNAUTHENTICATED CREDENTIAL_REQUIRED: ");
    for (key, says) in &node.refused {
        let refused = run(&node.right, Some(key));
        begins(&refused, "UNAUTHENTICATED CREDENTIAL_INVALID: ");
        assert_refused(&refused, key, "UNAUTHENTICATED", says);
    }
    let other = write(&node.folder, "wrong.pem", &Ca::new().pem);
    begins(&run(&other, Some(&node.key)), "UNAVAILABLE: ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_python_client_calls() {
    calls(python(Role::Client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_go_client_calls() {
    calls(go(Role::Client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_client_calls() {
    calls(node(Role::Client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_java_client_calls() {
    calls(java(Role::Client)).await;
}

#[tokio::test]
async fn a_rust_client_calls() {
    let node = Guarded::start().await;
    let call = async |key: Option<&str>| {
        let client = Client::connect_with_tls(&node.node.url, node.ca.trusted()).await?;
        let client = match key {
            Some(key) => client.api_key(key)?,
            None => client,
        };
        client.invoke("customer.get", dict! { "cust_id": 1 }).await
    };
    call(Some(&node.key)).await.unwrap();
    let error = call(None).await.unwrap_err();
    assert_eq!(error.reason(), "CREDENTIAL_REQUIRED");
    for (key, says) in &node.refused {
        let error = call(Some(key)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.reason(), error.is_retryable()),
            (Kind::Unauthenticated, "CREDENTIAL_INVALID", false)
        );
        assert!(error.message().contains(says), "{error}");
        assert!(!format!("{error:?}").contains(secret_of(key)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn grpcurl_calls() {
    let Some(grpcurl) = tool("CIDERY_GRPCURL", "grpcurl") else {
        return;
    };
    let node = Guarded::start().await;
    let address = node.node.url.strip_prefix("https://").unwrap();
    let run = |ca: &Path, key: &str| {
        let mut command = Command::new(&grpcurl);
        command.env("CIDERY_API_KEY", key).arg("-cacert").arg(ca);
        // As docs/security.md says: the key is no argument.
        command.args([
            "-expand-headers",
            "-H",
            "authorization: Bearer ${CIDERY_API_KEY}",
        ]);
        command.args(["-d", "{\"cust_id\": 1}", address, "customer.Service/Get"]);
        command.output().unwrap()
    };
    let right = run(&node.right, &node.key);
    let answer =
        json::read(stdout(&right).as_bytes()).unwrap_or_else(|_| panic!("{}", stderr(&right)));
    assert_eq!(answer["cust_name"], Value::from("Alexis Smith"));
    for (key, says) in &node.refused {
        assert_refused(&run(&node.right, key), key, "Unauthenticated", says);
    }
    let other = write(&node.folder, "wrong.pem", &Ca::new().pem);
    assert!(!run(&other, &node.key).status.success());
    let plain = Command::new(&grpcurl)
        .args(["-plaintext", address, "list"])
        .output()
        .unwrap();
    assert!(
        stderr(&plain).contains("this port uses TLS"),
        "{}",
        stderr(&plain)
    );
}
