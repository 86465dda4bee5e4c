//! Fuzz targets of credentials: what is no valid credential opens nothing, and no error repeats it.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderValue};

use super::authenticator::Authenticator;
use super::certificates::{PeerNames, identify};
use super::connection_credentials::ConnectionCredentials;
use super::options::{AccessOptions, CertificateRule};
use crate::engine::access::{KeyRing, NewApiKey};
use crate::engine::clock::Clock;
use crate::fuzz_engine::fuzz;
use crate::model::access::{Principal, Quota, Rights};
use crate::store::MemoryStore;

/// An authenticator with one key, and the text of the key.
fn with_key() -> (Authenticator, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let store = Arc::new(MemoryStore::new());
        let ring = KeyRing::load(store.clone(), Clock::System).await.unwrap();
        let key = NewApiKey {
            principal: Principal::known("anna"),
            group: None,
            rights: Rights::all(),
            quota: Quota::default(),
            ttl: None,
            created_by: None,
        };
        let (_, secret) = ring.create(key).await.unwrap();
        let options = AccessOptions {
            failures_per_second: u32::MAX,
            failures_burst: u32::MAX,
            ..AccessOptions::default()
        };
        let authenticator = Authenticator::start(store, Clock::System, options).await;
        (authenticator.unwrap(), secret.expose().to_owned())
    })
}

/// What a header must be to be taken: the scheme in any case, and the key with spaces around it.
fn is_right(header: &[u8], key: &str) -> bool {
    let scheme = header.get(..7);
    let is_bearer = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    is_bearer && header.get(7..).unwrap_or_default().trim_ascii() == key.as_bytes()
}

#[test]
fn a_header_without_the_key_opens_nothing_and_is_in_no_error() {
    let (authenticator, key) = with_key();
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let (id, secret) = key.rsplit_once('_').unwrap();
    let seeds = [
        format!("Bearer {key}"),
        format!("bearer  {key} "),
        format!("Bearer {id}_{}", &secret[1..]),
        format!("Bearer {id}_{secret}_{secret}"),
        format!("Bearer {}", key.to_ascii_uppercase()),
        format!("Basic {key}"),
        "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        "Bearer cdy__".to_owned(),
    ];
    let seeds: Vec<&[u8]> = seeds.iter().map(String::as_bytes).collect();
    // The connection remembers the last credential, whatever comes after it.
    let connection = ConnectionCredentials::default();
    fuzz("authorization", &seeds, |input| {
        let Ok(header) = HeaderValue::from_bytes(input) else {
            return;
        };
        let mut request = http::Request::new(());
        request.headers_mut().insert(AUTHORIZATION, header);
        let answer = authenticator.authenticate(&mut request, peer, &connection);
        assert!(!request.headers().contains_key(AUTHORIZATION));
        match answer {
            Ok(authenticated) => {
                assert!(is_right(input, &key));
                assert_eq!(
                    authenticated.caller.identity().unwrap().principal.as_str(),
                    "anna"
                );
            }
            Err(error) => {
                assert!(!is_right(input, &key), "{error:?}");
                assert_eq!(error.reason(), "CREDENTIAL_INVALID");
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    });
}

/// Whether a name matches a pattern, told by trying everything that a `*` may stand for.
fn stands_for(pattern: &[u8], name: &[u8], separator: u8) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], name) => (1..=name.len())
            .take_while(|end| !name[..*end].contains(&separator) && !name[..*end].contains(&b'*'))
            .any(|end| stands_for(rest, &name[end..], separator)),
        ([a, pattern @ ..], [b, name @ ..]) => a == b && stands_for(pattern, name, separator),
        _ => false,
    }
}

#[test]
fn a_name_of_a_certificate_matches_what_its_pattern_says() {
    let seeds: [&[u8]; 6] = [
        b"spiffe://a.example/*\nspiffe://a.example/billing",
        b"spiffe://*/ns/x-*/sa/crm\nspiffe://b/ns/x-1/sa/crm",
        b"*.example\ncrm.example",
        b"crm-*-1.example\ncrm-a-1.example",
        b"a.example\na.example\nspiffe://c",
        b"*\n*\n*",
    ];
    fuzz("certificate names", &seeds, |input| {
        let text = String::from_utf8_lossy(input).to_ascii_lowercase();
        let mut lines = text.split('\n').map(str::to_owned);
        let pattern = lines.next().unwrap_or_default();
        let (uris, dns_names): (Vec<_>, Vec<_>) = lines.partition(|name| name.contains("://"));
        let rule = CertificateRule::new(pattern.clone());
        let options = AccessOptions {
            certificates: vec![rule],
            ..AccessOptions::default()
        };
        let names = PeerNames {
            uris: &uris,
            dns_names: &dns_names,
        };
        let found = identify(names, &options);
        let spiffe: Vec<_> = uris
            .iter()
            .filter(|uri| uri.starts_with("spiffe://"))
            .collect();
        // A part has one `*` at most: a second one stands for itself, which no name has.
        let is_plain = |separator| {
            !pattern
                .split(separator)
                .any(|part| part.matches('*').count() > 1)
        };
        let matches = |name: &str, separator: char| {
            let separator = u8::try_from(separator).unwrap();
            stands_for(pattern.as_bytes(), name.as_bytes(), separator)
        };
        let expected = match pattern.starts_with("spiffe://") {
            _ if spiffe.len() > 1 => false,
            true => is_plain('/') && spiffe.iter().any(|id| matches(id, '/')),
            false => is_plain('.') && dns_names.iter().any(|name| matches(name, '.')),
        };
        assert_eq!(
            found.is_some(),
            expected,
            "{pattern:?} {uris:?} {dns_names:?}"
        );
        let principal = found.map(|identity| identity.principal.as_str().len());
        assert!(principal.is_none_or(|bytes| bytes <= Principal::MAX_BYTES));
    });
}
