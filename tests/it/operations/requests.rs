//! What is asked of an operation: patches as JSON, repeated requests, filters that select nothing, lists.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::operation_action::Action;
use cidery::model::call::Call;
use cidery::model::operation::OperationId;
use cidery::{Node, Payload, Value, dict};
use prost::Message as _;

use super::{
    all_ended, cancel, counts, due_later, of, purge, release, request, retry, run, start,
    start_manual, started,
};
use crate::support::{TestNode, ended};

/// Beyond the 53 bits of a number of a dict.
const LARGE: &str = "{\"fails\":null,\"n\":9007199254740993}";

fn patch(json: &str) -> Action {
    Action::Retry(v1::RetryAction {
        input_patch_json: json.to_owned(),
        ..v1::RetryAction::default()
    })
}

/// The numbers of a patch arrive at the handler, whatever the form of the input was.
#[tokio::test]
async fn a_patch_as_json_keeps_every_digit() {
    let echo = cidery::Definition::new("a.echo", async |input: Value| {
        match input["fails"].is_null() {
            true => Ok(dict! { "is_number": input["n"] == Value::Int(9_007_199_254_740_993) }),
            false => Err(cidery::Error::not_found("BROKEN", "broken")),
        }
    });
    let node = start(Node::builder().register(echo.unwrap()), None).await;
    let client = &node.client;
    let json = Payload::Document("{\"fails\":true}".into(), cidery::Format::Json);
    let dict = dict! { "fails": true };
    all_ended(
        client,
        [Call::new("a.echo", json), Call::new("a.echo", dict)],
    )
    .await;
    let failed = of("a.echo", &[v1::State::Failed]);
    assert_eq!(
        counts(client, request(patch(LARGE), failed)).await,
        [2, 2, 2]
    );
    let retries = client.invocations(of("a.echo", &[]), 2).await.unwrap();
    for retry in retries {
        let ended = ended(client, retry.cid.parse().unwrap()).await;
        let outcome = format!("{:?}", ended.outcome);
        assert!(outcome.contains("true"), "{outcome}");
    }
    for (json, code) in [("{", "MALFORMED"), ("[1]", "WRONG_TYPE")] {
        let failed = of("a.echo", &[v1::State::Failed]);
        let error = client.start_operation(request(patch(json), failed)).await;
        let error = error.unwrap_err();
        let violation = &error.field_violations()[0];
        assert_eq!(
            (violation.path.as_str(), &*violation.code),
            ("/action/retry/input_patch_json", code)
        );
    }
    node.handle.stop().await;
}

/// An age in a text is another time whenever it is read: a repeated request is compared by its text.
#[tokio::test]
async fn a_repeated_request_with_an_age_is_the_same() {
    let (node, clock) = start_manual(None).await;
    let client = &node.client;
    let of_age = |text: &str, id: &str| v1::StartOperationRequest {
        id: id.to_owned(),
        filter: None,
        filter_expression: text.to_owned(),
        ..request(purge(), v1::InvocationFilter::default())
    };
    let (text, id) = ("accept_time > -1h", OperationId::new().to_string());
    let first = started(client, of_age(text, &id)).await;
    assert_eq!(first.filter_expression, text);
    clock.advance(Duration::from_secs(60));
    let again = started(client, of_age(text, &id)).await;
    assert_eq!((&again.id, &again.filter), (&first.id, &first.filter));
    let other = of_age("accept_time > -2h", &id);
    let error = client.start_operation(other).await.unwrap_err();
    assert_eq!(error.reason(), "IDEMPOTENCY_MISMATCH");
    node.handle.stop().await;
}

#[tokio::test]
async fn a_filter_that_asks_only_for_what_cannot_be_changed_is_refused() {
    let node = TestNode::demo().await;
    let held = v1::InvocationFilter {
        pending_reasons: vec![v1::PendingReason::Held.into()],
        ..v1::InvocationFilter::default()
    };
    let running = || of("demo.fail", &[v1::State::Running]);
    for (action, filter, path) in [
        (purge(), held, "/filter/pending_reasons"),
        (retry(), running(), "/filter/states"),
        (release(), running(), "/filter/states"),
        (
            cancel(""),
            of("demo.fail", &[v1::State::Failed]),
            "/filter/states",
        ),
    ] {
        let error = node.client.start_operation(request(action, filter)).await;
        let error = error.unwrap_err();
        let violation = &error.field_violations()[0];
        assert_eq!(violation.path, path);
        assert!(violation.message.contains("only "), "{violation:?}");
    }
}

/// Most clients receive messages of up to 4 MiB.
#[tokio::test]
async fn a_page_of_operations_is_limited_by_its_bytes() {
    let (node, _clock) = start_manual(None).await;
    let client = &node.client;
    let large = v1::InvocationFilter {
        failure_reasons: (0..1_000).map(|n| format!("{n:060}")).collect(),
        ..v1::InvocationFilter::default()
    };
    for _ in 0..60 {
        run(client, request(purge(), large.clone())).await;
    }
    let address = format!("http://{}", node.address());
    let mut stub = v1::operation_service_client::OperationServiceClient::connect(address)
        .await
        .unwrap();
    let (mut listed, mut page_token) = (0, String::new());
    loop {
        let request = v1::ListOperationsRequest {
            page_size: 1_000,
            page_token,
            ..v1::ListOperationsRequest::default()
        };
        let page = stub.list_operations(request).await.unwrap().into_inner();
        assert!(page.encoded_len() <= 3 << 20, "{}", page.encoded_len());
        listed += page.operations.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, 60);
    node.handle.stop().await;
}

/// The store does not know why an invocation is pending, except where it is held: those that may be are read.
#[tokio::test]
async fn a_count_by_pending_reason_reads_so_many_invocations() {
    let builder = Node::builder().limits(|limits| limits.counted_invocations = 5);
    let node = start(builder, None).await;
    let client = &node.client;
    let later = v1::InvocationFilter {
        services: vec!["cidery.echo".to_owned()],
        pending_reasons: vec![v1::PendingReason::DueLater.into()],
        ..v1::InvocationFilter::default()
    };
    due_later(client, 5).await;
    assert_eq!(client.summarize(later.clone()).await.unwrap().total, 5);
    due_later(client, 1).await;
    let error = client.summarize(later.clone()).await.unwrap_err();
    assert_eq!(error.reason(), "COST_LIMIT");
    assert!(error.message().contains("add a service"), "{error:?}");
    let start = client.start_operation(request(cancel(""), later)).await;
    assert_eq!(start.unwrap_err().reason(), "COST_LIMIT");
    node.handle.stop().await;
}
