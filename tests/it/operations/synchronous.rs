//! Bulk changes while the call waits: by filter, what was retried is not retried again, and one request reads so much.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::dict;
use cidery::model::call::{Call, Start};

use super::{failed, of};
use crate::support::{TestNode, ended};

fn reasons(changes: Vec<v1::InvocationChange>) -> Vec<String> {
    let failures = changes.into_iter().map(|change| change.failure);
    let reasons = failures.map(|failure| failure.unwrap_or_default().reason);
    reasons.collect()
}

#[tokio::test]
async fn what_was_retried_is_not_retried_again_by_filter() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let originals = failed(client, 2).await;
    let before = client.invocation(originals[1], Duration::ZERO).await;
    let filter = v1::InvocationFilter {
        // Without the retries, which fail as well.
        accepted_before: before.unwrap().end_time,
        ..of("demo.fail", &[v1::State::Failed])
    };
    client.retry(originals[0], false).await.unwrap();
    let retry = async |dry_run| reasons(client.retry(filter.clone(), dry_run).await.unwrap());
    assert_eq!(retry(true).await, ["", "ALREADY_RETRIED"]);
    assert_eq!(retry(false).await, ["", "ALREADY_RETRIED"]);
    assert_eq!(retry(false).await, ["ALREADY_RETRIED", "ALREADY_RETRIED"]);
    // Whoever names one means it.
    let again = client.retry(originals[0], false).await.unwrap();
    assert_eq!(reasons(again), [""]);
}

/// The caller of a call with a key was promised that it is attempted once.
#[tokio::test]
async fn the_retry_of_what_is_attempted_once_is_attempted_once() {
    let node = TestNode::demo().await;
    let client = &node.client;
    let mut call = Call::new("demo.flaky", dict! { "failures": 1 });
    call.durable().idempotency_key = Some("key".to_owned());
    let error = client.invoke(call).await.unwrap_err();
    let changes = client.retry(error.cid().unwrap(), false).await.unwrap();
    let retry = ended(client, changes[0].new_cid.parse().unwrap()).await;
    assert_eq!((retry.state(), retry.attempt), (v1::State::Failed, 1));
}

/// What is left has a token, however little was found.
#[tokio::test]
async fn one_request_reads_so_many_pages() {
    let node = TestNode::demo().await;
    for _ in 0..10 {
        // One for each page.
        let mut call = Call::new("cidery.echo", dict! { "text": "x".repeat(2 << 20) });
        call.durable().start = Some(Start::After(Duration::from_secs(3_600)));
        node.client.invoke_async(call).await.unwrap();
    }
    let mut stub = node.stub.clone();
    let mut cancel = async |page_token: String| {
        let request = v1::CancelInvocationsRequest {
            filter: Some(of("cidery.echo", &[v1::State::Pending])),
            page_token,
            ..v1::CancelInvocationsRequest::default()
        };
        stub.cancel_invocations(request).await.unwrap().into_inner()
    };
    let first = cancel(String::new()).await;
    assert_eq!(first.changes.len(), 8);
    assert_ne!(first.next_page_token, "");
    let rest = cancel(first.next_page_token).await;
    assert_eq!((rest.changes.len(), rest.next_page_token.as_str()), (2, ""));
}
