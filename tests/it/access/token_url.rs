//! The keys of tokens, fetched over HTTPS.

use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cidery::ClientCredential;
use cidery::remote::client::ContractClient;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::ping;
use super::tokens::{claims, jwks, valid};
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::raw::spawn;
use crate::support::{Folder, PATIENCE, any_port};

/// A server of one file. Returns its port, its certificate, and how often it was asked.
async fn serve(body: String) -> (u16, String, Arc<AtomicUsize>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            assert!(request.starts_with(b"GET /keys.json HTTP/1.1\r\n"));
            counted.fetch_add(1, Ordering::Relaxed);
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    (port, made.cert.pem(), asked)
}

fn options(url: &str) -> [&str; 6] {
    [
        "--jwt-jwks",
        url,
        "--jwt-issuer",
        "https://issuer.example",
        "--jwt-audience",
        "cidery",
    ]
}

async fn caller(server: &Server) -> Result<String, cidery::Error> {
    let client = ContractClient::connect(&server.address).await.unwrap();
    let credential = ClientCredential::api_key(&valid(&claims())).unwrap();
    let caller = client.credential(credential).caller().await?;
    Ok(caller.principal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_from_a_server_that_the_system_trusts() {
    let (port, certificate, asked) = serve(jwks("one")).await;
    let folder = Folder::new("issuer");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, certificate).unwrap();
    let url = format!("https://localhost:{port}/keys.json");
    let trusting = tokio::task::block_in_place(|| {
        Server::start_in(&options(&url), &[("SSL_CERT_FILE", ca.as_path())])
    });
    let called = tokio::time::timeout(PATIENCE, caller(&trusting)).await;
    assert_eq!(called.unwrap().unwrap(), "token:a");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // Another node does not trust the server: it starts, and accepts no token.
    let other = tokio::task::block_in_place(|| Server::start(&options(&url)));
    let error = caller(&other).await.unwrap_err();
    assert_eq!(error.reason(), "CREDENTIAL_INVALID");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // Calls without tokens are asked for one, as ever.
    let client = ContractClient::connect(&other.address).await.unwrap();
    assert_eq!(
        ping(&client).await.unwrap_err().reason(),
        "CREDENTIAL_REQUIRED"
    );
}

/// The query of the URL may be a credential: neither the configuration nor the log shows it.
#[test]
fn the_query_of_a_url_is_not_shown() {
    // Nothing listens there.
    let options = options("https://localhost:1/keys.json?token=swordfish");
    let shown = "https://localhost:1/keys.json?(hidden)";
    for output in ["table", "json"] {
        let show = [&["config", "show", "-o", output], &options[..]].concat();
        let show = cidery().args(show).output().unwrap();
        let text = stdout(&show);
        assert!(
            text.contains(shown) && !text.contains("swordfish"),
            "{text}"
        );
    }
    let mut server = Server::start(&options);
    let log = BufReader::new(server.child.stderr.take().unwrap()).lines();
    let mut log = log.map(|line| line.unwrap());
    let line = log.find(|line| line.contains("cannot read the keys of tokens"));
    let line = line.unwrap();
    assert!(
        line.contains(shown) && !line.contains("swordfish"),
        "{line}"
    );
    // Where it is refused, too.
    let refused = [&["config", "check"], &options[..2]].concat();
    let refused = cidery().args(refused).output().unwrap();
    assert!(!refused.status.success());
    assert!(
        !stderr(&refused).contains("swordfish"),
        "{}",
        stderr(&refused)
    );
}
