//! `StreamResults`: past events and new events without gaps or duplicates.

use std::collections::{HashMap, HashSet};

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::model::call::Call;
use cidery::{Cid, Context, Node, Progress, Result, dict};

use crate::support::{TestNode, assert_sequences_rise, collect, follow, names};

const COUNTED: [&str; 6] = ["accepted", "started", "item", "item", "item", "succeeded"];

fn count(to: u32) -> Call {
    Call::new("demo.count", dict! { "to": to })
}

#[tokio::test]
async fn a_late_subscriber_receives_past_events() {
    let node = TestNode::demo().await;
    let cid = node.client.invoke_async(count(3)).await.unwrap().cid;
    let first = node.events(follow(cid)).await;
    let again = node.events(follow(cid)).await;
    assert_eq!(names(&first), COUNTED);
    assert_eq!(names(&again), COUNTED);
    assert_sequences_rise(&first);
    let attempts: Vec<u32> = again.iter().map(|event| event.attempt).collect();
    assert_eq!(attempts, [0, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_resumed_stream_starts_after_the_last_seen_event() {
    let node = TestNode::demo().await;
    let cid = node.client.invoke_async(count(3)).await.unwrap().cid;
    let all = node.events(follow(cid)).await;
    let all: Vec<_> = all.into_iter().filter(|event| event.sequence > 0).collect();
    for seen in 0..=all.len() {
        let after = all[..seen].last().map_or(0, |event| event.sequence);
        let mut request = follow(cid);
        request.after_sequences.insert(cid.to_string(), after);
        let rest = node.events(request).await;
        assert_eq!(names(&rest), COUNTED[seen..], "after {seen}");
    }
}

#[tokio::test]
async fn an_invalid_cid_is_reported_as_one_event() {
    let node = TestNode::demo().await;
    let good = node.client.invoke_async(count(1)).await.unwrap().cid;
    let unknown = Cid::new();
    let request = v1::StreamResultsRequest {
        cids: vec![
            "x".to_owned(),
            unknown.to_string(),
            good.to_string(),
            good.to_string(),
        ],
        ..v1::StreamResultsRequest::default()
    };
    let events = node.events(request).await;
    let reasons: HashMap<String, String> = events
        .iter()
        .filter_map(|event| match event.event.as_ref().unwrap() {
            Event::NotFound(not_found) => Some((event.cid.clone(), not_found.reason.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(reasons.len(), 2);
    assert_eq!(reasons["x"], "CID_INVALID");
    assert_eq!(reasons[&unknown.to_string()], "CID_UNKNOWN");
    let of_good: Vec<_> = events
        .into_iter()
        .filter(|event| event.cid == good.to_string())
        .collect();
    assert_eq!(
        names(&of_good),
        ["accepted", "started", "item", "succeeded"]
    );
}

#[tokio::test]
async fn a_subscriber_before_acceptance_receives_all_events() {
    let node = TestNode::demo().await;
    let cid = Cid::new();
    let request = v1::StreamResultsRequest {
        wait_for_accept: true,
        ..follow(cid)
    };
    let stream = node.stub.clone().stream_results(request).await.unwrap();
    let mut call = count(3);
    call.cid = Some(cid);
    node.client.invoke_async(call).await.unwrap();
    assert_eq!(names(&collect(stream.into_inner()).await), COUNTED);
}

#[tokio::test]
async fn only_the_last_progress_is_replayed() {
    async fn work(ctx: Context) -> Result<()> {
        for n in 0_u32..10 {
            ctx.progress(Progress::at(f64::from(n) / 10.0).value(dict! { "n": n }));
        }
        ctx.cancelled().await;
        Ok(())
    }
    let node = TestNode::start(Node::builder().service("work", work)).await;
    let cid = node
        .client
        .invoke_async(Call::new("work", ()))
        .await
        .unwrap()
        .cid;
    let mut stream = node
        .stub
        .clone()
        .stream_results(follow(cid))
        .await
        .unwrap()
        .into_inner();
    let mut seen = Vec::new();
    loop {
        let event = stream.message().await.unwrap().unwrap();
        if let Some(Event::Progress(progress)) = event.event {
            assert_eq!(event.sequence, 0);
            let progress = progress.progress.unwrap();
            seen.push(progress.fraction.unwrap());
            if progress.fraction == Some(0.9) {
                break;
            }
        }
    }
    let mut late = node
        .stub
        .clone()
        .stream_results(follow(cid))
        .await
        .unwrap()
        .into_inner();
    let mut replayed = Vec::new();
    while replayed.last() != Some(&"progress") {
        let event = late.message().await.unwrap().unwrap();
        replayed.push(if event.sequence == 0 {
            "progress"
        } else {
            "event"
        });
    }
    assert_eq!(replayed, ["event", "event", "progress"]);
    let found = node
        .client
        .invocation(cid, std::time::Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(found.progress.unwrap().fraction, Some(0.9));
}

#[tokio::test]
async fn too_many_cids_are_rejected_with_the_limit() {
    let node = TestNode::start(Node::builder().limits(|limits| limits.stream_cids = 2)).await;
    let request = v1::StreamResultsRequest {
        cids: (0..3).map(|_| Cid::new().to_string()).collect(),
        ..v1::StreamResultsRequest::default()
    };
    let status = node.stub.clone().stream_results(request).await.unwrap_err();
    let error = crate::support::error_of(&status);
    assert_eq!(
        (error.reason(), error.fact("stream_cids")),
        ("STREAM_LIMIT", Some("2"))
    );
}

/// A thousand invocations with subscribers before, during and after them, and one that reconnects repeatedly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_receives_one_outcome_per_invocation() {
    const CALLS: usize = 1_000;
    let node = TestNode::demo().await;
    let cids: Vec<Cid> = (0..CALLS).map(|_| Cid::new()).collect();
    let all = v1::StreamResultsRequest {
        cids: cids.iter().map(Cid::to_string).collect(),
        wait_for_accept: true,
        ..v1::StreamResultsRequest::default()
    };
    let before = node
        .stub
        .clone()
        .stream_results(all.clone())
        .await
        .unwrap()
        .into_inner();
    let mut during = None;
    for (n, cid) in cids.iter().enumerate() {
        let mut call = count(2);
        call.cid = Some(*cid);
        node.client.invoke_async(call).await.unwrap();
        if n == CALLS / 2 {
            during = Some(
                node.stub
                    .clone()
                    .stream_results(all.clone())
                    .await
                    .unwrap()
                    .into_inner(),
            );
        }
    }
    let resumed = resumed(&node, all.clone()).await;
    let after = node
        .stub
        .clone()
        .stream_results(all)
        .await
        .unwrap()
        .into_inner();
    for events in [
        collect(before).await,
        collect(during.unwrap()).await,
        collect(after).await,
        resumed,
    ] {
        check_whole(&events, &cids);
    }
}

/// Reads a few events, disconnects and resumes, until the end.
async fn resumed(
    node: &TestNode,
    mut request: v1::StreamResultsRequest,
) -> Vec<v1::StreamResultsResponse> {
    const AT_ONCE: usize = 700;
    let mut events = Vec::new();
    loop {
        let stream = node
            .stub
            .clone()
            .stream_results(request.clone())
            .await
            .unwrap();
        let mut stream = stream.into_inner();
        let mut ended = true;
        for _ in 0..AT_ONCE {
            let Some(event) = stream.message().await.unwrap() else {
                break;
            };
            ended = false;
            if event.sequence > 0 {
                request
                    .after_sequences
                    .insert(event.cid.clone(), event.sequence);
                events.push(event);
            }
        }
        if ended {
            return events;
        }
    }
}

fn check_whole(events: &[v1::StreamResultsResponse], cids: &[Cid]) {
    let mut by_cid: HashMap<&str, Vec<v1::StreamResultsResponse>> = HashMap::new();
    for event in events {
        by_cid.entry(&event.cid).or_default().push(event.clone());
    }
    let seen: HashSet<String> = by_cid.keys().map(|cid| (*cid).to_owned()).collect();
    assert_eq!(seen, cids.iter().map(Cid::to_string).collect());
    for events in by_cid.values() {
        assert_eq!(
            names(events),
            ["accepted", "started", "item", "item", "succeeded"]
        );
        assert_sequences_rise(events);
    }
}

#[tokio::test]
async fn progress_of_a_retry_is_delivered_from_its_first_report() {
    async fn work(ctx: Context) -> Result<()> {
        let shown = if ctx.attempt() == 1 { 50 } else { 1 };
        for n in 0..shown {
            ctx.progress(Progress::note(format!("attempt {}, {n}", ctx.attempt())));
        }
        match ctx.attempt() {
            1 => Err(cidery::Error::unavailable("DOWN", "down")),
            _ => {
                ctx.cancelled().await;
                Ok(())
            }
        }
    }
    let node = TestNode::start(Node::builder().service("work", work)).await;
    let cid = node
        .client
        .invoke_async(Call::new("work", ()))
        .await
        .unwrap()
        .cid;
    let stream = node.stub.clone().stream_results(follow(cid)).await.unwrap();
    let mut stream = stream.into_inner();
    loop {
        let event = stream.message().await.unwrap().unwrap();
        if let Some(Event::Progress(progress)) = event.event
            && progress.progress.unwrap().message == "attempt 2, 0"
        {
            break;
        }
    }
}

/// An item that cannot be encoded fails the handler, and must not end the streams of followers.
#[tokio::test]
async fn an_item_that_cannot_be_encoded_fails_only_its_handler() {
    async fn bad_item(ctx: Context) -> Result<()> {
        ctx.progress(Progress::at(0.5).value(f64::NAN));
        ctx.emit(dict! { "x": f64::NAN }).await
    }
    let once = cidery::Definition::new("bad", bad_item).unwrap();
    let once = once.retry_policy(cidery::RetryPolicy::never());
    let node = TestNode::start(Node::builder().register(once)).await;
    let cid = node
        .client
        .invoke_async(Call::new("bad", ()))
        .await
        .unwrap()
        .cid;
    let events = node.events(follow(cid)).await;
    assert_eq!(names(&events), ["accepted", "started", "failed"]);
    let found = node
        .client
        .invocation(cid, std::time::Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(found.progress.unwrap().value, None);
}

/// The server ends the stream at the deadline of a client that does not enforce it.
#[tokio::test]
async fn a_stream_ends_at_its_callers_deadline() {
    use crate::support::raw::{Raw, framed};
    use prost::Message as _;
    let node = TestNode::demo().await;
    let request = v1::StreamResultsRequest {
        wait_for_accept: true,
        ..follow(Cid::new())
    };
    let mut raw = Raw::connect(node.address()).await;
    let path = "/cidery.v1.InvocationService/StreamResults";
    let body = framed(&request.encode_to_vec());
    let answer = raw.call(path, &[("grpc-timeout", "20m")], body).await;
    assert_eq!(answer.error().reason(), "DEADLINE_EXCEEDED");
}
