//! TLS of a node, as it is configured.

use super::settings::{ClientAuth, TlsConfig};
use crate::app::NodeBuilder;
use crate::app::config::together::missing;
use crate::edge::tls::ServerTls;
use crate::model::error::Violation;

impl TlsConfig {
    /// Whether the node serves TLS.
    pub(in crate::app) fn is_on(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Adds TLS to a node, where it is asked for.
    pub(in crate::app) fn add_to(&self, builder: NodeBuilder) -> NodeBuilder {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return builder;
        };
        let mut tls = ServerTls::files(certificate, key);
        if let Some(ca) = &self.tls_client_ca {
            tls = tls.client_ca_file(ca);
        }
        if let Some(crl) = &self.tls_client_crl {
            tls = tls.client_crl_file(crl);
        }
        if self.tls_client_auth == ClientAuth::Optional {
            tls = tls.client_certificate_optional();
        }
        builder.tls(tls)
    }

    /// What belongs together and is not there.
    pub(super) fn check(&self) -> Vec<Violation> {
        let (cert, key) = (self.tls_cert.is_some(), self.tls_key.is_some());
        let ca = self.tls_client_ca.is_some();
        let crl = self.tls_client_crl.is_some();
        let is_optional = self.tls_client_auth == ClientAuth::Optional;
        missing(&[
            (cert && !key, "tls_cert", "tls_key"),
            (key && !cert, "tls_key", "tls_cert"),
            (ca && !cert, "tls_client_ca", "tls_cert"),
            (crl && !ca, "tls_client_crl", "tls_client_ca"),
            (is_optional && !ca, "tls_client_auth", "tls_client_ca"),
        ])
    }
}
