//! Client certificates that their CA has revoked.

use std::process::ExitStatus;
use std::time::Duration;

use cidery::engine::clock::ManualClock;
use cidery::model::call::Call;
use cidery::remote::client::{ContractClient, ResultStream};
use cidery::{ClientTls, Clock, ServerTls, dict};

use super::{TlsNode, assert_tls_failed, call};
use crate::support::binary::Server;
use crate::support::certificates::{Ca, write};
use crate::support::{Folder, PATIENCE};

const BILLING: &str = "spiffe://example.org/billing";

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_no_other() {
    let (ca, other) = (Ca::new(), Ca::new());
    let cas = format!("{}{}", ca.pem, other.pem);
    let tls = |lists: &str| {
        let tls = ca.node().serve().client_ca_pem(&cas);
        tls.client_crl_pem(lists)
    };
    let client = |of: &Ca, serial| of.client_numbered(BILLING, serial).client_of(&ca);
    let both = format!("{}{}", ca.revoke(&[7, 9]), other.revoke(&[8]));
    let node = TlsNode::start(tls(&both)).await;
    assert_tls_failed(node.call(client(&ca, 7)).await, &["revoked"]);
    assert_tls_failed(node.call(client(&other, 8)).await, &["revoked"]);
    node.call(client(&ca, 8)).await.unwrap();
    node.call(client(&other, 7)).await.unwrap();
    // Nobody knows what a CA without a list has revoked.
    let node = TlsNode::start(tls(&ca.revoke(&[]))).await;
    node.call(client(&ca, 7)).await.unwrap();
    assert_tls_failed(node.call(client(&other, 7)).await, &["--tls-client-crl"]);
    // A list that should have been replaced holds all the same.
    let node = TlsNode::start(tls(&ca.revoke_until(&[7], 2021))).await;
    assert_tls_failed(node.call(client(&ca, 7)).await, &["revoked"]);
    node.call(client(&ca, 8)).await.unwrap();
}

/// A client with a result stream that is open.
async fn streaming(node: &TlsNode, tls: ClientTls) -> (ContractClient, ResultStream) {
    let client = ContractClient::connect_with_tls(&node.url, tls).await;
    let client = client.unwrap().max_attempts(1);
    let sleep = Call::new("demo.sleep", dict! { "seconds": 3_600 });
    let cid = client.invoke_async(sleep).await.unwrap().cid;
    let mut stream = client.results(cid).await.unwrap();
    // It is accepted, and it has started.
    for _ in 0..2 {
        stream.next().await.unwrap().unwrap();
    }
    (client, stream)
}

#[tokio::test]
async fn the_connections_of_a_certificate_end_once_it_is_revoked() {
    let (folder, ca) = (Folder::new("revoked"), Ca::new());
    let (cas, lists) = (
        write(&folder, "cas.pem", &ca.pem),
        write(&folder, "lists.pem", &ca.revoke(&[])),
    );
    let tls = ca.node().serve().client_ca_file(cas).client_crl_file(lists);
    let node = TlsNode::start_with(tls, |builder| builder).await;
    let client = |serial| ca.client_numbered(BILLING, serial).client_of(&ca);
    let (_, mut revoked) = streaming(&node, client(7)).await;
    let (other, mut goes_on) = streaming(&node, client(8)).await;
    let both_open = node.handle.reload();
    both_open.await.unwrap();
    write(&folder, "lists.pem", &ca.revoke(&[7]));
    node.handle.reload().await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, revoked.next()).await;
    assert_tls_failed(ended.unwrap().map(drop), &["revoked"]);
    assert_tls_failed(node.call(client(7)).await, &["revoked"]);
    // Where the list cannot be used, the last one holds.
    write(&folder, "lists.pem", "no list");
    node.handle.reload().await.unwrap_err();
    assert_tls_failed(node.call(client(7)).await, &["revoked"]);
    other.invoke(Call::new("cidery.ping", ())).await.unwrap();
    // A CA that is withdrawn takes the connections of its clients with it.
    let next = Ca::new();
    write(&folder, "cas.pem", &next.pem);
    write(&folder, "lists.pem", &next.revoke(&[]));
    node.handle.reload().await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, goes_on.next()).await;
    assert_tls_failed(ended.unwrap().map(drop), &["--tls-client-ca"]);
}

/// Streams have no end of their own: a certificate that is valid for a day opens none for longer.
#[tokio::test]
async fn the_connections_of_a_certificate_end_once_it_has_expired() {
    let ca = Ca::new();
    let time = ManualClock::at("2090-06-30T12:00:00Z".parse().unwrap());
    let clock = Clock::Manual(time.clone());
    let tls = ca.node().serve().client_ca_pem(&ca.pem);
    let node = TlsNode::start_with(tls, |builder| builder.clock(clock)).await;
    let client = |year| ca.client_until(BILLING, year, 7, 1).client_of(&ca);
    let (_, mut expires) = streaming(&node, client(2090)).await;
    let (other, _goes_on) = streaming(&node, client(2091)).await;
    time.advance(Duration::from_hours(24));
    let ended = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(_)) = expires.next().await.transpose() {}
    });
    ended.await.unwrap();
    other.invoke(Call::new("cidery.ping", ())).await.unwrap();
}

#[tokio::test]
async fn lists_that_cannot_be_used_are_named() {
    let ca = Ca::new();
    let list = ca.revoke(&[]);
    let damaged = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    let serve = || ca.node().serve().client_ca_pem(&ca.pem);
    for (tls, says) in [
        (serve().client_crl_pem("no list"), "X509 CRL"),
        (serve().client_crl_pem(damaged), "revocation list"),
        (serve().client_crl_file("/nowhere"), "/nowhere"),
        (ca.node().serve().client_crl_pem(&list), "CAs of clients"),
    ] {
        let error = refused(tls).await;
        assert_eq!(crate::support::paths(&error), ["/tls_client_crl"]);
        assert!(error.message().contains(says), "{says}: {error}");
    }
}

async fn refused(tls: ServerTls) -> cidery::Error {
    let builder = cidery::Node::builder().tls(tls).no_listener();
    builder.start().await.unwrap_err()
}

#[tokio::test]
async fn the_command_reads_lists_and_says_what_is_wrong_with_them() {
    let (folder, ca, without_list) = (Folder::new("lists"), Ca::new(), Ca::named("old"));
    let (certificate, key) = ca.node().write(&folder, "node");
    let cas = format!("{}{}", ca.pem, without_list.pem);
    let files = [
        certificate,
        key,
        write(&folder, "cas.pem", &cas),
        write(&folder, "lists.pem", &ca.revoke_until(&[7], 2021)),
    ];
    let [certificate, key, cas, lists] = files.each_ref().map(|path| path.to_str().unwrap());
    let mut server = Server::start(&[
        "--tls-cert",
        certificate,
        "--tls-key",
        key,
        "--tls-client-ca",
        cas,
        "--tls-client-crl",
        lists,
    ]);
    let client = |serial| ca.client_numbered(BILLING, serial).client_of(&ca);
    call(&server.address, client(8)).await.unwrap();
    assert_tls_failed(call(&server.address, client(7)).await, &["revoked"]);
    let (log, status): (String, ExitStatus) = server.terminate();
    assert!(status.success());
    for says in [
        "was due to be replaced at 2021-01-01T00:00:00Z",
        "no list of CN=old",
        "the client certificate is revoked",
    ] {
        assert!(log.contains(says), "{says}: {log}");
    }
}
