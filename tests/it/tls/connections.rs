//! Who connects to whom, and what each failure says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::axum::Router;
use cidery::axum::extract::{Extension, Request};
use cidery::axum::middleware::{Next, from_fn};
use cidery::axum::routing::get;
use cidery::remote::client::ContractClient;
use cidery::{Client, ClientTls, PeerCertificate};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{TlsNode, assert_tls_failed, call};
use crate::support::certificates::Ca;
use crate::support::raw::{INVOKE, Raw};
use crate::support::{PATIENCE, TestNode};

const BILLING: &str = "spiffe://example.org/billing";

#[tokio::test]
async fn a_client_trusts_the_ca_that_it_was_given_and_no_other() {
    let ca = Ca::new();
    let node = TlsNode::start(ca.node().serve()).await;
    node.call(ca.trusted()).await.unwrap();
    let localhost = node.url.replace("127.0.0.1", "localhost");
    call(&localhost, ca.trusted()).await.unwrap();
    let client = Client::connect_with_tls(&node.url, ca.trusted()).await;
    client.unwrap().invoke("cidery.ping", ()).await.unwrap();

    assert_tls_failed(
        node.call(Ca::new().trusted()).await,
        &["--ca", "ClientTls::ca_file"],
    );
    // The CAs of the system.
    assert_tls_failed(node.call(ClientTls::new()).await, &["--ca"]);
}

#[tokio::test]
async fn a_ca_with_the_same_name_is_another_one() {
    let (ca, other) = (Ca::named("the CA"), Ca::named("the CA"));
    let node = TlsNode::start(ca.node().serve().client_ca_pem(&ca.pem)).await;
    let own = ca.client(BILLING);
    let trusts_other = other.trusted().certificate_pem(own.certificate, own.key);
    assert_tls_failed(node.call(trusts_other).await, &["--ca"]);
    let own = other.client(BILLING);
    let is_of_other = ca.trusted().certificate_pem(own.certificate, own.key);
    assert_tls_failed(node.call(is_of_other).await, &["--tls-client-ca"]);
}

#[tokio::test]
async fn a_certificate_must_be_valid_and_for_the_host_of_the_address() {
    let ca = Ca::new();
    let elsewhere = ca.node_with(|params| {
        params.subject_alt_names =
            vec![rcgen::SanType::DnsName("node.example".try_into().unwrap())];
    });
    let node = TlsNode::start(elsewhere.serve()).await;
    assert_tls_failed(
        node.call(ca.trusted()).await,
        &["for node.example, and not for 127.0.0.1"],
    );
    let node = TlsNode::start(ca.node_until(2020, 1, 1).serve()).await;
    assert_tls_failed(node.call(ca.trusted()).await, &["has expired"]);
}

#[tokio::test]
async fn a_client_certificate_is_required_where_the_node_says_so() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let client = clients.client(BILLING);
    let with = |pair: &crate::support::certificates::Pair| {
        ca.trusted().certificate_pem(&pair.certificate, &pair.key)
    };
    let node = TlsNode::start(ca.node().serve().client_ca_pem(&clients.pem)).await;
    node.call(with(&client)).await.unwrap();
    assert_tls_failed(
        node.call(ca.trusted()).await,
        &["requires a client certificate", "--cert"],
    );
    let stranger = Ca::new().client(BILLING);
    assert_tls_failed(node.call(with(&stranger)).await, &["--tls-client-ca"]);

    let tls = ca.node().serve().client_ca_pem(&clients.pem);
    let node = TlsNode::start(tls.client_certificate_optional()).await;
    node.call(with(&client)).await.unwrap();
    node.call(ca.trusted()).await.unwrap();
    assert_tls_failed(node.call(with(&stranger)).await, &["--tls-client-ca"]);
}

#[tokio::test]
async fn the_names_of_a_client_certificate_are_in_the_extensions_of_its_requests() {
    let ca = Ca::new();
    let seen: Arc<Mutex<Vec<Option<Arc<PeerCertificate>>>>> = Arc::default();
    let sees = Arc::clone(&seen);
    let watch = move |router: Router| {
        router.layer(from_fn(move |request: Request, next: Next| {
            let certificate = request.extensions().get().cloned();
            sees.lock().unwrap().push(certificate);
            next.run(request)
        }))
    };
    let tls = ca
        .node()
        .serve()
        .client_ca_pem(&ca.pem)
        .client_certificate_optional();
    let node = TlsNode::start_with(tls, |builder| builder.wrap(watch)).await;
    let client = ca.client(BILLING);
    let client = ca
        .trusted()
        .certificate_pem(&client.certificate, &client.key);
    node.call(client).await.unwrap();
    node.call(ca.trusted()).await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let [Some(certificate), None] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(certificate.uris, [BILLING]);
    assert_eq!(certificate.dns_names, ["billing.example"]);
    assert_eq!(certificate.emails, ["billing@example.org"]);
    assert_eq!(certificate.common_name.as_deref(), Some("billing"));
    assert_eq!(certificate.subject, "CN=billing");
    assert_eq!(certificate.fingerprint.len(), 64);
}

#[tokio::test]
async fn a_client_without_tls_is_told_that_the_port_has_it() {
    let ca = Ca::new();
    let node = TlsNode::start(ca.node().serve()).await;
    let address = node.handle.address().unwrap();
    let client = ContractClient::connect(&address.to_string()).await.unwrap();
    let call = cidery::model::call::Call::new("cidery.ping", ());
    let refused = client.invoke(call).await.unwrap_err();
    assert_eq!(refused.reason(), "TLS_REQUIRED");
    assert!(refused.message().contains("https://"), "{refused}");
    let answer = Raw::connect(address)
        .await
        .call(INVOKE, &[], bytes::Bytes::new())
        .await;
    assert_eq!(answer.error().reason(), "TLS_REQUIRED");
    assert!(answer.get("cidery-cid").is_some());

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("this port uses TLS"), "{answer}");
}

#[tokio::test]
async fn a_client_with_tls_is_told_that_the_port_has_none() {
    let node = TestNode::start(cidery::Node::builder()).await;
    let url = format!("https://{}", node.address());
    assert_tls_failed(
        call(&url, Ca::new().trusted()).await,
        &["http://", "--tls-cert"],
    );
    let address = node.address().to_string();
    let plain = ContractClient::connect_with_tls(&address, ClientTls::new());
    let refused = plain.await.unwrap_err();
    assert_eq!(refused.reason(), "REQUEST_INVALID");
    assert!(refused.message().contains(&url), "{refused}");
}

/// A TLS connection that proposes these protocols.
async fn connect(address: SocketAddr, ca: &Ca, protocols: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|one| one.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

#[tokio::test]
async fn http_1_is_served_beside_http_2() {
    let ca = Ca::new();
    let name = async |certificate: Option<Extension<Arc<PeerCertificate>>>| {
        certificate.is_some().to_string()
    };
    let routes = Router::new().route("/name", get(name));
    let node = TlsNode::start_with(ca.node().serve(), |builder| builder.routes(routes)).await;
    let address = node.handle.address().unwrap();
    for protocols in [&["http/1.1"][..], &[]] {
        let mut stream = connect(address, &ca, protocols).await;
        let negotiated = stream.get_ref().1.alpn_protocol();
        assert_eq!(negotiated, protocols.first().map(|one| one.as_bytes()));
        let request = b"GET /name HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        // In parts: what was read to recognize a request is part of it.
        for part in request.chunks(5) {
            stream.write_all(part).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("false"),
            "{answer}"
        );
    }
}

/// Waits until the other side closes the connection.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 1024])).await;
    assert_eq!(read.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn a_handshake_that_hangs_is_ended_and_others_have_their_turn() {
    let ca = Ca::new();
    let node = TlsNode::start_with(ca.node().serve(), |builder| {
        builder.limits(|limits| {
            limits.tls_handshakes = 1;
            limits.tls_handshake_timeout = Duration::from_millis(300);
        })
    })
    .await;
    let address = node.handle.address().unwrap();
    // The beginning of a handshake.
    let mut hanging = TcpStream::connect(address).await.unwrap();
    hanging
        .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00])
        .await
        .unwrap();
    closed(&mut hanging).await;
    // A client that gets its turn.
    node.call(ca.trusted()).await.unwrap();
    // One that sends nothing after the handshake, or half a preface.
    for bytes in [&b""[..], b"PRI * HT"] {
        let mut silent = connect(address, &ca, &["h2"]).await;
        silent.write_all(bytes).await.unwrap();
        closed(&mut silent).await;
    }
    node.call(ca.trusted()).await.unwrap();
}
