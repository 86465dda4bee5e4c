//! Fuzz targets of certificates: PEM texts of a node, and what is read from certificates.

use jiff::Timestamp;

use super::certificate::{peer_certificate, validity};
use super::server_tls::ServerTls;
use crate::fuzz_engine::fuzz;

/// A certificate and its key.
fn pair() -> (String, String, Vec<u8>) {
    let names = ["localhost", "127.0.0.1", "*.example.org"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let der = made.cert.der().to_vec();
    (made.cert.pem(), made.signing_key.serialize_pem(), der)
}

#[test]
fn pem_is_read_or_the_file_is_named_and_the_key_is_not_shown() {
    let (certificate, key, _) = pair();
    let body = |pem: &str| {
        pem.lines()
            .filter(|it| !it.contains("--"))
            .collect::<String>()
    };
    let secret = body(&key);
    let other = key.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let swapped = certificate.replace("CERTIFICATE", "PRIVATE KEY");
    let all = format!("{key}\n{certificate}");
    let seeds = [&key, &other, &encrypted, &swapped, &certificate, &all, ""];
    fuzz("private key", &seeds.map(str::as_bytes), |input| {
        // Each text at each place: a right one at the wrong place is a mistake as well.
        for tls in [
            ServerTls::pem(&certificate, input),
            ServerTls::pem(input, &key),
            ServerTls::pem(&certificate, &key).client_ca_pem(input),
        ] {
            let Err(error) = tls.load(Timestamp::UNIX_EPOCH) else {
                continue;
            };
            assert_eq!(error.reason(), "TLS_INVALID");
            assert!(!error.field_violations().is_empty(), "{error:?}");
            for violation in error.field_violations() {
                let options = ["/tls_cert", "/tls_key", "/tls_client_ca"];
                assert!(options.contains(&violation.path.as_str()), "{violation:?}");
            }
            let shown = format!("{error} {error:?} {tls:?}");
            assert!(!shown.contains(&secret[8..40]), "{shown}");
        }
    });
}

/// Certificates of peers are read after the handshake has verified them; of the node, before.
#[test]
fn certificates_are_read_or_refused() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["crm.example".to_owned()]).unwrap();
    let uri = "spiffe://a.example/crm".try_into().unwrap();
    let email = "crm@a.example".try_into().unwrap();
    let ip = std::net::IpAddr::from([127, 0, 0, 1]);
    params.subject_alt_names.extend([
        rcgen::SanType::URI(uri),
        rcgen::SanType::Rfc822Name(email),
        rcgen::SanType::IpAddress(ip),
    ]);
    let with_names = params.self_signed(&key).unwrap().der().to_vec();
    let (_, _, der) = pair();
    let seeds: [&[u8]; 3] = [&der, &with_names, b"\x30\x80\x00"];
    fuzz("certificate", &seeds, |input| {
        let (of_node, of_peer) = (validity(input), peer_certificate(input));
        if let Some(peer) = &of_peer {
            let names = peer.uris.len() + peer.dns_names.len() + peer.emails.len();
            assert!(names <= 100 && peer.fingerprint.len() == 64, "{peer:?}");
        }
        if let Some(validity) = of_node {
            assert!(validity.names.len() <= 100 && of_peer.is_some());
        }
    });
}
