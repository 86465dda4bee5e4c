//! Fuzz targets of certificates: PEM texts of a node, and what is read from certificates.

use jiff::Timestamp;

use super::certificate::{peer_certificate, validity};
use super::revocation::warnings;
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

/// A list that cannot be used is refused where the node is configured, and never taken for one that revokes nothing.
#[test]
fn lists_of_revoked_certificates_are_read_or_the_option_is_named() {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let list = |serials: &[u64], number: u64| {
        let revoked = serials.iter().map(|serial| rcgen::RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(2021, 1, 1),
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&issuer).unwrap().pem().unwrap()
    };
    let (one, two) = (list(&[7, 1 << 40], 1), list(&[], 2));
    let (certificate, key, _) = pair();
    let both = format!("{one}\n{two}");
    let swapped = one.replace("X509 CRL", "CERTIFICATE");
    let cut = one.split_at(one.len() / 2).0.to_owned() + "\n-----END X509 CRL-----\n";
    let seeds = [&one, &two, &both, &swapped, &cut, &key, ""];
    fuzz("revocation list", &seeds.map(str::as_bytes), |input| {
        let tls = ServerTls::pem(&certificate, &key).client_ca_pem(&ca);
        let tls = tls.client_crl_pem(input);
        match tls.load(Timestamp::UNIX_EPOCH) {
            Ok(_) => assert!(input.windows(8).any(|part| part == b"X509 CRL"), "{tls:?}"),
            Err(error) => {
                assert_eq!(error.reason(), "TLS_INVALID");
                let violations = error.field_violations();
                assert!(!violations.is_empty(), "{error:?}");
                for violation in violations {
                    assert_eq!(violation.path, "/tls_client_crl", "{violation:?}");
                }
            }
        }
        // Of a list itself, as it is after the PEM text.
        let lists = [input.to_vec().into()];
        drop(warnings(&lists, &[], Timestamp::UNIX_EPOCH));
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
