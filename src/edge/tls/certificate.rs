//! Reads certificates: how long one is valid, and whose it is.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::model::peer_certificate::PeerCertificate;

/// How many names of one kind are taken from a certificate.
const MAX_NAMES: usize = 100;

/// For whom and how long a certificate is valid.
#[derive(Debug)]
pub(super) struct Validity {
    pub(super) names: Vec<String>,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// Reads the certificate of a node; `None` where it is malformed.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = general_names(&certificate)
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => ip(bytes).map(|ip| ip.to_string()),
            _ => None,
        });
    let time = |seconds| Timestamp::from_second(seconds).ok();
    Some(Validity {
        names: names.take(MAX_NAMES).collect(),
        start: time(certificate.validity().not_before.timestamp())?,
        end: time(certificate.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX),
    })
}

/// When the first certificate of a chain expires; never, where none can be read.
pub(super) fn expire_time(chain: &[CertificateDer<'_>]) -> Timestamp {
    let ends = chain.iter().filter_map(|der| Some(validity(der)?.end));
    ends.min().unwrap_or(Timestamp::MAX)
}

/// Reads the certificate of a client, which the handshake has verified; `None` where it is malformed.
pub(super) fn peer_certificate(der: &[u8]) -> Option<PeerCertificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut peer = PeerCertificate {
        common_name: common_name(&certificate),
        subject: certificate.subject().to_string(),
        serial: hex(certificate.raw_serial()),
        fingerprint: hex(&Sha256::digest(der)),
        ..PeerCertificate::default()
    };
    for name in general_names(&certificate).iter().take(MAX_NAMES) {
        match name {
            GeneralName::URI(uri) => peer.uris.push((*uri).to_owned()),
            GeneralName::DNSName(name) => peer.dns_names.push((*name).to_owned()),
            GeneralName::RFC822Name(email) => peer.emails.push((*email).to_owned()),
            _ => {}
        }
    }
    Some(peer)
}

fn general_names<'a, 'b>(certificate: &'b X509Certificate<'a>) -> &'b [GeneralName<'a>] {
    let extension = certificate.subject_alternative_name().ok().flatten();
    extension.map_or(&[], |extension| &extension.value.general_names)
}

/// The only common name. Where there are several, which one counts would be a guess.
fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut names = certificate.subject().iter_common_name();
    let first = names.next()?.as_str().ok()?;
    names.next().is_none().then(|| first.to_owned())
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
