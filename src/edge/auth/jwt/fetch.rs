//! Fetches the keys of an issuer over HTTPS.
//!
//! One GET of one file, every few minutes: a client library of HTTP would be most of what the node needs for it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::body::Body;

use super::key_set::MAX_BYTES;

/// How long it takes at most.
const TIMEOUT: Duration = Duration::from_secs(10);
const HTTPS_PORT: u16 = 443;

/// Fetches a file of at most 1 MiB from a server whose certificate a CA of the system has issued. Redirections are not
/// followed.
pub(super) async fn fetch(url: &Uri) -> Result<Vec<u8>, String> {
    let fetched = tokio::time::timeout(TIMEOUT, get(url)).await;
    fetched.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
}

async fn get(url: &Uri) -> Result<Vec<u8>, String> {
    let authority = url.authority().ok_or("it has no host")?;
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(HTTPS_PORT);
    let name = ServerName::try_from(host.to_owned()).map_err(text)?;
    let tcp = TcpStream::connect((host, port)).await.map_err(text)?;
    let tls = connector()?.connect(name, tcp).await.map_err(text)?;
    let (mut send, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(text)?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("cidery/", env!("CARGO_PKG_VERSION")))
        .body(Body::empty())
        .map_err(text)?;
    let exchange = async {
        let response = send.send_request(request).await.map_err(text)?;
        match response.status() {
            StatusCode::OK => read(response.into_body()).await,
            status => Err(format!("the server answers {status}")),
        }
    };
    let (mut exchange, connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        fetched = &mut exchange => fetched,
        // What the server sent before it closed is read still.
        _ = connection => exchange.await,
    }
}

fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(text)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn read(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut read = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let data: Bytes = frame.map_err(text)?.into_data().unwrap_or_default();
        if read.len() + data.len() > MAX_BYTES {
            return Err("it is longer than 1 MiB".to_owned());
        }
        read.extend_from_slice(&data);
    }
    Ok(read)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
