//! Tokens of an issuer.

use std::path::Path;

use cidery::codec::proto::v1;
use cidery::engine::WorkerCounts;
use cidery::model::access::{Rights, Scope};
use cidery::remote::client::ContractClient;
use cidery::{AccessOptions, ClientCredential, Clock, JwtOptions, Node, NodeHandle};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{ping, refusal};
use crate::support::{Folder, PATIENCE, any_port};

/// An Ed25519 key of RFC 8037, as PKCS #8, and its public part.
const PRIVATE: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
    0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// A year that the tests do not reach.
const EXP: i64 = 4_000_000_000;

pub(super) fn jwks(id: &str) -> String {
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": PUBLIC});
    json!({ "keys": [key] }).to_string()
}

struct Issuer {
    folder: Folder,
    node: NodeHandle,
}

impl Issuer {
    async fn start() -> Self {
        let folder = Folder::new("jwks");
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, jwks("one")).unwrap();
        let node = Node::builder()
            .access(options(&file))
            .clock(Clock::steady());
        let node = node.listen(any_port()).start().await.unwrap();
        Self { folder, node }
    }

    async fn client(&self, token: &str) -> ContractClient {
        let address = self.node.address().unwrap().to_string();
        let client = ContractClient::connect(&address).await;
        let credential = ClientCredential::api_key(token).unwrap();
        client.unwrap().credential(credential)
    }

    async fn refusal(&self, token: &str) -> (String, String) {
        let error = ping(&self.client(token).await).await.unwrap_err();
        (error.reason().to_owned(), error.message().to_owned())
    }
}

fn options(jwks: &Path) -> AccessOptions {
    let mut access = AccessOptions::default();
    let jwks = jwks.to_str().unwrap();
    let mut jwt = JwtOptions::new(jwks, "https://issuer.example", "cidery");
    jwt.group_claim = Some("team".to_owned());
    access.jwt = Some(jwt);
    let operator = Rights {
        read: Scope::All,
        administer: true,
        ..Rights::all()
    };
    access.roles.insert("operator".to_owned(), operator);
    access
}

pub(super) fn claims() -> Value {
    json!({"sub": "a", "iss": "https://issuer.example", "aud": ["other", "cidery"], "exp": EXP})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn without(key: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(key);
    claims
}

fn header(id: Option<&str>) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = id.map(ToOwned::to_owned);
    header
}

fn token(header: &Header, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_ed_der(&PRIVATE)).unwrap()
}

pub(super) fn valid(claims: &Value) -> String {
    token(&header(Some("one")), claims)
}

#[tokio::test]
async fn a_token_of_the_issuer_is_accepted_with_its_roles() {
    let issuer = Issuer::start().await;
    let client = issuer.client(&valid(&claims())).await;
    ping(&client).await.unwrap_or_else(|error| {
        // Without a role it may invoke nothing.
        assert_eq!(error.reason(), "NOT_PERMITTED");
    });
    let caller = client.caller().await.unwrap();
    assert_eq!(caller.principal, "token:a");
    assert_eq!(caller.credential(), v1::CredentialKind::Token);
    assert!(!caller.rights.unwrap().administer);
    assert_eq!(caller.expire_time.unwrap().seconds, EXP + 60);
    assert_eq!(caller.group, "");
    let of_group = issuer.client(&valid(&with("team", json!("sales")))).await;
    assert_eq!(of_group.caller().await.unwrap().group, "sales");
    let operator = valid(&with("cidery_roles", json!(["operator", "unknown"])));
    let client = issuer.client(&operator).await;
    // Verified once, then known: on this connection and on others.
    for _ in 0..2 {
        ping(&client).await.unwrap();
        ping(&issuer.client(&operator).await).await.unwrap();
    }
    assert!(client.caller().await.unwrap().rights.unwrap().administer);
    assert!(client.api_keys().await.unwrap().is_empty());
    // Without an id, the only key is meant.
    let unnamed = token(&header(None), &with("cidery_roles", json!("operator")));
    ping(&issuer.client(&unnamed).await).await.unwrap();
    let address = issuer.node.address().unwrap().to_string();
    let without = ContractClient::connect(&address).await.unwrap();
    assert_eq!(refusal(&without).await, "CREDENTIAL_REQUIRED");
}

#[tokio::test]
async fn other_tokens_are_refused() {
    let issuer = Issuer::start().await;
    let good = valid(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let forged = valid(&with("sub", json!("root")));
    let forged: Vec<&str> = forged.split('.').collect();
    let mut critical = header(Some("one"));
    critical.crit = Some(vec!["exp".to_owned()]);
    let mut shared = header(Some("one"));
    shared.alg = Algorithm::HS256;
    // The public key taken for a shared secret: the classic confusion.
    let secret = EncodingKey::from_secret(PUBLIC.as_bytes()).unwrap();
    let confused = encode(&shared, &claims(), &secret).unwrap();
    // {"alg":"none"}
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    for (token, why) in [
        (valid(&with("aud", json!("other"))), "another audience"),
        (
            valid(&with("iss", json!("https://x.example"))),
            "another issuer",
        ),
        (valid(&with("exp", json!(1_000))), "has expired"),
        (valid(&with("nbf", json!(EXP))), "not valid yet"),
        (
            valid(&with("sub", json!(""))),
            "principal of the token is empty",
        ),
        (valid(&without("sub")), "names no principal"),
        (valid(&with("team", json!(5))), "group of the token"),
        (valid(&with("team", json!("a/b"))), "group of the token"),
        (valid(&without("exp")), ""),
        (valid(&without("aud")), "no `exp`, `iss` or `aud`"),
        (valid(&without("iss")), "no `exp`, `iss` or `aud`"),
        (token(&header(Some("two")), &claims()), "not known"),
        (token(&critical, &claims()), ""),
        (confused, "algorithm"),
        (none, "no API key and no token"),
        ([parts[0], forged[1], parts[2]].join("."), "signature"),
        ([parts[0], parts[1], ""].join("."), ""),
        ([parts[0], parts[1]].join("."), "no API key and no token"),
        ("a.b.c".to_owned(), "no API key and no token"),
    ] {
        let (reason, message) = issuer.refusal(&token).await;
        assert_eq!(reason, "CREDENTIAL_INVALID", "{token} {message}");
        assert!(message.contains(why), "{message} / {why}");
    }
    ping_or_permission(&issuer, &good).await;
}

async fn ping_or_permission(issuer: &Issuer, token: &str) {
    if let Err(error) = ping(&issuer.client(token).await).await {
        assert_eq!(error.reason(), "NOT_PERMITTED");
    }
}

/// An issuer replaces its keys: the file is read again for a key that is not known, at most once a minute.
#[tokio::test(start_paused = true)]
async fn new_keys_of_the_issuer_are_read() {
    let issuer = Issuer::start().await;
    let new = token(&header(Some("two")), &claims());
    let unknown = issuer.refusal(&new).await;
    assert_eq!(unknown.0, "CREDENTIAL_INVALID");
    // Accepted, and remembered.
    let old = valid(&claims());
    ping_or_permission(&issuer, &old).await;
    std::fs::write(issuer.folder.path().join("jwks.json"), jwks("two")).unwrap();
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    ping_or_permission(&issuer, &new).await;
    // The key that was withdrawn proves nothing any more.
    let old = issuer.refusal(&old).await;
    assert!(old.1.contains("not known"), "{old:?}");
}

/// An operator who withdraws a key does not wait: a reload (SIGHUP) reads the file, and what cannot be read is a reason.
#[tokio::test]
async fn a_reload_reads_the_keys_of_the_issuer() {
    let issuer = Issuer::start().await;
    let old = issuer.client(&valid(&claims())).await;
    assert_eq!(old.caller().await.unwrap().principal, "token:a");
    let file = issuer.folder.path().join("jwks.json");
    std::fs::write(&file, "no keys").unwrap();
    let failed = issuer.node.reload().await.unwrap_err();
    assert_eq!(failed.reason(), "ACCESS_INVALID");
    let status = issuer.node.invoker().status(WorkerCounts::default()).await;
    let reason = status
        .reasons
        .iter()
        .find(|it| it.reason == "RELOAD_FAILED");
    assert!(
        reason.unwrap().message.contains("keys of tokens"),
        "{reason:?}"
    );
    // Those of before are used on.
    old.caller().await.unwrap();
    std::fs::write(&file, jwks("two")).unwrap();
    issuer.node.reload().await.unwrap();
    let refused = old.caller().await.unwrap_err();
    assert!(refused.message().contains("not known"), "{refused:?}");
}

/// Nobody asks for an unknown key, and no token is presented anew: the file is read all the same.
#[tokio::test(start_paused = true)]
async fn the_keys_of_the_issuer_are_read_at_intervals() {
    let issuer = Issuer::start().await;
    let old = issuer.client(&valid(&claims())).await;
    old.caller().await.unwrap();
    let file = issuer.folder.path().join("jwks.json");
    std::fs::write(&file, jwks("two")).unwrap();
    old.caller().await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(601)).await;
    let refused = async {
        while old.caller().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
}

#[tokio::test]
async fn options_that_cannot_be_used_are_refused_at_the_start() {
    let folder = Folder::new("bad-jwks");
    let file = folder.path().join("jwks.json");
    let start = |access: AccessOptions| Node::builder().access(access).no_listener().start();
    let error = start(options(&file)).await.unwrap_err();
    assert_eq!(error.reason(), "ACCESS_INVALID");
    std::fs::write(&file, "{\"keys\":[]}").unwrap();
    let error = start(options(&file)).await.unwrap_err();
    assert!(error.message().contains("no public key"), "{error:?}");
    std::fs::write(&file, jwks("one")).unwrap();
    let mut access = options(&file);
    access.jwt = Some(JwtOptions::new(file.to_str().unwrap(), "i", ""));
    let error = start(access).await.unwrap_err();
    assert!(error.message().contains("audience"), "{error:?}");
    start(options(&file)).await.unwrap();
}
