//! The endpoint of a node: its address, the connect timeout, and keep-alive (HTTP/2 PING heartbeat).

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::model::error::{Error, Result, reason};

/// How long it takes at most to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval of keep-alive PINGs. They distinguish a node that is frozen from one that has nothing to send.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the acknowledgement of a PING takes at most.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest timeout of a call: gRPC has eight digits for it, and none of our calls takes as long.
pub(in crate::remote) const MAX_TIMEOUT: Duration = Duration::from_hours(876_000);

/// Creates the endpoint of a node, for example `127.0.0.1:24337`. PINGs are sent while a call or a stream is open.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a malformed address.
pub(in crate::remote) fn endpoint(node: &str) -> Result<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("http://{node}")).map_err(|error| {
        let message = format!("`{node}` is not an address: use host:port");
        Error::invalid_argument(reason::REQUEST_INVALID, message).with_source(error)
    })?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT))
}

/// Connects to a node.
///
/// # Errors
///
/// `UNAVAILABLE` / `CONNECT_FAILED`.
pub(in crate::remote) async fn connect(endpoint: &Endpoint) -> Result<Channel> {
    endpoint.connect().await.map_err(|error| {
        let uri = endpoint.uri();
        let node = uri.authority().map_or("", |node| node.as_str());
        let message = format!("cannot reach a node at {node}");
        Error::unavailable(reason::CONNECT_FAILED, message).with_source(error)
    })
}
