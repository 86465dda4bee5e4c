//! Certificates that are replaced while a node runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cidery::engine::clock::{Clock, ManualClock};
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{ClientTls, ServerTls, dict};

use super::{TlsNode, assert_tls_failed, call};
use crate::support::binary::Server;
use crate::support::certificates::{Ca, write};
use crate::support::raw::spawn;
use crate::support::{Folder, PATIENCE};

/// Calls until it is stopped, every other time on a new connection; returns the number of calls.
async fn load(url: String, tls: ClientTls, stop: Arc<AtomicBool>) -> usize {
    let mut calls = 0;
    let mut client = ContractClient::connect_with_tls(&url, tls.clone())
        .await
        .unwrap();
    while !stop.load(Ordering::Relaxed) {
        client.invoke(Call::new("cidery.ping", ())).await.unwrap();
        calls += 1;
        if calls % 2 == 0 {
            client = ContractClient::connect_with_tls(&url, tls.clone())
                .await
                .unwrap();
        }
    }
    calls
}

/// Waits until new connections see a certificate from this CA.
async fn until_served_by(url: &str, ca: &Ca) {
    let served = async {
        while call(url, ca.trusted()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_under_load_fails_no_call() {
    let (folder, first, second) = (Folder::new("reload"), Ca::new(), Ca::new());
    let (certificate, key) = first.node().write(&folder, "node");
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let mut server = Server::start(&["--tls-cert", certificate, "--tls-key", key]);
    let url = server.address.clone();
    assert!(url.starts_with("https://"), "{url}");
    // A stream that is open all the time.
    let client = ContractClient::connect_with_tls(&url, first.trusted())
        .await
        .unwrap();
    let sleep = Call::new("demo.sleep", dict! { "seconds": 60 });
    let cid = client.invoke_async(sleep).await.unwrap().cid;
    let mut stream = client.results(cid).await.unwrap();
    stream.next().await.unwrap().unwrap();
    // Callers that trust both CAs.
    let both = ClientTls::new().ca_pem(format!("{}{}", first.pem, second.pem));
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| spawn(load(url.clone(), both.clone(), Arc::clone(&stop))))
        .collect();
    for ca in [&second, &first, &second] {
        ca.node().write(&folder, "node");
        server.signal("HUP");
        until_served_by(&url, ca).await;
    }
    // A broken file: the node goes on with what it has.
    write(&folder, "node.pem", "broken");
    server.signal("HUP");
    call(&url, second.trusted()).await.unwrap();
    assert_tls_failed(call(&url, first.trusted()).await, &[]);
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    // The connection of the stream is still that of the first certificate.
    client.cancel(cid, false).await.unwrap();
    while stream.next().await.unwrap().is_some() {}
    let (log, status) = server.terminate();
    assert!(status.success());
    assert!(
        log.contains("the old ones stay") && log.contains("node.pem"),
        "{log}"
    );
}

#[tokio::test]
async fn files_that_change_are_read_without_a_signal() {
    let (folder, first, second) = (Folder::new("watch"), Ca::new(), Ca::new());
    let clients = Ca::new();
    let (certificate, key) = first.node().write(&folder, "node");
    let ca_file = write(&folder, "clients.pem", &clients.pem);
    let clock = ManualClock::new();
    let tls = ServerTls::files(certificate, key).client_ca_file(ca_file);
    let node =
        TlsNode::start_with(tls, |builder| builder.clock(Clock::Manual(clock.clone()))).await;
    let client = clients.client("spiffe://example.org/a");
    let of = |ca: &Ca| {
        ca.trusted()
            .certificate_pem(&client.certificate, &client.key)
    };
    node.call(of(&first)).await.unwrap();
    // The certificate comes before its key: the node waits for both.
    let next = second.node();
    write(&folder, "node.pem", &next.certificate);
    clock.advance(Duration::from_secs(5));
    node.call(of(&first)).await.unwrap();
    write(&folder, "node-key.pem", &next.key);
    let seen = async {
        while node.call(of(&second)).await.is_err() {
            clock.advance(Duration::from_secs(5));
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    // A CA that is withdrawn lets nobody in.
    write(&folder, "clients.pem", &Ca::new().pem);
    let refused = async {
        while node.call(of(&second)).await.is_ok() {
            clock.advance(Duration::from_secs(5));
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_tls_failed(node.call(of(&second)).await, &["--tls-client-ca"]);
}

#[tokio::test]
async fn files_that_cannot_be_read_again_are_a_reason_until_they_can() {
    let (folder, ca) = (Folder::new("unreadable"), Ca::new());
    let pair = ca.node();
    let (certificate, key) = pair.write(&folder, "node");
    let clock = ManualClock::new();
    let tls = ServerTls::files(certificate, key);
    let node =
        TlsNode::start_with(tls, |builder| builder.clock(Clock::Manual(clock.clone()))).await;
    let client = ContractClient::connect_with_tls(&node.url, ca.trusted()).await;
    let client = client.unwrap();
    let reasons = async || client.status().await.unwrap().health_reasons;
    let secret = pair.key.lines().nth(1).unwrap();
    write(
        &folder,
        "node-key.pem",
        &pair.key.replace("-----END", "*****"),
    );
    node.handle.reload().await.unwrap_err();
    let found = reasons().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].reason, "RELOAD_FAILED");
    assert!(found[0].message.contains("node-key.pem"), "{found:?}");
    assert!(!found[0].message.contains(secret));
    // The node looks at the files by itself.
    pair.write(&folder, "node");
    let mended = async {
        while !reasons().await.is_empty() {
            clock.advance(Duration::from_secs(5));
        }
    };
    tokio::time::timeout(PATIENCE, mended).await.unwrap();
}

#[tokio::test]
async fn the_status_shows_when_the_certificate_ends() {
    let ca = Ca::new();
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap());
    let pair = ca.node_until(2030, 1, 20);
    let node = TlsNode::start_with(pair.serve(), |builder| {
        builder.clock(Clock::Manual(clock.clone()))
    })
    .await;
    let client = ContractClient::connect_with_tls(&node.url, ca.trusted())
        .await
        .unwrap();
    let status = async || {
        let status = client.status().await.unwrap();
        let certificate = status.certificate.unwrap();
        assert_eq!(certificate.names, ["localhost", "127.0.0.1"]);
        let end = certificate.expire_time.unwrap();
        assert_eq!(
            end.seconds,
            "2030-01-20T00:00:00Z"
                .parse::<jiff::Timestamp>()
                .unwrap()
                .as_second()
        );
        let reasons = status
            .health_reasons
            .into_iter()
            .map(|reason| reason.reason);
        reasons.collect::<Vec<_>>()
    };
    let day = Duration::from_secs(24 * 3600);
    assert!(status().await.is_empty());
    clock.advance(day * (4 * 365 + 1 + 5));
    assert_eq!(status().await, ["CERTIFICATE_EXPIRES_SOON"]);
    clock.advance(day * 14);
    assert_eq!(status().await, ["CERTIFICATE_EXPIRED"]);
}
