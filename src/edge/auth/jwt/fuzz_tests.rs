//! Fuzz targets of tokens: their text, their claims, and the key sets that verify them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::claims::Claims;
use super::key_set::KeySet;
use super::options::JwtOptions;
use super::verifier::TokenVerifier;
use crate::fuzz_engine::fuzz;
use crate::model::access::Principal;

/// An Ed25519 key of RFC 8037, as PKCS #8, and the set with its public part.
const PRIVATE: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
    0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const PUBLIC: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","alg":"EdDSA","use":"sig",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const CURVE: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"two",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
/// When the tokens of the targets are verified, in seconds.
const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn verifier() -> TokenVerifier {
    let file = std::env::temp_dir().join(format!("cidery-jwks-{}", crate::Cid::new()));
    std::fs::write(&file, PUBLIC).unwrap();
    let options = JwtOptions::new(file.to_str().unwrap(), "issuer", "cidery");
    let verifier = TokenVerifier::new(options, BTreeMap::new()).unwrap();
    std::fs::remove_file(file).unwrap();
    verifier
}

#[test]
fn no_other_text_is_the_token() {
    let verifier = verifier();
    let header = |algorithm| Header {
        kid: Some("one".to_owned()),
        ..Header::new(algorithm)
    };
    let claims = json!({"sub": "anna", "iss": "issuer", "aud": "cidery", "exp": NOW + 60});
    let private = EncodingKey::from_ed_der(&PRIVATE);
    let valid = encode(&header(Algorithm::EdDSA), &claims, &private).unwrap();
    let shared = EncodingKey::from_secret(PUBLIC.as_bytes()).unwrap();
    let confused = encode(&header(Algorithm::HS256), &claims, &shared).unwrap();
    let (signed, signature) = valid.rsplit_once('.').unwrap();
    let payload = signed.split_once('.').unwrap().1;
    let none = format!("eyJhbGciOiJub25lIn0.{payload}.");
    let stripped = format!("{signed}.");
    let seeds = [
        &valid, &confused, &none, &stripped, signature, "..", "a.b.c",
    ];
    fuzz("token", &seeds.map(str::as_bytes), |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        match verifier.verify(text, now()) {
            Ok(_) => assert_eq!(text, valid),
            // A fixed text, which has nothing of the token.
            Err(message) => assert!(text != valid && !message.is_empty(), "{message}"),
        }
    });
}

/// What a valid signature vouches for may still be anything.
#[test]
fn claims_name_a_principal_or_are_refused() {
    let seeds: [&[u8]; 5] = [
        br#"{"sub":"anna","exp":1800000060,"nbf":1799999999.5,"cidery_roles":["a","b",7]}"#,
        br#"{"sub":"a b","exp":1e300,"realm":{"cidery_roles":"c d"}}"#,
        br#"{"sub":"","exp":-1,"nbf":null,"cidery_roles":{"a":[[[]]]}}"#,
        br#"{"sub":"\u0000\u2028","exp":9223372036854775807}"#,
        br#"{"sub":7,"exp":"1800000060","sub":"twice"}"#,
    ];
    let options = JwtOptions::new("", "", "");
    fuzz("claims", &seeds, |input| {
        let Ok(claims) = serde_json::from_slice::<Claims>(input) else {
            return;
        };
        let Ok(meaning) = claims.meaning(&options, now()) else {
            return;
        };
        let principal = meaning.principal.as_str();
        assert!(principal.len() > "token:".len() && principal.len() <= Principal::MAX_BYTES);
        assert!(principal.starts_with("token:") && !principal.contains(char::is_control));
        assert!(meaning.expire_time > now() && meaning.roles.len() <= 1_000);
    });
    let deep = format!(r#"{{"sub":"a","exp":1,"x":{}"#, "[".repeat(1 << 20));
    assert!(serde_json::from_slice::<Claims>(deep.as_bytes()).is_err());
}

/// A file with a secret in it, named as a key set by mistake, is not shown.
#[test]
fn key_sets_are_read_or_refused_without_their_content() {
    const SECRET: &str = "swordfish";
    let seeds: [&[u8]; 6] = [
        PUBLIC.as_bytes(),
        CURVE.as_bytes(),
        br#"{"keys":[{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB","use":"enc"},{"kty":"oct","k":"c2VjcmV0"}]}"#,
        br#"{"keys":"swordfish"}"#,
        br#""swordfish""#,
        b"[swordfish]",
    ];
    fuzz("key set", &seeds, |input| match KeySet::parse(input) {
        Ok(keys) => {
            assert!(keys.is_same(&KeySet::parse(input).unwrap()));
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                assert!(keys.find(None, algorithm).is_none());
            }
        }
        Err(message) => assert!(
            !message.is_empty() && !message.contains(SECRET),
            "{message}"
        ),
    });
    let deep = format!(r#"{{"keys":{}"#, "[".repeat(1_000_000));
    assert!(KeySet::parse(deep.as_bytes()).is_err());
}
