//! Limits of values, metadata, callbacks, filters, pages and retries as options: a smaller one takes effect, and is
//! answered with its name and its value.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::Limits;
use cidery::engine::clock::Clock;
use cidery::model::batch::Batch;
use cidery::model::call::Call;
use cidery::model::invocation::State;
use cidery::{Cid, Error, Metadata, Node, NodeHandle, Value, dict};

use crate::support::{PATIENCE, TestNode, error_of};

async fn node(limits: impl FnOnce(&mut Limits)) -> TestNode {
    let builder = Node::builder().service("a.task", async || ());
    let builder = builder.service("a.echo", async |input: Value| input);
    TestNode::start(builder.limits(limits)).await
}

#[track_caller]
fn assert_limit(error: &Error, reason: &str, limit: (&str, &str)) {
    assert_eq!(error.reason(), reason, "{error:?}");
    assert_eq!(error.fact(limit.0), Some(limit.1), "{error:?}");
}

/// A call that is refused whichever way it is made.
async fn refused(node: &NodeHandle, call: impl Fn() -> Call) -> [Error; 2] {
    let invoker = node.invoker();
    let sync = invoker.invoke(Cid::new(), call()).await;
    [
        sync.unwrap_err(),
        invoker.invoke_async(call()).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn an_input_may_be_so_deep_and_have_so_many_keys() {
    let node = node(|limits| {
        limits.value_depth = 3;
        limits.value_keys = 4;
    })
    .await;
    let deep = || Value::from(dict! { "a": dict! { "b": vec![dict! {}] } });
    let wide = || Value::from(dict! { "a": vec![1, 2, 3], "b": 4 });
    for (value, name, limit, path) in [
        (&deep as &dyn Fn() -> Value, "value_depth", "3", "/a/b/0"),
        (&wide, "value_keys", "4", ""),
    ] {
        // As a value, encoded, and as a document.
        let json = cidery::codec::json::write(&value()).unwrap();
        let document = cidery::Payload::Document(json.into(), cidery::Format::Json);
        for error in refused(&node.handle, || Call::new("a.echo", value())).await {
            assert_limit(&error, "VALUE_INVALID", (name, limit));
            assert_eq!(error.field_violations()[0].path, path);
        }
        for error in refused(&node.handle, || Call::new("a.echo", document.clone())).await {
            assert_limit(&error, "VALUE_INVALID", (name, limit));
        }
        let over_the_wire = node.client.invoke(Call::new("a.echo", value())).await;
        assert_limit(&over_the_wire.unwrap_err(), "VALUE_INVALID", (name, limit));
    }
    let fits = dict! { "a": dict! { "b": vec![1, 2] } };
    node.client.invoke(Call::new("a.echo", fits)).await.unwrap();
}

#[tokio::test]
async fn a_response_and_an_item_may_be_so_deep() {
    let deep = async || dict! { "a": dict! { "b": dict! {} } };
    let emits = async |ctx: cidery::Context| {
        let item = dict! { "a": dict! { "b": dict! {} } };
        ctx.emit(item).await
    };
    let builder = Node::builder()
        .service("a.deep", deep)
        .service("a.emits", emits)
        .limits(|limits| limits.value_depth = 2);
    let node = TestNode::start(builder).await;
    let invoker = node.handle.invoker();
    let sync = invoker.invoke(Cid::new(), Call::new("a.deep", ())).await;
    assert_limit(&sync.unwrap_err(), "OUTPUT_INVALID", ("value_depth", "2"));
    for service in ["a.deep", "a.emits"] {
        let accepted = invoker.invoke_async(Call::new(service, ())).await.unwrap();
        let found = invoker.find(accepted.cid, PATIENCE).await.unwrap();
        let failure = found.invocation.outcome().unwrap().unwrap_err();
        assert_limit(&failure, "OUTPUT_INVALID", ("value_depth", "2"));
    }
}

#[tokio::test]
async fn metadata_may_have_so_many_bytes() {
    let node = node(|limits| limits.metadata_bytes = 2 << 10).await;
    let call = |bytes: usize| {
        let mut call = Call::new("a.echo", ());
        let metadata: Metadata = [("key", "x".repeat(bytes - 3))].into_iter().collect();
        call.metadata = Some(metadata.into());
        call
    };
    for error in refused(&node.handle, || call((2 << 10) + 1)).await {
        assert_limit(&error, "METADATA_TOO_LARGE", ("metadata_bytes", "2048"));
    }
    node.client.invoke(call(2 << 10)).await.unwrap();
}

#[tokio::test]
async fn outcomes_go_to_so_many_services() {
    let node = node(|limits| {
        limits.callbacks = 1;
        limits.member_callbacks = 0;
    })
    .await;
    let invoker = node.handle.invoker();
    let two = || vec!["a.task".to_owned(); 2];
    let mut call = Call::new("a.task", ());
    call.durable().callbacks = two();
    let error = invoker.invoke_async(call).await.unwrap_err();
    assert_limit(&error, "REQUEST_INVALID", ("callbacks", "1"));
    let batch = Batch {
        calls: vec![Call::new("a.task", ())],
        on_each: vec!["a.task".to_owned()],
        on_final: two(),
        ..Batch::default()
    };
    let error = invoker.invoke_batch(batch).await.unwrap_err();
    assert_limit(&error, "REQUEST_INVALID", ("callbacks", "1"));
    assert_limit(&error, "REQUEST_INVALID", ("member_callbacks", "0"));
    let paths = error.field_violations().iter().map(|one| one.path.as_str());
    assert_eq!(paths.collect::<Vec<_>>(), ["/on_each", "/on_final"]);
}

#[tokio::test]
async fn a_filter_reaches_so_many_invocations_and_has_so_many_values() {
    let node = node(|limits| {
        limits.filter_reach = 2;
        limits.filter_values = 2;
    })
    .await;
    let mut cids = Vec::new();
    for _ in 0..3 {
        let mut call = Call::new("a.task", ());
        let later = cidery::model::call::Start::After(Duration::from_hours(1));
        call.durable().start = Some(later);
        let accepted = node.client.invoke_async(call).await.unwrap();
        cids.push(accepted.cid.to_string());
    }
    let mut stub = node.stub.clone();
    let named = v1::CancelInvocationsRequest {
        cids,
        ..v1::CancelInvocationsRequest::default()
    };
    let error = error_of(&stub.cancel_invocations(named).await.unwrap_err());
    assert_limit(&error, "REQUEST_INVALID", ("filter_reach", "2"));
    let filter = |services: usize| {
        Some(v1::InvocationFilter {
            services: vec!["a.task".to_owned(); services],
            ..v1::InvocationFilter::default()
        })
    };
    let list = |services| v1::ListInvocationsRequest {
        filter: filter(services),
        ..v1::ListInvocationsRequest::default()
    };
    let error = error_of(&stub.list_invocations(list(3)).await.unwrap_err());
    assert_limit(&error, "REQUEST_INVALID", ("filter_values", "2"));
    // All that is wrong is said at once, and the limits that are exceeded are named.
    let mut wrong = list(3);
    let of_wrong = wrong.filter.as_mut().unwrap();
    of_wrong.services[1] = "a task".to_owned();
    of_wrong.states = vec![99, 1, 98];
    of_wrong.failure_text = "x".repeat(2_000);
    of_wrong.parent_cid = "x".to_owned();
    let error = error_of(&stub.list_invocations(wrong).await.unwrap_err());
    assert_limit(&error, "REQUEST_INVALID", ("filter_values", "2"));
    let paths = error.field_violations().iter().map(|one| one.path.as_str());
    let expected = [
        "/filter/services",
        "/filter/states",
        "/filter/failure_text",
        "/filter/states/0",
        "/filter/services/1",
        "/filter/parent_cid",
    ];
    assert_eq!(paths.collect::<Vec<_>>(), expected);
    stub.list_invocations(list(2)).await.unwrap();
    let matching = v1::CancelInvocationsRequest {
        filter: filter(1),
        ..v1::CancelInvocationsRequest::default()
    };
    let answer = stub
        .cancel_invocations(matching)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.changes.len(), 2);
    assert!(!answer.next_page_token.is_empty());
}

#[tokio::test]
async fn a_page_of_a_list_has_so_many_bytes() {
    let node = node(|limits| limits.list_page_bytes = 64 << 10).await;
    for _ in 0..4 {
        let input = Value::from("x".repeat(30 << 10));
        let accepted = node.client.invoke_async(Call::new("a.echo", input)).await;
        node.client
            .invocation(accepted.unwrap().cid, PATIENCE)
            .await
            .unwrap();
    }
    let mut stub = node.stub.clone();
    let (mut pages, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListInvocationsRequest {
            page_token,
            ..v1::ListInvocationsRequest::default()
        };
        let page = stub.list_invocations(request).await.unwrap().into_inner();
        pages.push(page.invocations.len());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    // Each has its input, and an output as large.
    assert_eq!(pages, [1, 1, 1, 1]);
}

/// The node's policy is that of services without one, and of the fields that a call leaves out.
#[tokio::test]
async fn a_node_has_a_retry_policy() {
    let fail = async || Err::<(), _>(Error::unavailable("DOWN", "down"));
    let builder = Node::builder().service("a.fail", fail).limits(|limits| {
        limits.attempts = 2;
        limits.backoff = Duration::from_millis(1);
        limits.backoff_factor = 1.5;
        limits.max_backoff = Duration::from_millis(2);
    });
    let node = TestNode::start(builder).await;
    let described = node.client.describe("a.fail").await.unwrap();
    let policy = described.effective_options.unwrap().retry_policy.unwrap();
    assert_eq!((policy.max_attempts, policy.multiplier), (2, 1.5));
    let partly = v1::InvokeAsyncRequest {
        service: "a.fail".to_owned(),
        retry_policy: Some(v1::RetryPolicy {
            multiplier: 2.0,
            ..v1::RetryPolicy::default()
        }),
        ..v1::InvokeAsyncRequest::default()
    };
    let mut stub = node.stub.clone();
    let by_call = stub
        .invoke_async(partly.clone())
        .await
        .unwrap()
        .into_inner();
    let batch = v1::InvokeBatchRequest {
        requests: vec![partly],
        ..v1::InvokeBatchRequest::default()
    };
    let by_batch = stub.invoke_batch(batch).await.unwrap().into_inner();
    let plain = node.client.invoke_async(Call::new("a.fail", ())).await;
    let cids = [&by_call.cid, &by_batch.member_cids[0]];
    let cids = cids.map(|cid| Cid::parse(cid).unwrap());
    for cid in cids.into_iter().chain([plain.unwrap().cid]) {
        let found = node.handle.invoker().find(cid, PATIENCE).await.unwrap();
        let found = found.invocation;
        assert_eq!((found.state, found.attempts), (State::Failed, 2));
    }
}

/// Whatever the policy of an invocation says.
#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_the_shortest_backoff() {
    const SHORTEST: Duration = Duration::from_hours(1);
    let node = Node::builder()
        .clock(Clock::steady())
        .demo()
        .limits(|limits| limits.min_backoff = SHORTEST)
        .no_listener()
        .start()
        .await
        .unwrap();
    let begun = tokio::time::Instant::now();
    let mut call = Call::new("demo.flaky", dict! { "failures": 2 });
    call.durable().retry_policy = Some(cidery::RetryPolicy {
        initial_interval: Duration::from_millis(1),
        max_interval: Duration::from_millis(1),
        ..cidery::RetryPolicy::default()
    });
    let invoker = node.invoker();
    let accepted = invoker.invoke_async(call).await.unwrap();
    let found = invoker.find(accepted.cid, SHORTEST * 9).await.unwrap();
    assert_eq!(found.invocation.state, State::Succeeded);
    assert!(begun.elapsed() >= SHORTEST * 2, "{:?}", begun.elapsed());
}
