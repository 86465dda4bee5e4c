//! Certificates and private keys as PEM text, in files or in memory.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
#[cfg(feature = "server")]
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::error::Violation;

/// The largest file that is read: a bundle of all public CAs has about 250 KiB.
const MAX_BYTES: u64 = 4 << 20;

/// PEM text: a file, which is read whenever it is needed, or bytes. Its `Debug` shows no content.
#[derive(Clone)]
pub(crate) enum Pem {
    /// The path of a file.
    File(PathBuf),
    /// The text itself.
    Bytes(Arc<[u8]>),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Bytes(_) => f.write_str("[PEM]"),
        }
    }
}

impl Pem {
    fn read(&self) -> Result<Arc<[u8]>, String> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(Arc::clone(bytes)),
            Self::File(path) => path,
        };
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Err(error) => Err(format!("cannot be read: {}", error.kind())),
            Ok(_) if bytes.len() as u64 > MAX_BYTES => {
                Err(format!("has more than {} MiB", MAX_BYTES >> 20))
            }
            Ok(_) => Ok(bytes.into()),
        }
    }

    /// What tells whether the file has changed; `None` where it cannot be seen, and for bytes, which never change.
    #[cfg(feature = "server")]
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        let Self::File(path) = self else {
            return None;
        };
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            file: file_id(&metadata),
        })
    }

    /// Whether it is a file that others than its user may read.
    #[cfg(all(feature = "server", unix))]
    pub(crate) fn is_readable_by_others(&self) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        let Self::File(path) = self else {
            return false;
        };
        std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
    }

    /// Whether it is a file that others than its user may read: not known here.
    #[cfg(all(feature = "server", not(unix)))]
    pub(crate) fn is_readable_by_others(&self) -> bool {
        false
    }

    /// The text of a violation: it begins with the path of the file.
    fn says(&self, what: &str) -> String {
        match self {
            Self::File(path) => format!("`{}` {what}", path.display()),
            Self::Bytes(_) => format!("the PEM text {what}"),
        }
    }
}

/// When a file was written, its size, and which file it is: one that is renamed over another has an older time, maybe.
#[cfg(feature = "server")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<std::time::SystemTime>,
    bytes: u64,
    file: u64,
}

#[cfg(all(feature = "server", unix))]
fn file_id(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(all(feature = "server", not(unix)))]
fn file_id(_: &std::fs::Metadata) -> u64 {
    0
}

/// Reads several pieces of PEM, and collects what is wrong with each.
#[derive(Debug, Default)]
pub(crate) struct PemFiles {
    violations: Vec<Violation>,
}

impl PemFiles {
    /// The certificates at `option`, at least one. An empty list where there is a violation.
    pub(crate) fn certificates(&mut self, option: &str, pem: &Pem) -> Vec<CertificateDer<'static>> {
        self.all(option, pem, "certificate", "-----BEGIN CERTIFICATE-----")
    }

    /// The revocation lists at `option`, at least one. An empty list where there is a violation.
    #[cfg(feature = "server")]
    pub(crate) fn revocation_lists(
        &mut self,
        option: &str,
        pem: &Pem,
    ) -> Vec<CertificateRevocationListDer<'static>> {
        self.all(option, pem, "revocation list", "-----BEGIN X509 CRL-----")
    }

    /// All objects of a kind, at least one. An empty list where there is a violation.
    fn all<T: PemObject>(&mut self, option: &str, pem: &Pem, what: &str, begin: &str) -> Vec<T> {
        let found = pem.read().and_then(|text| {
            let all: Result<Vec<T>, _> = T::pem_slice_iter(&text).collect();
            match all {
                Err(_) => Err(format!("has a {what} that is damaged")),
                Ok(none) if none.is_empty() => Err(format!("has no {what} (`{begin}`)")),
                Ok(all) => Ok(all),
            }
        });
        found.unwrap_or_else(|why| self.reject(option, pem, &why).unwrap_or_default())
    }

    /// The first private key at `option`; `None` where there is a violation.
    pub(crate) fn private_key(
        &mut self,
        option: &str,
        pem: &Pem,
    ) -> Option<PrivateKeyDer<'static>> {
        use rustls::pki_types::pem::Error;
        let found = pem.read().and_then(|text| {
            PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
                Error::NoItemsFound if is_encrypted(&text) => {
                    "has a private key that is encrypted: store it without a passphrase, readable only by its user"
                }
                Error::NoItemsFound => "has no private key (`-----BEGIN PRIVATE KEY-----`)",
                _ => "has a private key that is damaged",
            }.to_owned())
        });
        found
            .map(Some)
            .unwrap_or_else(|why| self.reject(option, pem, &why))
    }

    /// The CA certificates at `option`, as roots, and themselves; empty where there is a violation.
    pub(crate) fn roots(
        &mut self,
        option: &str,
        pem: &Pem,
    ) -> (RootCertStore, Vec<CertificateDer<'static>>) {
        let mut roots = RootCertStore::empty();
        let certificates = self.certificates(option, pem);
        for certificate in &certificates {
            if roots.add(certificate.clone()).is_err() {
                self.reject::<()>(option, pem, "has a certificate that is not one of a CA");
            }
        }
        (roots, certificates)
    }

    /// Records what is wrong at `option`.
    pub(crate) fn reject<T>(&mut self, option: &str, pem: &Pem, why: &str) -> Option<T> {
        let violation = Violation::new(format!("/{option}"), "INVALID", pem.says(why));
        self.violations.push(violation);
        None
    }

    /// What is wrong with all of them.
    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.violations
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    const MARK: &[u8] = b"ENCRYPTED PRIVATE KEY";
    text.windows(MARK.len()).any(|window| window == MARK)
}

/// The cryptography of all connections: the provider of the process where its host has installed one, otherwise ring.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default().cloned();
    installed.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}
