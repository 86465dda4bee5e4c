//! Failed authentications are limited.

use cidery::remote::client::ContractClient;
use cidery::{AccessOptions, Node};

use super::{Guarded, ping, refusal, user};

#[tokio::test]
async fn an_address_that_fails_too_often_is_told_when_to_come_back() {
    let mut access = AccessOptions::default();
    (access.failures_per_second, access.failures_burst) = (1, 3);
    let builder = Node::builder().access(access);
    let clock = cidery::Clock::System;
    let (node, [key]) = Guarded::start_with(builder, [user("crm")], clock).await;
    let known = node.client(key.expose()).await;
    ping(&known).await.unwrap();
    // Each client tries once: a refusal that says when to come back is retried otherwise.
    let wrong = node.client("cdy_a_b").await.max_attempts(1);
    let mut refused = 0;
    let error = loop {
        let error = ping(&wrong).await.unwrap_err();
        if error.reason() == "ATTEMPTS_LIMIT" {
            break error;
        }
        assert_eq!(error.reason(), "CREDENTIAL_INVALID");
        refused += 1;
        assert!(refused < 1_000, "nothing limits it");
    };
    assert!(refused >= 3, "{refused}");
    assert_eq!(error.kind(), cidery::Kind::ResourceExhausted);
    assert!(error.retry_after().is_some());
    assert_eq!(error.fact("authentication_failures_burst"), Some("3"));
    // A valid key is not affected, on a known connection and on a new one.
    ping(&known).await.unwrap();
    ping(&node.client(key.expose()).await).await.unwrap();
    // Neither is a call without any: it guesses nothing.
    let without = ContractClient::connect(&node.address()).await.unwrap();
    assert_eq!(refusal(&without).await, "CREDENTIAL_REQUIRED");
}
