//! The channel to a node: adds the credential to each call, unless others on the network could read it.

use std::net::IpAddr;
use std::task::{Context, Poll};

use futures_util::future::{Either, MapErr, Ready, TryFutureExt as _, ready};
use http::header::AUTHORIZATION;
use http::{Request, Response, Uri};
use tonic::body::Body;
use tonic::transport::Channel;
use tower_service::Service;

use super::source::ClientCredential;
use crate::codec::status::to_status;
use crate::model::error::{BoxError, Error, Result, reason};
use crate::remote::protocol::trace_context::CurrentTrace;

/// The channel to a node. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub(in crate::remote) struct NodeChannel {
    channel: Channel,
    credential: Option<ClientCredential>,
    trace: Option<CurrentTrace>,
    /// Whether nobody else can read what is sent.
    is_protected: bool,
}

impl NodeChannel {
    /// A channel without a credential. `is_protected`: nobody else can read what is sent on it.
    pub(in crate::remote) fn new(channel: Channel, is_protected: bool) -> Self {
        Self {
            channel,
            credential: None,
            trace: None,
            is_protected,
        }
    }

    /// Sends a credential with each call from now on.
    pub(in crate::remote) fn with_credential(self, credential: Option<ClientCredential>) -> Self {
        Self { credential, ..self }
    }

    /// Sends the trace context that the program names with each call from now on.
    pub(in crate::remote) fn with_trace(self, trace: CurrentTrace) -> Self {
        let trace = Some(trace);
        Self { trace, ..self }
    }

    fn authorize(&self, request: &mut Request<Body>) -> Result<()> {
        let Some(credential) = &self.credential else {
            return Ok(());
        };
        if !self.is_protected && !credential.is_insecure() {
            let message = "the credential would be sent in plain text to another machine: use `https://`, or allow it \
                           with `insecure`";
            let error = Error::failed_precondition(reason::CREDENTIAL_UNPROTECTED, message);
            return Err(error);
        }
        let header = credential.header()?;
        request.headers_mut().insert(AUTHORIZATION, header);
        Ok(())
    }
}

/// Whether nobody else can read what is sent to a node: by TLS, or because it is on this machine.
pub(in crate::remote) fn is_protected(node: &Uri) -> bool {
    let host = node.host().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    node.scheme_str() == Some("https")
        || host.eq_ignore_ascii_case("localhost")
        || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

type ChannelFuture = <Channel as Service<Request<Body>>>::Future;
type ChannelError = <Channel as Service<Request<Body>>>::Error;

impl Service<Request<Body>> for NodeChannel {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Either<
        MapErr<ChannelFuture, fn(ChannelError) -> BoxError>,
        Ready<Result<Response<Body>, BoxError>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.channel.poll_ready(cx).map_err(BoxError::from)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(trace) = &self.trace {
            trace.add_to(request.headers_mut());
        }
        match self.authorize(&mut request) {
            Ok(()) => {
                let to_box: fn(ChannelError) -> BoxError = BoxError::from;
                Either::Left(self.channel.call(request).map_err(to_box))
            }
            // The client of tonic takes a status as it is.
            Err(error) => Either::Right(ready(Err(to_status(&error).into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_protected_by_tls_or_on_one_machine() {
        for (node, expected) in [
            ("https://node.example:1", true),
            ("http://localhost:1", true),
            ("http://LOCALHOST:1", true),
            ("http://127.0.0.1:1", true),
            ("http://127.8.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://[::ffff:127.0.0.1]:1", true),
            ("http://node.example:1", false),
            ("http://localhost.example:1", false),
            ("http://192.0.2.1:1", false),
            ("http://0.0.0.0:1", false),
        ] {
            let node = Uri::from_static(node);
            assert_eq!(is_protected(&node), expected, "{node}");
        }
    }
}
