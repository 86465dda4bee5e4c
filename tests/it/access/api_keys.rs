//! API keys: valid, wrong, expired and revoked ones, and who may make them.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::remote::client::ContractClient;
use cidery::{Client, Kind, Node, Worker};

use super::{Guarded, admin, ping, refusal, user, user_for};
use crate::support::raw::{INVOKE, Raw, framed};
use crate::support::{TestNode, any_port, secret_of};

#[tokio::test]
async fn a_call_needs_a_valid_key() {
    let (node, [key]) = Guarded::start([user("billing")]).await;
    ping(&node.client(key.expose()).await).await.unwrap();
    let without = ContractClient::connect(&node.address()).await.unwrap();
    let error = ping(&without).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert_eq!(error.reason(), "CREDENTIAL_REQUIRED");
    assert!(error.cid().is_some(), "{error:?}");
    let (id, secret) = key.expose()[4..].split_once('_').unwrap();
    for wrong in [
        format!("cdy_{id}_{}", secret.to_ascii_lowercase()),
        format!("cdy_{id}_{}", &secret[1..]),
        format!("cdy_{id}_"),
        format!("cdy_{}_{secret}", &id[1..]),
        "cdy_".to_owned(),
        "cdy_id".to_owned(),
        secret.to_owned(),
        "x".repeat(8_000),
    ] {
        let error = ping(&node.client(&wrong).await).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated, "{wrong}");
        assert_eq!(error.reason(), "CREDENTIAL_INVALID", "{wrong}");
    }
    // A client whose key was wrong once is not remembered for it.
    ping(&node.client(key.expose()).await).await.unwrap();
}

/// The fast path of `Invoke`, the router and typed methods ask; so do reflection and unknown methods.
#[tokio::test]
async fn every_method_but_health_needs_a_credential() {
    let (node, [_]) = Guarded::start([user("billing")]).await;
    let mut raw = Raw::connect(node.node.address().unwrap()).await;
    for path in [
        INVOKE,
        "/cidery.v1.InvocationService/InvokeAsync",
        "/cidery.v1.InvocationService/GetInvocation",
        "/cidery.v1.DiscoveryService/ListServices",
        "/cidery.v1.SecurityService/GetCaller",
        "/cidery.v1.WorkerService/Serve",
        "/customer.Service/Get",
        "/no.such/Method",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.HealthX/Check",
    ] {
        let answer = raw.call(path, &[], framed(b"")).await;
        assert_eq!(answer.error().reason(), "CREDENTIAL_REQUIRED", "{path}");
        assert!(answer.get("cidery-cid").is_some(), "{path}");
    }
    let answer = raw
        .call("/grpc.health.v1.Health/Check", &[], framed(b""))
        .await;
    assert_eq!(answer.get("grpc-status"), Some("0"));
    for header in ["Basic eDp5", "Bearer", "Bearer  "] {
        let headers = [("authorization", header)];
        let answer = raw.call(INVOKE, &headers, framed(b"")).await;
        assert_eq!(answer.error().reason(), "CREDENTIAL_INVALID", "{header}");
    }
}

#[tokio::test]
async fn a_key_expires() {
    let time = ManualClock::new();
    let hour = Duration::from_hours(1);
    let keys = [user_for("billing", hour), user("crm")];
    let (node, [key, lasting]) =
        Guarded::start_with(Node::builder(), keys, Clock::Manual(time.clone())).await;
    let client = node.client(key.expose()).await;
    ping(&client).await.unwrap();
    let caller = client.caller().await.unwrap();
    assert_eq!(caller.credential(), v1::CredentialKind::ApiKey);
    assert_eq!(caller.principal, "billing");
    assert!(caller.expire_time.is_some());
    time.advance(hour);
    // On the connection that it was used on, too.
    assert_eq!(refusal(&client).await, "CREDENTIAL_INVALID");
    let error = ping(&node.client(key.expose()).await).await.unwrap_err();
    assert!(error.message().ends_with("has expired"), "{error:?}");
    ping(&node.client(lasting.expose()).await).await.unwrap();
}

#[tokio::test]
async fn an_administrator_makes_lists_and_revokes_keys() {
    let (node, [key]) = Guarded::start([admin("root")]).await;
    let root = node.client(key.expose()).await;
    let request = v1::CreateApiKeyRequest {
        principal: "billing".to_owned(),
        group: "finance".to_owned(),
        rights: Some(v1::Rights {
            invoke: vec!["cidery.*".to_owned()],
            ..v1::Rights::default()
        }),
        ..v1::CreateApiKeyRequest::default()
    };
    let made = root.create_api_key(request).await.unwrap();
    let id = made.api_key.unwrap().id;
    let billing = node.client(&made.secret).await;
    ping(&billing).await.unwrap();
    let listed = root.api_keys().await.unwrap();
    let names = listed.iter().map(|key| key.principal.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["billing", "root"]);
    assert_eq!(listed[0].created_by, "root");
    assert!(listed[0].last_use_time.is_some());
    assert!(!format!("{listed:?}").contains(secret_of(&made.secret)));
    // Whoever does not administer makes no keys, not even fewer rights.
    let error = billing.create_api_key(v1::CreateApiKeyRequest::default());
    assert_eq!(error.await.unwrap_err().reason(), "NOT_PERMITTED");
    assert_eq!(
        billing.api_keys().await.unwrap_err().reason(),
        "NOT_PERMITTED"
    );
    assert_eq!(
        billing.revoke_api_key(&id).await.unwrap_err().reason(),
        "NOT_PERMITTED"
    );
    for _ in 0..2 {
        let revoked = root.revoke_api_key(&id).await.unwrap();
        assert!(revoked.revoke_time.is_some());
    }
    assert_eq!(refusal(&billing).await, "CREDENTIAL_INVALID");
    let error = ping(&node.client(&made.secret).await).await.unwrap_err();
    assert!(error.message().ends_with("was revoked"), "{error:?}");
    let unknown = root.revoke_api_key("x").await.unwrap_err();
    assert_eq!(unknown.reason(), "API_KEY_UNKNOWN");
}

#[tokio::test]
async fn all_faults_of_a_new_key_are_reported_at_once() {
    let (node, [key]) = Guarded::start([admin("root")]).await;
    let request = v1::CreateApiKeyRequest {
        principal: "a b".to_owned(),
        group: "g/h".to_owned(),
        rights: Some(v1::Rights {
            invoke: vec!["a b".to_owned()],
            ..v1::Rights::default()
        }),
        ttl: Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        }),
        quota: Some(v1::Quota {
            burst: 3,
            ..v1::Quota::default()
        }),
    };
    let client = node.client(key.expose()).await;
    let error = client.create_api_key(request).await.unwrap_err();
    let paths = error.field_violations().iter().map(|it| it.path.as_str());
    assert_eq!(
        paths.collect::<Vec<_>>(),
        [
            "/principal",
            "/group",
            "/rights/invoke/0",
            "/quota/burst",
            "/ttl"
        ]
    );
}

#[tokio::test]
async fn a_node_without_keys_asks_nobody_and_makes_none() {
    let node = TestNode::demo().await;
    let caller = node.client.caller().await.unwrap();
    assert_eq!(caller.credential(), v1::CredentialKind::None);
    assert!(caller.rights.unwrap().administer);
    let request = v1::CreateApiKeyRequest {
        principal: "root".to_owned(),
        ..v1::CreateApiKeyRequest::default()
    };
    let error = node.client.create_api_key(request).await.unwrap_err();
    assert_eq!(error.reason(), "AUTHENTICATION_OFF");
    assert!(error.message().contains("--data-dir"), "{error:?}");
    // A key that nobody asked for does no harm.
    let client = Client::connect(&node.address().to_string()).await.unwrap();
    let client = client.api_key("cdy_id_secret").unwrap();
    client.invoke("cidery.ping", ()).await.unwrap();
}

#[tokio::test]
async fn the_program_itself_needs_no_key() {
    let (node, [_]) = Guarded::start([user("billing")]).await;
    node.node.invoke("cidery.ping", ()).await.unwrap();
}

#[tokio::test]
async fn a_client_and_a_worker_in_rust_send_their_key() {
    let (node, [key]) = Guarded::start([user("crm")]).await;
    let worker = || Worker::builder().service("crm.seven", async || 7_u32);
    let refused = worker().connect(&node.address()).await.unwrap_err();
    assert_eq!(refused.reason(), "CREDENTIAL_REQUIRED");
    let refused = worker().api_key("cdy_a_b").connect(&node.address()).await;
    assert_eq!(refused.unwrap_err().reason(), "CREDENTIAL_INVALID");
    let malformed = worker().api_key("a b").connect(&node.address()).await;
    assert_eq!(malformed.unwrap_err().reason(), "CREDENTIAL_INVALID");
    let worker = Worker::builder().service("crm.seven", async |ctx: cidery::Context| {
        // A nested call has the key of the worker.
        ctx.invoke("cidery.ping", ()).await.map(|_| 7_u32)
    });
    let worker = worker.api_key(key.expose());
    let worker = worker.connect(&node.address()).await.unwrap();
    let client = Client::connect(&node.address()).await.unwrap();
    let client = client.api_key(key.expose()).unwrap();
    let seven: u32 = client
        .invoke("crm.seven", ())
        .await
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(seven, 7);
    worker.stop().await;
}

/// A node on all addresses can be reached as `0.0.0.0`, which is no loopback address.
#[tokio::test]
async fn a_key_is_sent_in_plain_text_to_this_machine_only() {
    let (store, [key]) = super::store_with([user("crm")], &Clock::System).await;
    // With a key, no address needs `insecure`.
    let node = Node::builder().store(store).listen("0.0.0.0:0");
    let node = node.start().await.unwrap();
    let address = node.address().unwrap().to_string();
    let credential = cidery::ClientCredential::api_key(key.expose()).unwrap();
    let client = Client::connect(&address).await.unwrap();
    let protected = client.clone().credential(credential.clone());
    let error = protected.invoke("cidery.ping", ()).await.unwrap_err();
    assert_eq!(error.reason(), "CREDENTIAL_UNPROTECTED");
    let allowed = client.credential(credential.insecure());
    allowed.invoke("cidery.ping", ()).await.unwrap();
}

#[tokio::test]
async fn an_address_needs_a_key_or_to_be_insecure() {
    let start = |builder: cidery::NodeBuilder| builder.listen("0.0.0.0:0").start();
    let error = start(Node::builder()).await.unwrap_err();
    assert_eq!(error.reason(), "INSECURE_ADDRESS");
    start(Node::builder().insecure()).await.unwrap();
    // Any key that was ever made keeps the node closed.
    let clock = Clock::Manual(ManualClock::at(jiff::Timestamp::UNIX_EPOCH));
    let keys = [user_for("old", Duration::from_secs(1))];
    let (store, [_]) = super::store_with(keys, &clock).await;
    let node = Node::builder().store(store).listen(any_port());
    let node = node.start().await.unwrap();
    let address = node.address().unwrap().to_string();
    let client = ContractClient::connect(&address).await.unwrap();
    assert_eq!(refusal(&client).await, "CREDENTIAL_REQUIRED");
}
