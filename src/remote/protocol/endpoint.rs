//! The endpoint of a node: its address, the connect timeout, and keep-alive (HTTP/2 PING heartbeat).

use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use tonic::transport::{Channel, Endpoint};

use crate::model::error::{Error, Result, reason};
use crate::model::id::truncated;

/// The port of a node by default. It spells C-I-D-E-R on a phone keypad.
pub(crate) const DEFAULT_PORT: u16 = 24337;

/// How long it takes at most to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval of keep-alive PINGs. They distinguish a node that is frozen from one that has nothing to send.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the acknowledgement of a PING takes at most.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest timeout of a call: gRPC has eight digits for it, and none of our calls takes as long.
pub(in crate::remote) const MAX_TIMEOUT: Duration = Duration::from_hours(876_000);

/// Creates the endpoint of a node: `127.0.0.1:24337`, `node.example`, `[::1]:24337`, `http://node.example:24337`.
/// Without a port: [`DEFAULT_PORT`]. PINGs are sent while a call or a stream is open.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a malformed address, and for TLS, which is not supported yet.
pub(in crate::remote) fn endpoint(node: &str) -> Result<Endpoint> {
    let endpoint = uri(node)
        .map_err(|why| format!("`{}` is not an address of a node: {why}", truncated(node)))
        .map_err(|message| Error::invalid_argument(reason::REQUEST_INVALID, message))?;
    Ok(Endpoint::from(endpoint)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT))
}

fn uri(node: &str) -> std::result::Result<Uri, &'static str> {
    const SYNTAX: &str = "use `HOST:PORT`";
    let authority = match node.split_once("://") {
        None => node,
        Some(("http", rest)) => rest.strip_suffix('/').unwrap_or(rest),
        Some(("https", _)) => return Err("TLS is not supported yet; use `http://`"),
        Some(_) => return Err(SYNTAX),
    };
    let authority = match authority.parse() {
        Ok(address) => SocketAddr::new(address, DEFAULT_PORT).to_string(),
        Err(_) if authority.starts_with(':') => format!("localhost{authority}"),
        Err(_) => authority.to_owned(),
    };
    let authority: Authority = authority.parse().map_err(|_| SYNTAX)?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(SYNTAX);
    }
    let authority = match authority.port_u16() {
        Some(_) => authority.to_string(),
        None if authority.as_str() == authority.host() => format!("{authority}:{DEFAULT_PORT}"),
        None => return Err(SYNTAX),
    };
    let uri = Uri::builder().scheme("http").authority(authority);
    uri.path_and_query("/").build().map_err(|_| SYNTAX)
}

/// Connects to a node.
///
/// # Errors
///
/// `UNAVAILABLE` / `CONNECT_FAILED`.
pub(in crate::remote) async fn connect(endpoint: &Endpoint) -> Result<Channel> {
    endpoint.connect().await.map_err(|error| {
        let node = authority(endpoint);
        let message = format!("cannot connect to {node}: {}", cause_of(&error));
        Error::unavailable(reason::CONNECT_FAILED, message)
    })
}

/// The host and the port of the node.
pub(in crate::remote) fn authority(endpoint: &Endpoint) -> &str {
    let authority = endpoint.uri().authority();
    authority.map_or("", |node| node.as_str())
}

/// The error of the system, without the errors of the transport around it.
pub(in crate::remote) fn cause_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<std::io::Error>() {
        // `connection refused`, without the number of the error.
        Some(error) if error.raw_os_error().is_some() => error.kind().to_string(),
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_scheme_and_needs_no_port() {
        for (node, expected) in [
            ("127.0.0.1:9000", "http://127.0.0.1:9000/"),
            ("127.0.0.1", "http://127.0.0.1:24337/"),
            ("localhost", "http://localhost:24337/"),
            ("node.example:1", "http://node.example:1/"),
            ("http://node.example", "http://node.example:24337/"),
            ("http://node.example:80/", "http://node.example:80/"),
            ("::1", "http://[::1]:24337/"),
            ("[::1]", "http://[::1]:24337/"),
            ("http://[::1]:7", "http://[::1]:7/"),
            (":9000", "http://localhost:9000/"),
        ] {
            let endpoint = endpoint(node).unwrap();
            assert_eq!(endpoint.uri(), expected, "{node}");
        }
        for (node, expected) in [
            ("", "use `HOST:PORT`"),
            ("a b", "use `HOST:PORT`"),
            ("node:port", "use `HOST:PORT`"),
            ("node:70000", "use `HOST:PORT`"),
            ("me@node:1", "use `HOST:PORT`"),
            ("node:1/path", "use `HOST:PORT`"),
            ("unix:///run/x", "use `HOST:PORT`"),
            ("https://node:1", "TLS is not supported yet; use `http://`"),
        ] {
            let error = endpoint(node).expect_err(node);
            let message = format!("`{node}` is not an address of a node: {expected}");
            assert_eq!(error.message(), message, "{node}");
        }
    }
}
