//! The certificate of a node, its key, and the CAs of its clients: read, and checked all at once.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::certificate::{Validity, validity};
use super::revocation;
use crate::engine::NodeCertificate;
use crate::model::error::{Error, Result, Violation, reason};
use crate::remote::protocol::tls::{Pem, PemFiles, Stamp, provider};

const CERT: &str = "tls_cert";
const KEY: &str = "tls_key";
const CLIENT_CA: &str = "tls_client_ca";
const CLIENT_CRL: &str = "tls_client_crl";

/// How a node serves TLS: its certificate, and whether its clients need one.
///
/// TLS 1.2 and 1.3 are spoken, with HTTP/2 and HTTP/1.1. Files are read again where they change, at most a few seconds
/// later: see [`NodeBuilder::tls`](crate::NodeBuilder::tls). Its `Debug` shows paths, and never keys.
#[derive(Clone, Debug)]
pub struct ServerTls {
    certificate: Pem,
    key: Pem,
    client_ca: Option<Pem>,
    client_crl: Option<Pem>,
    is_client_optional: bool,
}

impl ServerTls {
    /// The certificate of a PEM file, followed there by the intermediate ones if there are any, and its private key of
    /// another (or the same) PEM file.
    #[must_use]
    pub fn files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::new(Pem::File(certificate.into()), Pem::File(key.into()))
    }

    /// As [`files`](Self::files), from PEM texts. They never change.
    #[must_use]
    pub fn pem(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        Self::new(
            Pem::Bytes(certificate.as_ref().into()),
            Pem::Bytes(key.as_ref().into()),
        )
    }

    fn new(certificate: Pem, key: Pem) -> Self {
        Self {
            certificate,
            key,
            client_ca: None,
            client_crl: None,
            is_client_optional: false,
        }
    }

    /// Requires a certificate of each client, from a CA in this PEM file. Default: clients need none.
    #[must_use]
    pub fn client_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(Pem::File(file.into()));
        self
    }

    /// As [`client_ca_file`](Self::client_ca_file), from a PEM text.
    #[must_use]
    pub fn client_ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.client_ca = Some(Pem::Bytes(pem.as_ref().into()));
        self
    }

    /// Refuses client certificates that a list in this PEM file revokes, and those of CAs, intermediate ones included,
    /// of which it has no list. A list that is out of date is used all the same. Needs a
    /// [CA of clients](Self::client_ca_file). Default: no certificate is looked up.
    #[must_use]
    pub fn client_crl_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.client_crl = Some(Pem::File(file.into()));
        self
    }

    /// As [`client_crl_file`](Self::client_crl_file), from a PEM text.
    #[must_use]
    pub fn client_crl_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.client_crl = Some(Pem::Bytes(pem.as_ref().into()));
        self
    }

    /// Accepts clients without a certificate, too. A certificate that a client does present must still be valid.
    #[must_use]
    pub fn client_certificate_optional(mut self) -> Self {
        self.is_client_optional = true;
        self
    }

    /// Whether nobody connects without a certificate of the given CAs.
    pub(super) fn authenticates_clients(&self) -> bool {
        self.client_ca.is_some() && !self.is_client_optional
    }

    fn all(&self) -> impl Iterator<Item = &Pem> {
        [&self.certificate, &self.key]
            .into_iter()
            .chain(&self.client_ca)
            .chain(&self.client_crl)
    }

    /// What tells whether the files have changed.
    pub(super) fn stamps(&self) -> Vec<Option<Stamp>> {
        self.all().map(Pem::stamp).collect()
    }

    /// Reads the files.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `TLS_INVALID`, with a violation for each file that cannot be used.
    pub(super) fn load(&self, now: Timestamp) -> Result<Loaded> {
        let mut files = PemFiles::default();
        let chain = files.certificates(CERT, &self.certificate);
        let key = files.private_key(KEY, &self.key);
        let validity = chain.first().and_then(|leaf| match validity(leaf) {
            None => files.reject(
                CERT,
                &self.certificate,
                "has a certificate that cannot be read",
            ),
            found => found,
        });
        let certified = key.and_then(|key| self.certified(&mut files, chain, key));
        let clients = self.clients(&mut files);
        let violations = files.into_violations();
        let (Some(validity), Some(certified), Some(clients), true) =
            (validity, certified, clients, violations.is_empty())
        else {
            return Err(Error::violations(reason::TLS_INVALID, violations));
        };
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                let violation = Violation::new("", "INVALID", error.to_string());
                Error::violations(reason::TLS_INVALID, vec![violation])
            })?;
        let mut config = config
            .with_client_cert_verifier(Arc::clone(&clients.verifier))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut warnings = self.warnings(&validity, now);
        if let Some(lists) = &clients.lists {
            warnings.extend(revocation::warnings(lists, &clients.cas, now));
        }
        Ok(Loaded {
            accepts: Accepts {
                names: validity.names.as_slice().into(),
                // Each has its own cache of sessions: nobody resumes one that another set of CAs let in.
                config: Arc::new(config),
                clients: clients.verifier,
            },
            warnings,
            certificate: NodeCertificate {
                names: validity.names,
                expire_time: validity.end,
            },
        })
    }

    /// The certificate with its key, if they belong together.
    fn certified(
        &self,
        files: &mut PemFiles,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Option<CertifiedKey> {
        if chain.is_empty() {
            return None;
        }
        match CertifiedKey::from_der(chain, key, &provider()) {
            Ok(certified) => Some(certified),
            Err(rustls::Error::InconsistentKeys(_)) => files.reject(
                KEY,
                &self.key,
                "has a key that is not the one of the certificate",
            ),
            Err(_) => files.reject(KEY, &self.key, "has a key of a kind that TLS cannot use"),
        }
    }

    /// Whose certificates are accepted; `None` where there is a violation.
    fn clients(&self, files: &mut PemFiles) -> Option<Clients> {
        let lists = self.client_crl.as_ref();
        let lists = lists.map(|crl| (crl, files.revocation_lists(CLIENT_CRL, crl)));
        let Some(ca) = &self.client_ca else {
            return match lists {
                None => Some(Clients::nobody()),
                Some((crl, _)) => files.reject(CLIENT_CRL, crl, "needs CAs of clients"),
            };
        };
        let (roots, cas) = files.roots(CLIENT_CA, ca);
        if roots.is_empty() || lists.as_ref().is_some_and(|(_, lists)| lists.is_empty()) {
            return None;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let builder = match self.is_client_optional {
            true => builder.allow_unauthenticated(),
            false => builder,
        };
        let builder = match &lists {
            Some((_, lists)) => builder.with_crls(lists.iter().cloned()),
            None => builder,
        };
        let verifier = match (builder.build(), &lists) {
            (Ok(verifier), _) => verifier,
            (Err(VerifierBuilderError::InvalidCrl(error)), Some((crl, _))) => {
                let why = format!(
                    "has a revocation list that cannot be used ({error:?}): each must be of version 2, with a CRL \
                     number"
                );
                return files.reject(CLIENT_CRL, crl, &why);
            }
            (Err(error), _) => {
                return files.reject(CLIENT_CA, ca, &format!("cannot be used: {error}"));
            }
        };
        Some(Clients {
            verifier,
            cas,
            lists: lists.map(|(_, lists)| lists),
        })
    }

    /// What is not wrong enough to refuse it.
    fn warnings(&self, validity: &Validity, now: Timestamp) -> Vec<String> {
        let mut warnings = Vec::new();
        if validity.end <= now {
            warnings.push(format!(
                "the certificate has expired ({}): clients refuse it; renew it",
                validity.end
            ));
        }
        if validity.start > now {
            warnings.push(format!(
                "the certificate is valid only from {}: clients refuse it until then; check the clock",
                validity.start
            ));
        }
        if self.key.is_readable_by_others() {
            warnings.push(
                "other users of this machine can read the private key: `chmod 600` on its file"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Whose certificates are accepted.
struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    cas: Vec<CertificateDer<'static>>,
    /// `None` where certificates are not looked up in revocation lists.
    lists: Option<Vec<CertificateRevocationListDer<'static>>>,
}

impl Clients {
    /// Clients are not asked for a certificate.
    fn nobody() -> Self {
        Self {
            verifier: Arc::new(NoClientAuth),
            cas: Vec::new(),
            lists: None,
        }
    }
}

/// What the files hold.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) accepts: Accepts,
    pub(super) certificate: NodeCertificate,
    pub(super) warnings: Vec<String>,
}

/// With what handshakes are made.
#[derive(Debug)]
pub(super) struct Accepts {
    /// The names in the certificate of the node.
    pub(super) names: Arc<[String]>,
    pub(super) config: Arc<ServerConfig>,
    /// Who checks the certificates of clients.
    pub(super) clients: Arc<dyn ClientCertVerifier>,
}
