//! Certificates for tests: a CA, and what it issues.

use std::net::IpAddr;
use std::path::PathBuf;

use cidery::{Cid, ClientTls, ServerTls};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
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
        self.client_with(uri, |_| {})
    }

    /// As `client`, with a serial number.
    pub(crate) fn client_numbered(&self, uri: &str, serial: u64) -> Pair {
        self.client_with(uri, |params| params.serial_number = Some(serial.into()))
    }

    /// A client that is valid until then.
    pub(crate) fn client_until(&self, uri: &str, year: i32, month: u8, day: u8) -> Pair {
        self.client_with(uri, |params| {
            params.not_after = date_time_ymd(year, month, day)
        })
    }

    fn client_with(&self, uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
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
            change(params);
        })
    }

    /// The list, as PEM, that revokes the certificates with these serial numbers.
    pub(crate) fn revoke(&self, serials: &[u64]) -> String {
        self.revoke_until(serials, 4_000)
    }

    /// As `revoke`: it should be replaced when this year begins.
    pub(crate) fn revoke_until(&self, serials: &[u64], year: i32) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
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

    /// A client with this certificate, which trusts `ca`.
    pub(crate) fn client_of(&self, ca: &Ca) -> ClientTls {
        ca.trusted().certificate_pem(&self.certificate, &self.key)
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
