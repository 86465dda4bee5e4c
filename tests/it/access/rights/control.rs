//! Who may change invocations, and with what: another input needs the right to invoke, a filter the right to read.

use cidery::codec::proto::v1;
use cidery::codec::struct_pb;
use cidery::model::access::{Rights, Scope};
use cidery::{Error, Node, dict};

use super::{accept, client, ended, get, invoke_async, invoking, node, node_with, refused};

/// Another input is another call: it needs the right for the service.
#[tokio::test]
async fn a_retry_with_another_input_needs_the_right_to_invoke() {
    let fails = async || Err::<(), _>(Error::failed_precondition("BROKEN", "is broken"));
    let operator = Rights {
        read: Scope::All,
        control: Scope::All,
        ..invoking(&["b.*"])
    };
    let people = vec![("anna", invoking(&["*"])), ("operator", operator)];
    let node = node_with(Node::builder().service("a.fails", fails), people).await;
    let mut anna = client(&node, "anna").await;
    let cid = accept(&mut anna, "a.fails").await;
    ended(&mut anna, &cid).await;
    let mut operator = client(&node, "operator").await;
    let mut retry = async |input: Option<v1::retry_invocations_request::Input>, dry_run| {
        let request = v1::RetryInvocationsRequest {
            cids: vec![cid.clone()],
            input,
            dry_run,
            ..v1::RetryInvocationsRequest::default()
        };
        let retried = operator.retry_invocations(request).await.unwrap();
        let failure = retried.into_inner().changes.remove(0).failure;
        failure.map(|failure| failure.reason)
    };
    let input = struct_pb::encode_dict(&dict! { "other": 1 }).unwrap();
    for dry_run in [true, false] {
        let input = v1::retry_invocations_request::Input::Payload(input.clone());
        let refused = retry(Some(input), dry_run).await;
        assert_eq!(refused.as_deref(), Some("NOT_PERMITTED"), "{dry_run}");
    }
    assert_eq!(retry(None, false).await, None);
}

/// A caller that may control what it may not read gets nothing to read by retrying it, and makes no call with it.
#[tokio::test]
async fn a_retry_shows_nothing_to_a_caller_that_may_not_read() {
    let blind = Rights {
        read: Scope::Own,
        control: Scope::All,
        ..invoking(&["a.fails"])
    };
    let reader = Rights {
        read: Scope::All,
        ..blind.clone()
    };
    let fails = async || Err::<(), _>(Error::failed_precondition("BROKEN", "is broken"));
    let people = vec![
        ("anna", invoking(&["*"])),
        ("blind", blind),
        ("reader", reader),
    ];
    let node = node_with(Node::builder().service("a.fails", fails), people).await;
    let mut anna = client(&node, "anna").await;
    let request = v1::InvokeAsyncRequest {
        failure_callbacks: vec!["cidery.echo".to_owned()],
        ..invoke_async("a.fails")
    };
    let accepted = anna.invoke_async(request).await.unwrap().into_inner();
    let cid = accepted.cid;
    ended(&mut anna, &cid).await;
    let mut blind = client(&node, "blind").await;
    let retry = |input| v1::RetryInvocationsRequest {
        cids: vec![cid.clone()],
        input,
        ..v1::RetryInvocationsRequest::default()
    };
    let input = struct_pb::encode_dict(&dict! { "other": 1 }).unwrap();
    let other = || Some(v1::retry_invocations_request::Input::Payload(input.clone()));
    let retried = blind.retry_invocations(retry(None)).await.unwrap();
    let change = retried.into_inner().changes.remove(0);
    assert_eq!(change.failure, None);
    // The same input: it belongs to anna, with all that follows from it.
    assert_eq!(
        refused(blind.get_invocation(get(&change.new_cid)).await),
        "CID_UNKNOWN"
    );
    ended(&mut anna, &change.new_cid).await;
    // Another input: a call of its own, whose metadata and callbacks are those of what it cannot read.
    let reason = |response: tonic::Response<v1::RetryInvocationsResponse>| {
        let failure = response.into_inner().changes.remove(0).failure;
        failure.map(|failure| failure.reason).unwrap_or_default()
    };
    let refusal = reason(blind.retry_invocations(retry(other())).await.unwrap());
    assert_eq!(refusal, "CID_UNKNOWN");
    // One that reads it needs the right for its callbacks, too.
    let mut reader = client(&node, "reader").await;
    let refusal = reason(reader.retry_invocations(retry(other())).await.unwrap());
    assert_eq!(refusal, "NOT_PERMITTED");
}

/// Another input is the call of the caller that writes it.
#[tokio::test]
async fn a_retry_with_another_input_is_a_call_of_its_caller() {
    let operator = Rights {
        read: Scope::All,
        control: Scope::All,
        ..invoking(&["*"])
    };
    let fails = async || Err::<(), _>(Error::failed_precondition("BROKEN", "is broken"));
    let people = vec![("anna", invoking(&["*"])), ("operator", operator)];
    let node = node_with(Node::builder().service("a.fails", fails), people).await;
    let mut anna = client(&node, "anna").await;
    let cid = accept(&mut anna, "a.fails").await;
    ended(&mut anna, &cid).await;
    let mut operator = client(&node, "operator").await;
    let input = struct_pb::encode_dict(&dict! { "other": 1 }).unwrap();
    let retried = operator.retry_invocations(v1::RetryInvocationsRequest {
        cids: vec![cid],
        input: Some(v1::retry_invocations_request::Input::Payload(input)),
        ..v1::RetryInvocationsRequest::default()
    });
    let cid = retried
        .await
        .unwrap()
        .into_inner()
        .changes
        .remove(0)
        .new_cid;
    let found = ended(&mut operator, &cid).await;
    assert_eq!(
        (found.principal.as_str(), found.acting_principal.as_str()),
        ("operator", "operator")
    );
}

/// Who may change more than it may read finds with a filter what it may read, and changes the rest by CID alone.
#[tokio::test]
async fn a_filter_reaches_what_may_be_read() {
    let blind = Rights {
        read: Scope::Own,
        control: Scope::All,
        ..invoking(&["*"])
    };
    let node = node(vec![("anna", invoking(&["*"])), ("blind", blind)]).await;
    let (mut anna, mut blind) = (client(&node, "anna").await, client(&node, "blind").await);
    let hour = prost_types::Duration {
        seconds: 3_600,
        nanos: 0,
    };
    let later = v1::InvokeAsyncRequest {
        start: Some(v1::invoke_async_request::Start::Delay(hour)),
        ..invoke_async("cidery.ping")
    };
    let cid = anna.invoke_async(later).await.unwrap().into_inner().cid;
    let found = blind.get_invocation(get(&cid)).await;
    assert_eq!(refused(found), "CID_UNKNOWN");
    let mut cancel = async |cids: &[&str]| {
        let request = v1::CancelInvocationsRequest {
            cids: cids.iter().map(|cid| (*cid).to_owned()).collect(),
            all: cids.is_empty(),
            ..v1::CancelInvocationsRequest::default()
        };
        let cancelled = blind.cancel_invocations(request).await.unwrap();
        cancelled.into_inner().changes
    };
    assert_eq!(cancel(&[]).await, []);
    let changes = cancel(&[&cid]).await;
    assert!(changes[0].failure.is_none(), "{changes:?}");
    ended(&mut anna, &cid).await;
}

/// Without the scope, not even one's own invocations are read or changed.
#[tokio::test]
async fn without_a_scope_nothing_is_reached() {
    let none = Rights {
        read: Scope::None,
        control: Scope::None,
        ..invoking(&["*"])
    };
    let node = node(vec![("none", none)]).await;
    let mut none = client(&node, "none").await;
    let cid = accept(&mut none, "cidery.ping").await;
    assert_eq!(
        refused(none.get_invocation(get(&cid)).await),
        "NOT_PERMITTED"
    );
    let listed = none.list_invocations(v1::ListInvocationsRequest::default());
    assert_eq!(refused(listed.await), "NOT_PERMITTED");
    let cancelled = none.cancel_invocations(v1::CancelInvocationsRequest {
        cids: vec![cid],
        ..v1::CancelInvocationsRequest::default()
    });
    let mut changes = cancelled.await.unwrap().into_inner().changes;
    assert_eq!(changes.remove(0).failure.unwrap().reason, "NOT_PERMITTED");
}
