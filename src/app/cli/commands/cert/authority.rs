//! A certificate authority for development: makes itself, a node and a client.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;

/// How long the certificates are valid, in days. They begin a day early, for clocks that are late.
pub(super) const DAYS: i64 = 365;

/// The name of the client, as SPIFFE ID and as email address.
pub(super) const CLIENT_URI: &str = "spiffe://cidery.dev/dev";
const CLIENT_EMAIL: &str = "dev@cidery.dev";

/// A certificate and its private key, both as PEM text.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A new CA.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) own: Pair,
    now: Timestamp,
}

impl Authority {
    pub(super) fn new(now: Timestamp) -> Result<Self> {
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        // Two CAs with one name could be taken for each other, in errors and by people.
        let serial = Cid::new().to_string();
        let serial = serial.rsplit('-').next().unwrap_or_default();
        let mut params = params(&format!("Cidery development CA {serial}"), now);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
        let own = Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        };
        Ok(Self {
            issuer: Issuer::new(params, key),
            own,
            now,
        })
    }

    /// A certificate of a node with these host names and IP addresses.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `HOST_INVALID`.
    pub(super) fn node(&self, hosts: &[String]) -> Result<Pair> {
        let names = hosts.iter().map(|host| host_name(host));
        let names = names.collect::<Result<Vec<_>>>()?;
        self.issue("cidery node", names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate of a client.
    pub(super) fn client(&self) -> Result<Pair> {
        let names = vec![
            SanType::URI(text(CLIENT_URI)?),
            SanType::Rfc822Name(text(CLIENT_EMAIL)?),
        ];
        self.issue("cidery client", names, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        name: &str,
        names: Vec<SanType>,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<Pair> {
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let mut params = params(name, self.now);
        params.subject_alt_names = names;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer);
        let certificate = certificate.map_err(|error| failed(&error))?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// What all certificates have in common.
fn params(name: &str, now: Timestamp) -> CertificateParams {
    let today = now.to_zoned_datetime(TimeZone::UTC).date();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let start_of = |date: Date| {
        let part = |n: i8| u8::try_from(n).unwrap_or(1);
        date_time_ymd(date.year().into(), part(date.month()), part(date.day()))
    };
    params.not_before = start_of(today.saturating_sub(Span::new().days(1)));
    params.not_after = start_of(today.saturating_add(Span::new().days(DAYS)));
    params
}

fn host_name(host: &str) -> Result<SanType> {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
        return Ok(SanType::IpAddress(ip));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*');
    match !host.is_empty() && host.chars().all(is_name) {
        true => Ok(SanType::DnsName(text(host)?)),
        false => {
            let message =
                format!("`{host}` is neither a host name nor an IP address, without a port");
            Err(Error::invalid_argument(reason::HOST_INVALID, message))
        }
    }
}

fn text(text: &str) -> Result<Ia5String> {
    Ia5String::try_from(text).map_err(|error| failed(&error))
}

fn failed(error: &rcgen::Error) -> Error {
    Error::internal(
        reason::TLS_INVALID,
        format!("cannot make a certificate: {error}"),
    )
}
