//! TLS of a node, as it is configured.

use super::settings::{ClientAuth, TlsConfig};
use crate::app::NodeBuilder;
use crate::app::config::together::require;
use crate::edge::tls::ServerTls;
use crate::model::error::Result;

impl TlsConfig {
    /// Whether the node serves TLS.
    pub(in crate::app) fn is_on(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Adds TLS to a node, where it is asked for.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CONFIG_INVALID` where an option needs another one that is not there.
    pub(in crate::app) fn add_to(&self, builder: NodeBuilder) -> Result<NodeBuilder> {
        self.check()?;
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(builder);
        };
        let mut tls = ServerTls::files(certificate, key);
        if let Some(ca) = &self.tls_client_ca {
            tls = tls.client_ca_file(ca);
        }
        if self.tls_client_auth == ClientAuth::Optional {
            tls = tls.client_certificate_optional();
        }
        Ok(builder.tls(tls))
    }

    /// Checks that what belongs together is there.
    ///
    /// # Errors
    ///
    /// As for [`add_to`](Self::add_to).
    fn check(&self) -> Result<()> {
        let (cert, key) = (self.tls_cert.is_some(), self.tls_key.is_some());
        let ca = self.tls_client_ca.is_some();
        let is_optional = self.tls_client_auth == ClientAuth::Optional;
        require(&[
            (cert && !key, "tls_cert", "tls_key"),
            (key && !cert, "tls_key", "tls_cert"),
            (ca && !cert, "tls_client_ca", "tls_cert"),
            (is_optional && !ca, "tls_client_auth", "tls_client_ca"),
        ])
    }
}
