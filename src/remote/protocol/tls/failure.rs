//! What a failed handshake means to a client, and what to do.

use std::io;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};

use crate::model::error::{Error, reason};

/// How many names of a certificate an error lists.
const MAX_NAMES: usize = 5;

/// The error of a handshake with `node`, or of what a node said right after it. `has_certificate`: whether the client
/// has one.
///
/// `UNAVAILABLE` / `CONNECT_FAILED` where the connection broke, and another attempt may help; otherwise
/// `FAILED_PRECONDITION` / `TLS_FAILED`, or `NOT_A_NODE`.
pub(super) fn handshake_error(node: &str, error: &io::Error, has_certificate: bool) -> Error {
    let cause = error.get_ref();
    let Some(cause) = cause.and_then(|cause| cause.downcast_ref::<rustls::Error>()) else {
        let message = format!(
            "cannot connect to {node}: the connection ended during the TLS handshake: {}",
            error.kind()
        );
        return Error::unavailable(reason::CONNECT_FAILED, message);
    };
    let message = match cause {
        rustls::Error::InvalidCertificate(error) => certificate(node, error),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            return no_http2(node);
        }
        rustls::Error::AlertReceived(alert) => refusal(node, *alert, has_certificate),
        rustls::Error::InvalidMessage(_) => {
            format!(
                "{node} answers without TLS: use `http://`, or start the node with `--tls-cert` and `--tls-key`"
            )
        }
        error => format!("the TLS handshake with {node} failed: {error}"),
    };
    Error::failed_precondition(reason::TLS_FAILED, message)
}

/// The error of a server that speaks TLS, and no HTTP/2.
pub(super) fn no_http2(node: &str) -> Error {
    let message = format!("{node} answers, but is not a Cidery node: it speaks no HTTP/2");
    Error::failed_precondition(reason::NOT_A_NODE, message)
}

/// Why the client does not accept the certificate of the node.
fn certificate(node: &str, error: &CertificateError) -> String {
    match error {
        // The second: of a CA with the same name as a trusted one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "the certificate of {node} is not from a CA that this client trusts: give the CA certificate of the node \
             (`--ca FILE` or `CIDERY_CA`; in Rust `ClientTls::ca_file`)"
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => wrong_name(node, expected, presented),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
            "the certificate of {node}, or that of its CA, has expired: renew it, and check the clock of this machine"
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {node} is not valid yet: check the clock of this machine")
        }
        error => format!("the certificate of {node} is not accepted: {error}"),
    }
}

fn wrong_name(node: &str, expected: &ServerName<'_>, presented: &[String]) -> String {
    // `DnsName("node.example")`, as the verifier shows a name.
    let names = presented.iter().take(MAX_NAMES).map(|name| {
        let name = name.split_once('(').map_or(&**name, |(_, name)| name);
        name.trim_matches(['"', ')', '('])
    });
    let names: Vec<&str> = names.collect();
    let names = match names.is_empty() {
        true => "no name".to_owned(),
        false => names.join(", "),
    };
    format!(
        "the certificate of {node} is for {names}, and not for {}: use a name of the certificate in the address, or \
         make one with this name",
        expected.to_str()
    )
}

/// Why the node does not accept the client.
fn refusal(node: &str, alert: AlertDescription, has_certificate: bool) -> String {
    match (alert, has_certificate) {
        // TLS 1.2 has no alert of its own for a certificate that is missing.
        (
            AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::HandshakeFailure,
            false,
        ) => format!(
            "{node} requires a client certificate: give one, with its key (`--cert FILE` and `--key FILE`, or \
             `CIDERY_CERT` and `CIDERY_KEY`; in Rust `ClientTls::certificate_files`)"
        ),
        (AlertDescription::CertificateExpired, _) => {
            format!(
                "{node} does not accept the client certificate: it has expired, or is not valid yet"
            )
        }
        (AlertDescription::CertificateRevoked, _) => {
            format!("{node} does not accept the client certificate: its CA has revoked it")
        }
        // The second: of a CA with the same name as one that the node was given.
        (AlertDescription::UnknownCA | AlertDescription::DecryptError, true) => format!(
            "{node} does not accept the client certificate: it is not from a CA that the node was given with \
             `--tls-client-ca`, or the node has no list of revoked certificates of that CA (`--tls-client-crl`)"
        ),
        (AlertDescription::ProtocolVersion, _) => {
            format!("{node} speaks no version of TLS that this client does: 1.2 or 1.3")
        }
        (alert, true) => {
            format!("{node} does not accept the client certificate, or the handshake: {alert:?}")
        }
        (alert, false) => format!("{node} refused the TLS handshake: {alert:?}"),
    }
}
