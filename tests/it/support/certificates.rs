//! Certificates for tests: a CA, and what it issues.

use std::net::IpAddr;
use std::path::PathBuf;

use cidery::{Cid, ClientTls, ServerTls};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType, date_time_ymd,
};

use super::Folder;

/// A certificate and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A CA.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Ca {
    /// One with a name of its own.
    pub(crate) fn new() -> Self {
        Self::named(&Cid::new().to_string())
    }

    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    fn issue(
        &self,
        purpose: ExtendedKeyUsagePurpose,
        names: Vec<SanType>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = names;
        params.extended_key_usages = vec![purpose];
        change(&mut params);
        Pair {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate of a node on this machine.
    pub(crate) fn node(&self) -> Pair {
        self.node_with(|_| {})
    }

    /// As `node`, changed.
    pub(crate) fn node_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names = vec![
            SanType::DnsName("localhost".try_into().unwrap()),
            SanType::IpAddress(IpAddr::from([127, 0, 0, 1])),
        ];
        self.issue(ExtendedKeyUsagePurpose::ServerAuth, names, change)
    }

    /// A certificate of a node that expires at the start of a day.
    pub(crate) fn node_until(&self, year: i32, month: u8, day: u8) -> Pair {
        self.node_with(|params| params.not_after = date_time_ymd(year, month, day))
    }

    /// A certificate of a client with this URI.
    pub(crate) fn client(&self, uri: &str) -> Pair {
        let names = vec![
            SanType::URI(uri.try_into().unwrap()),
            SanType::DnsName("billing.example".try_into().unwrap()),
            SanType::Rfc822Name("billing@example.org".try_into().unwrap()),
        ];
        self.issue(ExtendedKeyUsagePurpose::ClientAuth, names, |params| {
            params.distinguished_name = DistinguishedName::new();
            params
                .distinguished_name
                .push(DnType::CommonName, "billing");
        })
    }

    /// A client that trusts this CA.
    pub(crate) fn trusted(&self) -> ClientTls {
        ClientTls::new().ca_pem(&self.pem)
    }
}

impl Pair {
    /// A node with this certificate.
    pub(crate) fn serve(&self) -> ServerTls {
        ServerTls::pem(&self.certificate, &self.key)
    }

    /// Writes it to `NAME.pem` and `NAME-key.pem`.
    pub(crate) fn write(&self, folder: &Folder, name: &str) -> (PathBuf, PathBuf) {
        let certificate = write(folder, &format!("{name}.pem"), &self.certificate);
        let key = write(folder, &format!("{name}-key.pem"), &self.key);
        (certificate, key)
    }
}

/// Writes a file that only its user can read. An existing one is replaced at once.
pub(crate) fn write(folder: &Folder, name: &str, text: &str) -> PathBuf {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let (path, new) = (folder.path().join(name), folder.path().join("new"));
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600);
    file.open(&new).unwrap().write_all(text.as_bytes()).unwrap();
    std::fs::rename(new, &path).unwrap();
    path
}
