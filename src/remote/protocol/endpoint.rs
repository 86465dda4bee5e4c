//! The endpoint of a node: its address, TLS, the connect timeout, and keep-alive (HTTP/2 PING heartbeat).

use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use tonic::transport::{Channel, Endpoint};

use crate::model::error::{Error, Result, reason};
use crate::model::id::truncated;
use crate::remote::protocol::credential::{NodeChannel, is_protected};
#[cfg(feature = "tls")]
use crate::remote::protocol::tls::{ClientTls, TlsConnector};

/// The port of a node by default. It spells C-I-D-E-R on a phone keypad.
pub(crate) const DEFAULT_PORT: u16 = 24337;

/// How long it takes at most to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval of keep-alive PINGs. They distinguish a node that is frozen from one that has nothing to send.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the acknowledgement of a PING takes at most.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

const HTTP: &str = "http";
const HTTPS: &str = "https";

/// The longest timeout of a call: gRPC has eight digits for it, and none of our calls takes as long.
pub(in crate::remote) const MAX_TIMEOUT: Duration = Duration::from_hours(876_000);

/// The TLS of a build without it: nothing can be set.
#[cfg(not(feature = "tls"))]
pub(in crate::remote) type ClientTls = ();

/// Where a node is, and how to connect to it.
#[derive(Clone, Debug)]
pub(crate) struct NodeEndpoint {
    endpoint: Endpoint,
    /// For `https://`.
    #[cfg(feature = "tls")]
    tls: Option<TlsConnector>,
}

impl NodeEndpoint {
    /// Creates the endpoint of a node: `127.0.0.1:24337`, `node.example`, `[::1]:24337`, `http://node.example:24337`,
    /// `https://node.example`. Without a port: [`DEFAULT_PORT`]. PINGs are sent while a call or a stream is open.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a malformed address, for TLS settings of an address without TLS, and
    /// for TLS in a build without it; `INVALID_ARGUMENT` / `TLS_INVALID` for files that cannot be used.
    pub(crate) fn new(node: &str, tls: Option<ClientTls>) -> Result<Self> {
        let invalid = |why: &str| {
            let message = format!("`{}` is not an address of a node: {why}", truncated(node));
            Error::invalid_argument(reason::REQUEST_INVALID, message)
        };
        let uri = uri(node).map_err(invalid)?;
        let is_https = uri.scheme_str() == Some(HTTPS);
        if !is_https && tls.is_some() {
            let address = uri.authority().map_or("", |authority| authority.as_str());
            return Err(invalid(&format!(
                "certificates are only for `https://`: use `https://{address}`"
            )));
        }
        let endpoint = Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        #[cfg(feature = "tls")]
        {
            let tls = is_https.then(|| TlsConnector::new(tls.unwrap_or_default()));
            if let Some(tls) = &tls {
                tls.check()?;
            }
            Ok(Self { endpoint, tls })
        }
        #[cfg(not(feature = "tls"))]
        match is_https {
            true => Err(invalid(
                "this program is built without the feature `tls` of `cidery`",
            )),
            false => Ok(Self { endpoint }),
        }
    }

    /// The channel to the endpoint, which connects with the first call.
    #[cfg(feature = "otlp")]
    fn channel(&self) -> Channel {
        match &self.tls {
            Some(tls) => self.endpoint.connect_with_connector_lazy(tls.clone()),
            None => self.endpoint.connect_lazy(),
        }
    }

    /// Sends PINGs without an open call or stream, too.
    pub(in crate::remote) fn keep_alive_while_idle(mut self) -> Self {
        self.endpoint = self.endpoint.keep_alive_while_idle(true);
        self
    }

    /// Connects to the node. A connection that is lost later is made again by the next call on the channel.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `CONNECT_FAILED`; those of TLS: `FAILED_PRECONDITION` / `TLS_FAILED` or `NOT_A_NODE`,
    /// `INVALID_ARGUMENT` / `TLS_INVALID`.
    pub(in crate::remote) async fn connect(&self) -> Result<NodeChannel> {
        let channel = self.open().await.map_err(|error| {
            connect_error(&error).unwrap_or_else(|| {
                let cause = cause_of(&error);
                let message = format!("cannot connect to {}: {cause}", self.authority());
                Error::unavailable(reason::CONNECT_FAILED, message)
            })
        })?;
        Ok(NodeChannel::new(channel, is_protected(self.endpoint.uri())))
    }

    #[cfg(feature = "tls")]
    async fn open(&self) -> std::result::Result<Channel, tonic::transport::Error> {
        match &self.tls {
            Some(tls) => self.endpoint.connect_with_connector(tls.clone()).await,
            None => self.endpoint.connect().await,
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn open(&self) -> std::result::Result<Channel, tonic::transport::Error> {
        self.endpoint.connect().await
    }

    /// The host and the port of the node.
    pub(in crate::remote) fn authority(&self) -> &str {
        let authority = self.endpoint.uri().authority();
        authority.map_or("", |node| node.as_str())
    }
}

/// The channel to a server of another kind, at an address with a port. It connects with the first call.
///
/// # Errors
///
/// As for [`NodeEndpoint::new`].
#[cfg(feature = "otlp")]
pub(in crate::remote) fn lazy_channel(address: &str, tls: Option<ClientTls>) -> Result<Channel> {
    Ok(NodeEndpoint::new(address, tls)?.channel())
}

fn uri(node: &str) -> std::result::Result<Uri, &'static str> {
    const SYNTAX: &str = "use `HOST:PORT`";
    let (scheme, authority) = match node.split_once("://") {
        None => (HTTP, node),
        Some((scheme @ (HTTP | HTTPS), rest)) => (scheme, rest.strip_suffix('/').unwrap_or(rest)),
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
    let uri = Uri::builder().scheme(scheme).authority(authority);
    uri.path_and_query("/").build().map_err(|_| SYNTAX)
}

/// The error of our own connector, which says more than the transport around it.
pub(in crate::remote) fn connect_error(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<Error>() {
            return Some(error.clone());
        }
        cause = error.source();
    }
    None
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
            ("https://node.example", "https://node.example:24337/"),
            ("https://[::1]:7/", "https://[::1]:7/"),
        ] {
            assert_eq!(uri(node).unwrap(), expected, "{node}");
        }
        const SYNTAX: &str = "use `HOST:PORT`";
        for node in [
            "",
            "a b",
            "node:port",
            "node:70000",
            "me@node:1",
            "node:1/path",
            "unix:///run/x",
            "https://",
        ] {
            let error = NodeEndpoint::new(node, None).expect_err(node);
            let message = format!("`{node}` is not an address of a node: {SYNTAX}");
            assert_eq!(error.message(), message, "{node}");
        }
    }
}
