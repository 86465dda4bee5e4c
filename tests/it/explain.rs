//! What `GetInvocation` and `cidery explain` say of an invocation that waits: why, for whom, how long the queue is, and
//! what follows from it.

use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};
use cidery::model::invocation::NestedCalls;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Context, Definition, Error, Node, OnExhausted, RetryPolicy, Worker, dict};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::support::binary::{cidery, stderr, stdout};
use crate::support::{PATIENCE, TestNode, ended};

/// Waits for the state of an invocation, and returns its full view.
async fn wait_for(
    client: &ContractClient,
    cid: Cid,
    holds: impl Fn(&v1::Invocation) -> bool,
) -> v1::Invocation {
    let reached = async {
        loop {
            let found = client.explain(cid).await.unwrap();
            if holds(&found) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap()
}

fn waits_as(reason: v1::PendingReason) -> impl Fn(&v1::Invocation) -> bool {
    move |found| found.pending_reason() == reason
}

/// What `cidery explain` prints.
async fn explain(node: &TestNode, cid: Cid, options: &[&str]) -> String {
    let mut command = cidery();
    command.args(["explain", &cid.to_string()]).args(options);
    command.env("CIDERY_NODE", node.address().to_string());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

async fn explain_json(node: &TestNode, cid: Cid, options: &[&str]) -> Value {
    let text = explain(node, cid, &[&["-o", "json"], options].concat()).await;
    serde_json::from_str(&text).expect(&text)
}

/// A node whose `a.outer` calls `a.middle`, which calls `a.inner`, which fails. It then adds a permit to the first
/// semaphore, waits for one of the second, and makes more calls than are kept.
async fn node_with_nested_calls(entered: &Arc<Semaphore>, gate: &Arc<Semaphore>) -> TestNode {
    let (entered, gate) = (Arc::clone(entered), Arc::clone(gate));
    let inner = async |_: Context| Err::<(), _>(Error::not_found("NO_RECORD", "no such record"));
    let middle = async |ctx: Context| match ctx.invoke("a.inner", ()).await {
        Ok(_) => panic!("it fails"),
        Err(error) => assert_eq!(error.reason(), "NO_RECORD"),
    };
    let outer = move |ctx: Context| {
        let (gate, entered) = (Arc::clone(&gate), Arc::clone(&entered));
        async move {
            ctx.invoke("a.middle", ()).await?;
            entered.add_permits(1);
            gate.acquire().await.unwrap().forget();
            for _ in 0..NestedCalls::MAX {
                ctx.invoke("cidery.ping", ()).await?;
            }
            Ok::<_, Error>(())
        }
    };
    let builder = Node::builder().service("a.inner", inner);
    let builder = builder
        .service("a.middle", middle)
        .service("a.outer", outer);
    TestNode::start(builder).await
}

/// The calls that a handler makes and waits for are known of each attempt, also while it runs.
#[tokio::test]
async fn an_attempt_knows_its_nested_calls() {
    let (entered, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let node = node_with_nested_calls(&entered, &gate).await;
    let accepted = node.client.invoke_async(Call::new("a.outer", ()));
    let cid = accepted.await.unwrap().cid;
    entered.acquire().await.unwrap().forget();
    let seen = |found: &v1::Invocation| {
        let calls = found.attempts[0].nested_calls.iter();
        let seen = calls.map(|call| {
            assert!(
                call.start_time.is_some() && call.end_time.is_some(),
                "{call:?}"
            );
            let reason = call.failure.as_ref().map(|failure| failure.reason.clone());
            (
                call.caller.clone(),
                call.service.clone(),
                call.depth,
                reason,
            )
        });
        seen.collect::<Vec<_>>()
    };
    let call = |caller: &str, service: &str, depth, reason: Option<&str>| {
        (
            caller.to_owned(),
            service.to_owned(),
            depth,
            reason.map(str::to_owned),
        )
    };
    let first = [
        call("a.outer", "a.middle", 1, None),
        call("a.middle", "a.inner", 2, Some("NO_RECORD")),
    ];
    let running = node.client.explain(cid).await.unwrap();
    assert_eq!(
        (running.state(), seen(&running)),
        (v1::State::Running, first.to_vec())
    );
    gate.add_permits(1);
    ended(&node.client, cid).await;
    let found = node.client.explain(cid).await.unwrap();
    assert_eq!(seen(&found)[..2], first);
    let attempt = &found.attempts[0];
    let counts = (attempt.nested_calls.len(), attempt.omitted_nested_calls);
    assert_eq!(counts, (NestedCalls::MAX, 2));
    let text = explain(&node, cid, &[]).await;
    for line in [
        "  called a.middle",
        "    called a.inner, which failed: NO_RECORD",
        "  and 2 more calls",
    ] {
        assert!(text.lines().any(|found| found.ends_with(line)), "{text}");
    }
}

#[tokio::test]
async fn a_queued_invocation_knows_its_place_and_its_limit() {
    let blocks = async |ctx: Context| ctx.cancelled().await;
    let blocks = Definition::new("a.blocks", blocks).unwrap().concurrency(1);
    let builder = Node::builder().register(blocks).drain(Duration::ZERO);
    let node = TestNode::start(builder).await;
    let client = &node.client;
    let accept = async || {
        client
            .invoke_async(Call::new("a.blocks", ()))
            .await
            .unwrap()
            .cid
    };
    let running = accept().await;
    let is_running = |found: &v1::Invocation| found.state() == v1::State::Running;
    let found = wait_for(client, running, is_running).await;
    assert_eq!(found.invocations_ahead, None);
    assert_eq!(found.max_attempts, RetryPolicy::default().max_attempts);
    let (first, _, third) = (accept().await, accept().await, accept().await);
    for (cid, ahead, text) in [
        (first, 0, "it is the next one"),
        (third, 2, "2 invocations are before it"),
    ] {
        let found = client.explain(cid).await.unwrap();
        assert_eq!(found.pending_reason(), v1::PendingReason::Queued);
        assert_eq!(found.invocations_ahead, Some(ahead));
        let basic = client.invocation(cid, Duration::ZERO).await.unwrap();
        assert_eq!(basic.invocations_ahead, None);
        let waits = format!("waits: {text}; 1 handler of `a.blocks` runs, its limit is 1");
        let shown = explain(&node, cid, &[]).await;
        assert!(shown.contains(&waits), "{shown}");
        assert!(shown.contains("served by: the node"), "{shown}");
        let object = explain_json(&node, cid, &[]).await;
        assert_eq!(object["invocations_ahead"], ahead);
        assert_eq!(object["served_by"][0]["running"], 1);
    }
    node.handle.stop().await;
}

#[tokio::test]
async fn what_an_invocation_waits_for_is_a_sentence() {
    let node = TestNode::start(Node::builder().demo().drain(Duration::ZERO)).await;
    let client = &node.client;
    let accept = async |change: &dyn Fn(&mut Call)| {
        let mut call = Call::new("demo.flaky", dict! { "failures": 9 });
        change(&mut call);
        client.invoke_async(call).await.unwrap().cid
    };
    let policy = |max_attempts, initial_interval| {
        Some(RetryPolicy {
            max_attempts,
            initial_interval,
            ..RetryPolicy::default()
        })
    };
    let later = accept(&|call| {
        call.durable().start = Some(Start::After(Duration::from_hours(2)));
    })
    .await;
    let held = accept(&|call| {
        call.durable().retry_policy = policy(2, Duration::from_millis(1));
        call.durable().on_exhausted = Some(OnExhausted::Hold);
    })
    .await;
    let release = format!("Release it: `cidery retry {held}`");
    for (cid, reason, texts) in [
        (
            later,
            v1::PendingReason::DueLater,
            ["it is due in 1h 59m", ""],
        ),
        (
            held,
            v1::PendingReason::Held,
            ["after attempt 2 of 2 (DEMO_FLAKY). ", &release],
        ),
    ] {
        wait_for(client, cid, waits_as(reason)).await;
        let object = explain_json(&node, cid, &[]).await;
        let waits = object["waits"].as_str().unwrap();
        for text in texts {
            assert!(waits.contains(text), "{waits}");
        }
    }
    let object = explain_json(&node, held, &[]).await;
    assert_eq!(object["last_failure"]["reason"], "DEMO_FLAKY");
    assert_eq!(object["max_attempts"], 2);
    node.handle.stop().await;
}

#[tokio::test]
async fn a_backoff_says_which_attempt_failed_and_when_the_next_one_is() {
    let down = async || {
        let error = Error::unavailable("DOWN", "down");
        Err::<(), _>(error.with_retry_after(Duration::from_secs(3_600)))
    };
    let node = TestNode::start(Node::builder().service("a.down", down)).await;
    let call = node.client.invoke_async(Call::new("a.down", ()));
    let cid = call.await.unwrap().cid;
    wait_for(&node.client, cid, waits_as(v1::PendingReason::Backoff)).await;
    let shown = explain(&node, cid, &[]).await;
    let waits = "waits: attempt 1 of 25 failed; the next one is due in 59m";
    assert!(shown.contains(waits), "{shown}");
    let pause = v1::PauseServiceRequest {
        service: "a.down".to_owned(),
        reason: "wrong prices".to_owned(),
        background_only: false,
    };
    node.client.pause_service(pause).await.unwrap();
    let object = explain_json(&node, cid, &[]).await;
    let waits = object["waits"].as_str().unwrap();
    for text in [
        "attempt 1 of 25 failed",
        ". Besides, `a.down` is paused since ",
        ": wrong prices (`cidery service resume a.down` lets it go on)",
    ] {
        assert!(waits.contains(text), "{waits}");
    }
    node.handle.stop().await;
}

#[tokio::test]
async fn a_group_says_how_many_members_are_open_and_how_many_are_held() {
    let node = TestNode::start(Node::builder().demo()).await;
    let held = || {
        let mut call = Call::new("demo.flaky", dict! { "failures": 9 });
        call.durable().retry_policy = Some(RetryPolicy::never());
        call.durable().on_exhausted = Some(OnExhausted::Hold);
        call
    };
    let mut later = Call::new("demo.count", dict! { "to": 1 });
    later.durable().start = Some(Start::After(Duration::from_secs(3_600)));
    let batch = Batch::of([held(), held(), later]).unwrap();
    let group = node.client.invoke_batch(batch).await.unwrap();
    for member in &group.members[..2] {
        wait_for(&node.client, *member, waits_as(v1::PendingReason::Held)).await;
    }
    let object = explain_json(&node, group.cid, &[]).await;
    let waits = object["waits"].as_str().unwrap();
    let cid = group.cid;
    let expected = format!(
        "3 of its 3 members have not ended. 2 of them are held, for an operator. Release them: `cidery release \
         --group {cid}`, or end them: `cidery cancel --group {cid} --pending held`"
    );
    assert_eq!(waits, expected);
    let shown = explain(&node, cid, &[]).await;
    assert!(shown.contains("waits: 3 of its 3 members"), "{shown}");
    node.handle.stop().await;
}

#[tokio::test]
async fn of_a_large_group_the_first_failed_members_are_shown() {
    let node = TestNode::start(Node::builder().demo()).await;
    let fails = |at: usize| match at {
        0..5 => Call::new("demo.count", dict! { "to": 1 }),
        _ => Call::new("demo.fail", dict! { "code": "NOT_FOUND" }),
    };
    let batch = Batch::of((0..130).map(fails)).unwrap();
    let group = node.client.invoke_batch(batch).await.unwrap().cid;
    ended(&node.client, group).await;
    let shown = explain(&node, group, &[]).await;
    let title = format!(
        "the first 10 that did not succeed; `cidery invocations --group {group} --state failed,cancelled,expired` \
         lists all of them:"
    );
    assert!(shown.contains(&title), "{shown}");
    let members = shown
        .lines()
        .filter(|line| line.contains("demo.fail  FAILED DEMO_FAILED"));
    let positions = members.filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let positions: Vec<u32> = positions.collect();
    assert_eq!(positions, (5..15).collect::<Vec<_>>(), "{shown}");
    node.handle.stop().await;
}

#[tokio::test]
async fn a_busy_key_names_the_invocation_that_holds_it() {
    let node = TestNode::start(Node::builder().demo().drain(Duration::ZERO)).await;
    let accept = async |delay: u64| {
        let mut sleep = Call::new("demo.sleep", dict! { "seconds": 3_600 });
        sleep.durable().concurrency_key = Some("k".to_owned());
        sleep.durable().start = Some(Start::After(Duration::from_secs(delay)));
        node.client.invoke_async(sleep).await.unwrap().cid
    };
    let first = accept(0).await;
    let is_running = |found: &v1::Invocation| found.state() == v1::State::Running;
    wait_for(&node.client, first, is_running).await;
    let second = accept(0).await;
    let found = node.client.explain(second).await.unwrap();
    assert_eq!(found.key_holder_cid, first.to_string());
    let object = explain_json(&node, second, &[]).await;
    assert_eq!(object["key_holder_cid"], first.to_string());
    node.handle.stop().await;
}

#[tokio::test]
async fn the_workers_that_would_serve_it_are_named_with_their_builds() {
    let node = TestNode::start(Node::builder().drain(Duration::ZERO)).await;
    let blocks = async |ctx: Context| ctx.cancelled().await;
    let worker = Worker::builder().service("a.blocks", blocks);
    let worker = worker.name("shipper").build_id("7").drain(Duration::ZERO);
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    let cid = node.client.invoke_async(Call::new("a.blocks", ()));
    let cid = cid.await.unwrap().cid;
    let shown = explain(&node, cid, &[]).await;
    assert!(shown.contains("served by: shipper (build 7)"), "{shown}");
    let object = explain_json(&node, cid, &[]).await;
    assert_eq!(object["served_by"][0]["worker_name"], "shipper");
    worker.stop().await;
    node.handle.stop().await;
}

/// A root with a child and a callback, and a child below the child.
#[tokio::test]
async fn what_follows_from_an_invocation_is_a_tree() {
    let root = async |ctx: Context| ctx.invoke_async("a.child", ()).await.map(drop);
    let child = async |ctx: Context| ctx.invoke_async("a.leaf", ()).await.map(drop);
    let builder = Node::builder()
        .service("a.root", root)
        .service("a.child", child)
        .service("a.leaf", async || "leaf")
        .service("a.told", async || "told");
    let node = TestNode::start(builder).await;
    let mut call = Call::new("a.root", ());
    call.durable().callbacks = vec!["a.told".to_owned()];
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let filter = || v1::InvocationFilter {
        root_cid: cid.to_string(),
        states: vec![v1::State::Succeeded.into()],
        ..v1::InvocationFilter::default()
    };
    let all_ended = async {
        while node.client.invocations(filter(), 9).await.unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all_ended).await.unwrap();
    let object = explain_json(&node, cid, &[]).await;
    let services = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| one["service"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(services(&object["children"]), ["a.child"]);
    assert_eq!(services(&object["callbacks"]), ["a.told"]);
    let child = &object["children"][0];
    assert_eq!(services(&child["children"]), ["a.leaf"]);
    assert_eq!(services(&child["callbacks"]), [] as [String; 0]);
    let one_level = explain_json(&node, cid, &["--depth", "1"]).await;
    assert_eq!(services(&one_level["children"]), ["a.child"]);
    assert_eq!(
        services(&one_level["children"][0]["children"]),
        [] as [String; 0]
    );
    let text = explain(&node, cid, &[]).await;
    let (_, tree) = text.split_once("\nchildren:\n").unwrap();
    let lines: Vec<&str> = tree.lines().collect();
    assert!(
        lines[0].starts_with("  ") && lines[0].contains("a.child  SUCCEEDED"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("    ") && lines[1].contains("a.leaf  SUCCEEDED"),
        "{text}"
    );
    let none = explain(&node, cid, &["--depth", "0"]).await;
    assert!(!none.contains("children:"), "{none}");
    node.handle.stop().await;
}
