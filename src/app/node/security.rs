//! Whether the port of a node has TLS: read before the node starts, watched while it runs.

use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::sync::Arc;

use crate::app::reload::Reloads;
use crate::edge::auth::Authenticator;
use crate::edge::listener::Shutdown;
#[cfg(feature = "tls")]
pub(super) use crate::edge::tls::ServerTls;
#[cfg(feature = "tls")]
use crate::edge::tls::{TlsAcceptor, TlsReload};
use crate::edge::{NodeAddress, Transport};
#[cfg(feature = "tls")]
use crate::engine::NodeCertificate;
use crate::engine::clock::Clock;
use crate::engine::{Invoker, Limits};
use crate::model::error::Result;
#[cfg(any(feature = "tls", feature = "jwt"))]
use crate::service::BoxFuture;

/// The TLS of a build without it: nothing can be set.
#[cfg(not(feature = "tls"))]
pub(super) type ServerTls = ();

/// TLS of a node that starts.
#[derive(Debug)]
pub(super) struct Security {
    #[cfg(feature = "tls")]
    tls: Option<(TlsAcceptor, NodeCertificate)>,
}

#[cfg(feature = "tls")]
impl Security {
    /// Reads certificates and keys.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `TLS_INVALID`.
    pub(super) fn new(tls: Option<ServerTls>, limits: &Limits, clock: &Clock) -> Result<Self> {
        let read = tls.map(|tls| TlsAcceptor::new(tls, limits, clock.now()));
        Ok(Self {
            tls: read.transpose()?,
        })
    }

    /// Whether nobody connects without a certificate of the given CAs.
    pub(super) fn authenticates_clients(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|(acceptor, _)| acceptor.authenticates_clients())
    }

    /// The address as clients write it.
    pub(super) fn address(&self, address: SocketAddr) -> NodeAddress {
        NodeAddress {
            address,
            is_tls: self.tls.is_some(),
        }
    }

    /// Watches the files from now on, and adds them to what the node reloads.
    pub(super) fn start(
        self,
        invoker: &Invoker,
        shutdown: &Shutdown,
        reloads: &mut Reloads,
    ) -> Transport {
        let Some((acceptor, certificate)) = self.tls else {
            return Transport::Plain;
        };
        invoker.set_certificate(certificate);
        let acceptor = Arc::new(acceptor);
        let files = TlsReload::new(Arc::clone(&acceptor), invoker.clone());
        let watch = files.clone().watch(shutdown.stop_accepting.clone());
        invoker.tasks().spawn("certificates", watch);
        let reload = move || -> BoxFuture<'static, Result<()>> {
            let files = files.clone();
            Box::pin(async move { files.reload().await })
        };
        reloads.add("certificates", Box::new(reload));
        Transport::Tls(acceptor)
    }
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_self, reason = "as with TLS")]
impl Security {
    pub(super) fn new(_: Option<ServerTls>, _: &Limits, _: &Clock) -> Result<Self> {
        Ok(Self {})
    }

    pub(super) fn authenticates_clients(&self) -> bool {
        false
    }

    pub(super) fn address(&self, address: SocketAddr) -> NodeAddress {
        NodeAddress {
            address,
            is_tls: false,
        }
    }

    pub(super) fn start(self, _: &Invoker, _: &Shutdown, _: &mut Reloads) -> Transport {
        Transport::Plain
    }
}

/// Keeps the keys of tokens fresh from now on, and adds them to what the node reloads.
#[cfg(feature = "jwt")]
pub(super) fn start_token_keys(
    authenticator: &Authenticator,
    invoker: &Invoker,
    reloads: &mut Reloads,
) {
    authenticator.keep_keys(invoker);
    if !authenticator.has_tokens() {
        return;
    }
    let (authenticator, invoker) = (authenticator.clone(), invoker.clone());
    let reload = move || -> BoxFuture<'static, Result<()>> {
        let (authenticator, invoker) = (authenticator.clone(), invoker.clone());
        Box::pin(async move { authenticator.reload_keys(&invoker).await })
    };
    reloads.add("keys of tokens", Box::new(reload));
}

/// Without the feature `jwt` there are no tokens.
#[cfg(not(feature = "jwt"))]
pub(super) fn start_token_keys(_: &Authenticator, _: &Invoker, _: &mut Reloads) {}
