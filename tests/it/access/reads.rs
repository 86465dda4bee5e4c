//! Reads count against the rate of their principal, and what watches the node does not.

use cidery::engine::access::NewApiKey;
use cidery::model::access::Quota;
use cidery::model::rate::Rate;

use super::{Guarded, admin, ping};
use crate::plain_http::client::call;
use crate::support::raw::{Raw, framed};

/// A principal whose requests are two at once, and no more for a day.
fn limited(name: &str) -> NewApiKey {
    let rate = Rate::per_second(0.0).with_burst(2);
    NewApiKey {
        quota: Quota {
            rate: Some(rate),
            ..Quota::default()
        },
        ..admin(name)
    }
}

#[tokio::test]
async fn reads_count_against_the_rate_of_their_principal() {
    let (node, [key, other]) = Guarded::start([limited("one"), limited("other")]).await;
    let mut raw = Raw::connect(node.node.address().unwrap()).await;
    let bearer = format!("Bearer {}", key.expose());
    let headers = [("authorization", &*bearer)];
    let list = "/cidery.v1.DiscoveryService/ListServices";
    let answer = raw.call(list, &headers, framed(&[])).await;
    assert_eq!(answer.get("grpc-status"), Some("0"), "{answer:?}");
    // A read and a call are the two.
    ping(&node.client(key.expose()).await).await.unwrap();
    let reads = [
        list,
        "/cidery.v1.DiscoveryService/GetService",
        "/cidery.v1.InvocationService/GetInvocation",
        "/cidery.v1.InvocationService/ListInvocations",
        "/cidery.v1.InvocationService/StreamResults",
        "/cidery.v1.InvocationService/SummarizeInvocations",
        "/cidery.v1.AdminService/GetHistory",
        "/cidery.v1.AdminService/GetStatus",
        "/cidery.v1.AdminService/WatchEvents",
        "/cidery.v1.OperationService/ListOperations",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ];
    for path in reads {
        let answer = raw.call(path, &headers, framed(&[])).await;
        let error = answer.error();
        assert_eq!(error.reason(), "RATE_LIMIT", "{path}: {answer:?}");
        assert_eq!(error.fact("principal"), Some("one"), "{path}");
        assert!(error.fact("principal_rate").is_some(), "{path}");
        assert_eq!(error.fact("burst"), Some("2"), "{path}");
        assert!(error.retry_after().is_some(), "{path}");
        let pushback = answer.get("grpc-retry-pushback-ms").unwrap();
        assert!(pushback.parse::<u64>().unwrap() > 1_000, "{path}");
    }
    // Another principal has a rate of its own.
    ping(&node.client(other.expose()).await).await.unwrap();
}

#[tokio::test]
async fn what_watches_the_node_is_answered_whatever_the_rate() {
    let (node, [key]) = Guarded::start([limited("one")]).await;
    let address = node.node.address().unwrap();
    let mut raw = Raw::connect(address).await;
    let bearer = format!("Bearer {}", key.expose());
    let headers = [("authorization", &*bearer)];
    for _ in 0..2 {
        ping(&node.client(key.expose()).await).await.unwrap();
    }
    for path in [
        "/grpc.health.v1.Health/Check",
        "/externalscaler.ExternalScaler/IsActive",
        "/cidery.v1.SecurityService/GetCaller",
    ] {
        let answer = raw.call(path, &headers, framed(&[])).await;
        let status = answer.get("grpc-status").unwrap();
        // 8: RESOURCE_EXHAUSTED.
        assert_ne!(status, "8", "{path}: {answer:?}");
    }
    let authorization = format!("authorization: {bearer}");
    let get = async |path: &str| {
        let request = format!("GET {path}");
        call(address, &request, &[&authorization], "").await
    };
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(path).await.status, 200, "{path}");
    }
    for path in ["/services", "/invocations", "/openapi.json"] {
        let answer = get(path).await;
        let refused = (answer.status, answer.reason());
        assert_eq!(refused, (429, "RATE_LIMIT".to_owned()), "{path}");
        assert!(answer.header("retry-after").is_some(), "{path}");
    }
}
