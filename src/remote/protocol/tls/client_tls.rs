//! What a client or a worker trusts, and the certificate by which a node knows it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, RootCertStore};

use super::pem::{Pem, PemFiles, provider};
use crate::model::error::{Error, Result, Violation, reason};

/// What a [`Client`](crate::Client) or a [`Worker`](crate::Worker) needs to reach a node at an `https://` address.
///
/// By default the certificate of the node must come from a CA that the system trusts (or of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`), and the client has no certificate. The certificate of the node must name the host of the address.
///
/// Files are read at each new connection, so that a worker which runs for months follows certificates that are
/// replaced. Its `Debug` shows paths, and never keys.
///
/// ```no_run
/// # async fn example() -> cidery::Result<()> {
/// use cidery::{Client, ClientTls};
///
/// let tls = ClientTls::new()
///     .ca_file("ca.pem")
///     .certificate_files("client.pem", "client-key.pem");
/// let client = Client::connect_with_tls("https://node.example:24337", tls).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    ca: Option<Pem>,
    certificate: Option<Pem>,
    key: Option<Pem>,
}

impl ClientTls {
    /// Trusts the CAs of the system, and has no certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the CA certificates of a PEM file, and no others.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(Pem::File(file.into()));
        self
    }

    /// Trusts the CA certificates of a PEM text, and no others.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca = Some(Pem::Bytes(pem.as_ref().into()));
        self
    }

    /// Presents a client certificate: a PEM file with it, and the intermediate ones if there are any, and a PEM file
    /// with its private key.
    #[must_use]
    pub fn certificate_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.certificate = Some(Pem::File(certificate.into()));
        self.key = Some(Pem::File(key.into()));
        self
    }

    /// Presents a client certificate: as [`certificate_files`](Self::certificate_files), from PEM texts.
    #[must_use]
    pub fn certificate_pem(mut self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.certificate = Some(Pem::Bytes(certificate.as_ref().into()));
        self.key = Some(Pem::Bytes(key.as_ref().into()));
        self
    }

    /// Whether it presents a certificate.
    pub(super) fn has_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    /// Reads the files, all of them.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `TLS_INVALID`, with a violation for each file that cannot be used.
    pub(super) fn config(&self) -> Result<ClientConfig> {
        let mut files = PemFiles::default();
        let roots = match &self.ca {
            Some(ca) => files.roots("ca", ca).0,
            None => system_roots(),
        };
        let certificate = self.certificate.as_ref();
        let chain = certificate.map(|pem| files.certificates("cert", pem));
        let key = self.key.as_ref().map(|pem| files.private_key("key", pem));
        let mut violations = files.into_violations();
        if !violations.is_empty() {
            return Err(Error::violations(reason::TLS_INVALID, violations));
        }
        if roots.is_empty() {
            let message = "the system has no CA certificates: give the one of the node";
            violations.push(Violation::new("/ca", "MISSING", message));
            return Err(Error::violations(reason::TLS_INVALID, violations));
        }
        let invalid = |option: &str, error: &rustls::Error| {
            let message = match error {
                rustls::Error::InconsistentKeys(_) => {
                    "is not the key of the certificate".to_owned()
                }
                error => error.to_string(),
            };
            let violation = Violation::new(option, "INVALID", message);
            Error::violations(reason::TLS_INVALID, vec![violation])
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.build().map_err(|error| {
            Error::violations(
                reason::TLS_INVALID,
                vec![Violation::new("/ca", "INVALID", error.to_string())],
            )
        })?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("", &error))?
            .with_webpki_verifier(verifier);
        let mut config = match (chain, key.flatten()) {
            (Some(chain), Some(key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| invalid("/key", &error))?,
            (None, _) | (_, None) => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// The CAs that the system trusts. Those that cannot be read are left out: one bad file of hundreds must not cut off
/// a client.
fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "cannot read a CA certificate of the system");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}
