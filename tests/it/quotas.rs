//! Rates of services and quotas of principals: what is beyond them is refused with the limit and when to retry.

use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::FollowRequest;
use cidery::model::access::{Caller, Credential, Identity, Principal, Quota, Rights};
use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};
use cidery::model::rate::Rate;
use cidery::{Cid, Context, Definition, Error, Node, Result};
use tokio::sync::Semaphore;

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::raw::spawn;
use crate::support::{TestNode, until};

/// A rate that no test waits for: only the burst passes.
fn only(burst: u32) -> Rate {
    Rate::per_second(0.0).with_burst(burst)
}

fn limited(name: &str, burst: u32) -> Definition {
    let definition = Definition::new(name, async || "answered").unwrap();
    definition.rate(only(burst))
}

/// Asserts that a call was refused for its rate, and that its caller learns all about it.
fn assert_rate_limit(error: &Error, service: &str, burst: &str) {
    assert_eq!(error.reason(), "RATE_LIMIT", "{error}");
    assert_eq!(error.fact("service"), Some(service));
    assert_eq!(error.fact("burst"), Some(burst));
    assert!(error.fact("rate").is_some() && error.cid().is_some());
    assert!(error.retry_after() > Some(Duration::from_secs(3_600)));
}

#[tokio::test]
async fn calls_of_every_kind_count_against_the_rate_of_a_service() {
    let nested = async |ctx: Context| -> Result<()> {
        ctx.invoke("a.limited", ()).await?;
        Ok(())
    };
    let builder = Node::builder().register(limited("a.limited", 3));
    let node = TestNode::start(builder.service("a.nested", nested)).await;
    let client = &node.client;
    let limited = || Call::new("a.limited", ());
    client.invoke(limited()).await.unwrap();
    client.invoke_async(limited()).await.unwrap();
    client.invoke(Call::new("a.nested", ())).await.unwrap();
    assert_rate_limit(
        &client.invoke(limited()).await.unwrap_err(),
        "a.limited",
        "3",
    );
    let refused = client.invoke_async(limited()).await.unwrap_err();
    assert_eq!(refused.reason(), "RATE_LIMIT");
    let refused = client.invoke(Call::new("a.nested", ())).await.unwrap_err();
    assert_eq!(refused.reason(), "RATE_LIMIT");
    let batch = Batch {
        calls: vec![limited()],
        ..Batch::default()
    };
    let refused = client.invoke_batch(batch).await.unwrap_err();
    assert_eq!(refused.reason(), "RATE_LIMIT");
    // Other services are not affected.
    client.invoke(Call::new("cidery.ping", ())).await.unwrap();
}

/// A batch that is larger than the burst never passes: its client is told not to retry.
#[tokio::test]
async fn a_batch_above_the_burst_is_refused_for_good() {
    let node = TestNode::start(Node::builder().register(limited("a.limited", 3))).await;
    let member = || v1::InvokeAsyncRequest {
        service: "a.limited".to_owned(),
        ..v1::InvokeAsyncRequest::default()
    };
    let batch = |members| v1::InvokeBatchRequest {
        requests: std::iter::repeat_with(member).take(members).collect(),
        ..v1::InvokeBatchRequest::default()
    };
    let mut stub = node.stub.clone();
    let pushback = |status: &tonic::Status| {
        let value = status.metadata().get("grpc-retry-pushback-ms").unwrap();
        value.to_str().unwrap().parse::<i64>().unwrap()
    };
    let never = stub.invoke_batch(batch(4)).await.unwrap_err();
    assert_eq!(
        (never.code(), pushback(&never)),
        (tonic::Code::ResourceExhausted, -1)
    );
    // What was refused was not counted.
    stub.invoke_batch(batch(3)).await.unwrap();
    let later = stub.invoke_batch(batch(1)).await.unwrap_err();
    assert!(pushback(&later) > 3_600_000, "{later:?}");
}

#[tokio::test]
async fn the_limit_of_an_operator_applies_where_it_is_smaller() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let slow = move || {
        let gate = Arc::clone(&waiting);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let slow = Definition::new("slow.one", slow).unwrap();
    let slow = slow.concurrency(10).queue_length(0);
    let builder = Node::builder()
        .register(slow)
        .register(limited("fast.one", 2))
        .service_limit("slow.* concurrency=1 queue=7 pending=1")
        .service_limit("fast.* rate=1000/s burst=5")
        .service_limit("* rate=10/s");
    let node = TestNode::start(builder).await;
    let options = async |name| {
        let found = node.client.describe(name).await.unwrap();
        found.effective_options.unwrap()
    };
    let of_slow = options("slow.one").await;
    assert_eq!((of_slow.concurrency, of_slow.queue_length), (1, 0));
    assert_eq!(
        (of_slow.pending_limit, of_slow.rate, of_slow.burst),
        (1, 10.0, 10)
    );
    let of_fast = options("fast.one").await;
    assert_eq!((of_fast.rate, of_fast.burst), (Rate::LEAST, 2));
    let client = node.client.clone();
    let running = spawn(async move { client.invoke(Call::new("slow.one", ())).await });
    until("one runs", || node.handle.invoker().running_handlers() == 1).await;
    // Without a client, which would repeat the call.
    let invoker = node.handle.invoker();
    let refused = invoker.invoke(Cid::new(), Call::new("slow.one", ())).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason(), "QUEUE_FULL");
    assert_eq!(refused.fact("concurrency"), Some("1"));
    node.client
        .invoke_async(Call::new("slow.one", ()))
        .await
        .unwrap();
    let refused = node.client.invoke_async(Call::new("slow.one", ())).await;
    assert_eq!(refused.unwrap_err().reason(), "PENDING_LIMIT");
    gate.add_permits(2);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_invalid_limit_of_an_operator_is_an_error_of_the_start() {
    let builder = Node::builder().service_limit("a.* rate=fast queue=x");
    let error = builder.no_listener().start().await.unwrap_err();
    assert_eq!(error.reason(), "REQUEST_INVALID");
    assert_eq!(error.field_violations().len(), 2, "{error:?}");
}

#[test]
fn an_operator_limits_services_by_an_option_of_the_command() {
    let server = Server::start(&[
        "--service-limit",
        "demo.* rate=1/d",
        "--service-limit",
        "demo.s* concurrency=3",
    ]);
    let described = server.run(&["describe", "demo.sleep", "-o", "json"]);
    let described: serde_json::Value = serde_json::from_str(&stdout(&described)).unwrap();
    let options = &described["options"];
    assert_eq!(
        (&options["burst"], &options["concurrency"]),
        (&1.into(), &3.into())
    );
    assert!(
        server
            .run(&["invoke", "demo.sleep", "seconds=0"])
            .status
            .success()
    );
    let refused = server.run(&["invoke", "demo.sleep", "seconds=0"]);
    assert!(
        stderr(&refused).contains("RATE_LIMIT"),
        "{}",
        stderr(&refused)
    );
    let wrong = cidery()
        .args(["serve", "--in-memory", "--service-limit", "a.* rate=1"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("`100/s`"), "{}", stderr(&wrong));
}

/// A caller that has proved to be a principal.
fn principal(name: &str) -> Caller {
    Caller::Authenticated(Arc::new(Identity {
        principal: Principal::known(name),
        group: None,
        rights: Rights::all(),
        quota: Quota::default(),
        credential: Credential::Token,
        peer: None,
    }))
}

#[tokio::test]
async fn each_principal_has_a_quota_of_its_own() {
    let builder = Node::builder().limits(|limits| limits.principal_rate = Some(only(2)));
    let node = TestNode::start(builder.service("a.task", async || ())).await;
    for name in ["one", "other"] {
        let invoker = node.handle.invoker().on_behalf_of(principal(name));
        let ping = || invoker.invoke(Cid::new(), Call::new("cidery.ping", ()));
        ping().await.unwrap();
        // Work in the background counts as well.
        invoker.invoke_async(Call::new("a.task", ())).await.unwrap();
        let refused = ping().await.unwrap_err();
        assert_eq!(refused.reason(), "RATE_LIMIT");
        assert_eq!(refused.fact("principal"), Some(name));
        assert!(refused.fact("principal_rate").is_some() && refused.cid().is_some());
        assert!(refused.retry_after().is_some());
        let refused = invoker.invoke_async(Call::new("a.task", ())).await;
        assert_eq!(refused.unwrap_err().reason(), "RATE_LIMIT");
    }
    // The program itself has no quota.
    node.client
        .invoke(Call::new("cidery.ping", ()))
        .await
        .unwrap();
}

/// A durable call that its caller waits for is in flight from its acceptance to its outcome.
#[tokio::test]
async fn a_durable_call_is_in_flight_until_its_outcome() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let slow = move || {
        let gate = Arc::clone(&waiting);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let builder = Node::builder().service("a.slow", slow);
    let builder = builder.limits(|limits| limits.principal_in_flight = Some(1));
    let node = TestNode::start(builder).await;
    let one = node.handle.invoker().on_behalf_of(principal("one"));
    let mut call = Call::new("a.slow", ());
    call.durable().idempotency_key = Some("once".to_owned());
    let (_, outcome) = one.begin_durable(Cid::new(), call).await.unwrap();
    let outcome = spawn(outcome);
    until("it runs", || one.running_handlers() == 1).await;
    let ping = || one.invoke(Cid::new(), Call::new("cidery.ping", ()));
    assert_eq!(ping().await.unwrap_err().reason(), "IN_FLIGHT_LIMIT");
    gate.add_permits(1);
    outcome.await.unwrap().unwrap();
    ping().await.unwrap();
}

/// Each request of a batch counts as a call of its principal.
#[tokio::test]
async fn the_requests_of_a_batch_count_against_the_quota_of_a_principal() {
    let builder = Node::builder().limits(|limits| limits.principal_rate = Some(only(3)));
    let node = TestNode::start(builder.service("a.task", async || ())).await;
    let one = node.handle.invoker().on_behalf_of(principal("one"));
    let batch = |members| Batch {
        calls: std::iter::repeat_with(|| Call::new("a.task", ()))
            .take(members)
            .collect(),
        ..Batch::default()
    };
    let never = one.invoke_batch(batch(4)).await.unwrap_err();
    assert_eq!(
        (never.reason(), never.retryable_override()),
        ("RATE_LIMIT", Some(false))
    );
    one.invoke_batch(batch(2)).await.unwrap();
    assert_eq!(
        one.invoke_batch(batch(2)).await.unwrap_err().reason(),
        "RATE_LIMIT"
    );
    one.invoke_batch(batch(1)).await.unwrap();
    let refused = one.invoke(Cid::new(), Call::new("a.task", ())).await;
    assert_eq!(refused.unwrap_err().reason(), "RATE_LIMIT");
}

#[tokio::test]
async fn calls_in_flight_of_a_principal_are_limited() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let slow = move || {
        let gate = Arc::clone(&waiting);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let builder = Node::builder().service("a.slow", slow);
    let builder = builder.limits(|limits| limits.principal_in_flight = Some(1));
    let node = TestNode::start(builder).await;
    let one = node.handle.invoker().on_behalf_of(principal("one"));
    let other = node.handle.invoker().on_behalf_of(principal("other"));
    let ping = || Call::new("cidery.ping", ());
    for durable in [false, true] {
        let mut call = Call::new("a.slow", ());
        call.durable().idempotency_key = durable.then(|| "once".to_owned());
        let held = one.clone();
        let running = spawn(async move { held.invoke(Cid::new(), call).await });
        until("one runs", || one.running_handlers() == 1).await;
        let refused = one.invoke(Cid::new(), ping()).await.unwrap_err();
        assert_eq!(refused.reason(), "IN_FLIGHT_LIMIT");
        assert_eq!(refused.fact("principal_in_flight"), Some("1"));
        other.invoke(Cid::new(), ping()).await.unwrap();
        gate.add_permits(1);
        running.await.unwrap().unwrap();
        one.invoke(Cid::new(), ping()).await.unwrap();
    }
}

/// A call whose invocation stays pending.
fn later(service: &'static str) -> Call {
    let mut call = Call::new(service, ());
    call.durable().start = Some(Start::After(Duration::from_secs(3_600)));
    call
}

#[tokio::test]
async fn pending_invocations_of_a_principal_are_limited() {
    let builder = Node::builder().service("a.task", async || ());
    let builder = builder.limits(|limits| limits.principal_pending = Some(2));
    let node = TestNode::start(builder).await;
    let one = node.handle.invoker().on_behalf_of(principal("one"));
    let other = node.handle.invoker().on_behalf_of(principal("other"));
    let batch = |members| Batch {
        calls: std::iter::repeat_with(|| later("a.task"))
            .take(members)
            .collect(),
        ..Batch::default()
    };
    let mut keyed = later("a.task");
    keyed.durable().idempotency_key = Some("once".to_owned());
    let first = one.invoke_async(keyed.clone()).await.unwrap();
    let second = one.invoke_async(later("a.task")).await.unwrap();
    let mut stored = Call::new("a.task", ());
    stored.durable().idempotency_key = Some("stored".to_owned());
    for refused in [
        one.invoke_async(later("a.task")).await.unwrap_err(),
        one.invoke(Cid::new(), stored).await.unwrap_err(),
        one.invoke_batch(batch(1)).await.unwrap_err(),
    ] {
        assert_eq!(refused.reason(), "PENDING_LIMIT");
        assert_eq!(refused.fact("principal"), Some("one"));
        assert_eq!(refused.fact("principal_pending"), Some("2"));
        assert!(refused.retry_after().is_some() && refused.cid().is_some());
    }
    // A repeated request needs no room, nor does a synchronous call.
    let again = one.invoke_async(keyed).await.unwrap();
    assert_eq!((again.cid, again.already_accepted), (first.cid, true));
    let ping = Call::new("cidery.ping", ());
    one.invoke(Cid::new(), ping).await.unwrap();
    // A batch counts as its members, and one that is larger than the limit never fits.
    let never = other.invoke_batch(batch(3)).await.unwrap_err();
    assert_eq!(never.reason(), "PENDING_LIMIT");
    assert_eq!(never.retryable_override(), Some(false));
    other.invoke_batch(batch(2)).await.unwrap();
    one.cancel(second.cid, None).await.unwrap();
    one.invoke_async(later("a.task")).await.unwrap();
    // A retry belongs to the principal of the original, unless its input is another: then to the caller.
    let third = node.handle.invoker().on_behalf_of(principal("third"));
    for caller in [&one, &third] {
        let refused = caller.retry(second.cid, None).await.unwrap_err();
        assert_eq!(refused.reason(), "PENDING_LIMIT");
        assert_eq!(refused.fact("principal"), Some("one"));
    }
    third.retry(second.cid, Some(().into())).await.unwrap();
    // The program itself has no limit.
    for _ in 0..3 {
        node.client.invoke_async(later("a.task")).await.unwrap();
    }
}

#[tokio::test]
async fn a_limit_of_zero_is_none() {
    let builder = Node::builder().service("a.task", async || ());
    let builder = builder.limits(|limits| {
        limits.principal_pending = Some(0);
        limits.principal_in_flight = Some(0);
    });
    let node = TestNode::start(builder).await;
    let one = node.handle.invoker().on_behalf_of(principal("one"));
    one.invoke_async(later("a.task")).await.unwrap();
    let ping = Call::new("cidery.ping", ());
    one.invoke(Cid::new(), ping).await.unwrap();
}

/// A caller whose credential has a quota.
fn with_quota(name: &str, quota: Quota) -> Caller {
    let Caller::Authenticated(identity) = principal(name) else {
        unreachable!()
    };
    Caller::Authenticated(Arc::new(Identity {
        quota,
        ..Identity::clone(&identity)
    }))
}

#[tokio::test]
async fn a_quota_of_a_credential_takes_the_place_of_that_of_the_node() {
    let builder = Node::builder().service("a.task", async || ());
    let builder = builder.limits(|limits| {
        limits.principal_rate = Some(only(5));
        limits.principal_pending = Some(1);
    });
    let node = TestNode::start(builder).await;
    let caller = |quota| node.handle.invoker().on_behalf_of(with_quota("one", quota));
    let pending = |pending| Quota {
        pending,
        ..Quota::default()
    };
    let (of_node, of_key) = (caller(pending(None)), caller(pending(Some(2))));
    of_node.invoke_async(later("a.task")).await.unwrap();
    of_key.invoke_async(later("a.task")).await.unwrap();
    for (refused, limit) in [(&of_node, "1"), (&of_key, "2")] {
        let refused = refused.invoke_async(later("a.task")).await.unwrap_err();
        assert_eq!(refused.fact("principal_pending"), Some(limit));
    }
    let ping = || Call::new("cidery.ping", ());
    let slow = caller(Quota {
        rate: Some(only(1)),
        ..Quota::default()
    });
    slow.invoke(Cid::new(), ping()).await.unwrap();
    let refused = slow.invoke(Cid::new(), ping()).await.unwrap_err();
    assert_eq!(refused.reason(), "RATE_LIMIT");
    assert_eq!(refused.fact("burst"), Some("1"));
    // The other credentials of the principal have what the node allows: four of five calls were made.
    of_key.invoke(Cid::new(), ping()).await.unwrap();
    let refused = of_node.invoke(Cid::new(), ping()).await.unwrap_err();
    assert_eq!(refused.fact("burst"), Some("5"));
}

/// Streams wait for as long as their callers like: one principal does not take those of all.
#[tokio::test]
async fn the_streams_of_a_principal_follow_so_many_cids() {
    let builder = Node::builder().limits(|limits| limits.principal_stream_cids = 3);
    let node = TestNode::start(builder).await;
    let unknown = |cids: usize| FollowRequest {
        cids: (0..cids).map(|_| (Cid::new(), 0)).collect(),
        wait_for_accept: true,
        ..FollowRequest::default()
    };
    let follow = |name: &str, cids: usize| {
        let invoker = node.handle.invoker().on_behalf_of(principal(name));
        invoker.follow(unknown(cids))
    };
    let first = follow("one", 2).unwrap();
    let refused = follow("one", 2).unwrap_err();
    assert_eq!(refused.reason(), "STREAM_LIMIT");
    assert_eq!(refused.fact("principal_stream_cids"), Some("3"));
    assert!(refused.message().contains("`one`") && refused.retry_after().is_some());
    let _other = follow("other", 3).unwrap();
    drop(first);
    let _again = follow("one", 3).unwrap();
    // The program itself, and callers while authentication is off, have the limit of the node alone.
    node.handle.invoker().follow(unknown(9)).unwrap();
}
