//! Who makes the requests of a port: one rule for gRPC and for plain HTTP.

use http::Request;

use crate::edge::auth::{Authenticated, Authenticator, PeerNames};
use crate::edge::connection::Connection;
use crate::edge::credential_end::CredentialEnd;
use crate::model::error::Result;

/// Health checks need no credential: probes have none, and they tell nothing else.
const HEALTH_PREFIX: &str = "/grpc.health.v1.Health/";

/// Finds out who makes the requests of a port. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct PortAuth {
    /// `None` where authentication is off.
    authenticator: Option<Authenticator>,
}

impl PortAuth {
    /// `is_on`: whether the node asks who calls.
    pub(super) fn new(authenticator: &Authenticator, is_on: bool) -> Self {
        Self {
            authenticator: is_on.then(|| authenticator.clone()),
        }
    }

    /// Who makes a request, whose credential is taken out. `None` where authentication is off, and for health checks
    /// of gRPC.
    ///
    /// # Errors
    ///
    /// As for [`Authenticator::authenticate`].
    pub(super) fn authenticate<B>(
        &self,
        request: &mut Request<B>,
        connection: &Connection,
    ) -> Result<Option<Authenticated>> {
        match &self.authenticator {
            Some(authenticator) if !request.uri().path().starts_with(HEALTH_PREFIX) => {
                if let Some(certificate) = connection.peer_certificate() {
                    let names = PeerNames {
                        uris: &certificate.uris,
                        dns_names: &certificate.dns_names,
                    };
                    authenticator.identify(&connection.credentials, connection.peer, names);
                }
                let authenticated =
                    authenticator.authenticate(request, connection.peer, &connection.credentials);
                authenticated.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Resolves once the credential that opened a stream is no longer valid. `None` where authentication is off.
    pub(super) fn end(&self, authenticated: Option<&Authenticated>) -> Option<CredentialEnd> {
        let (authenticator, authenticated) = self.authenticator.as_ref().zip(authenticated)?;
        let clock = authenticator.keys().clock().clone();
        Some(Box::pin(authenticated.end(clock)))
    }
}
