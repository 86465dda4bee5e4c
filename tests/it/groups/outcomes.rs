//! The outcomes of members: their order, callbacks with all of them, and following a group.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::model::batch::{AcceptedGroup, Batch};
use cidery::{Cid, Node, Value, dict};

use super::{blocked_service, mixed, with_recorder};
use crate::support::{TestNode, collect, ended, follow, until};

#[tokio::test]
async fn outcomes_are_in_the_order_of_requests_and_include_failures() {
    let (node, recorded) = with_recorder(Node::builder()).await;
    let group = node.client.invoke_batch(Batch {
        on_each: vec!["test.record".to_owned()],
        ..mixed()
    });
    let group = group.await.unwrap();
    assert!(!group.already_accepted);
    let outcomes = node.client.join(&group).await.unwrap();
    let cids: Vec<Cid> = outcomes.iter().map(|(cid, _)| *cid).collect();
    assert_eq!(cids, group.members);
    let [(_, first), (_, second), (_, third)] = outcomes.as_slice() else {
        panic!("{outcomes:?}");
    };
    assert!(first.is_ok() && third.is_ok());
    assert_eq!(second.as_ref().unwrap_err().message(), "none");
    let found = ended(&node.client, group.cid).await;
    assert_eq!(
        (found.state(), found.service.as_str()),
        (v1::State::Succeeded, "")
    );
    until("each outcome is recorded", || {
        recorded.lock().unwrap().len() == 3
    })
    .await;
    let mut recorded = recorded.lock().unwrap().clone();
    recorded.sort_by_key(|outcome| outcome["position"].as_int());
    assert_eq!(recorded[0]["response"]["cust_id"], Value::from(1));
    assert_eq!(recorded[1]["state"], Value::from("FAILED"));
    assert_eq!(recorded[1]["error"]["code"], Value::from("NOT_FOUND"));
    assert_eq!(
        recorded[2]["cid"],
        Value::from(group.members[2].to_string())
    );
    for outcome in &recorded {
        assert_eq!(outcome["group_cid"], Value::from(group.cid.to_string()));
    }
}

#[tokio::test]
async fn on_final_is_invoked_once_with_all_outcomes_in_order() {
    let (node, recorded) = with_recorder(Node::builder()).await;
    let group = node.client.invoke_batch(Batch {
        on_final: vec!["test.record".to_owned()],
        ..mixed()
    });
    let group = group.await.unwrap();
    let all = async || {
        until("all outcomes are recorded", || {
            !recorded.lock().unwrap().is_empty()
        })
        .await;
        recorded.lock().unwrap().remove(0)
    };
    let input = all().await;
    assert_eq!(input["group_cid"], Value::from(group.cid.to_string()));
    assert_eq!(input["truncated"], Value::from(false));
    assert_eq!(
        (&input["members"], &input["succeeded"], &input["failed"]),
        (&3.into(), &2.into(), &1.into())
    );
    assert_eq!(
        states(&input["outcomes"]),
        ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    );
    assert_eq!(input["outcomes"][2]["response"]["cust_id"], Value::from(3));
    // A group without members ends immediately.
    let empty = Batch {
        on_final: vec!["test.record".to_owned()],
        ..Batch::default()
    };
    let empty = node.client.invoke_batch(empty).await.unwrap();
    assert!(node.client.join(&empty).await.unwrap().is_empty());
    let input = all().await;
    assert_eq!(input["members"], Value::from(0));
    let found = ended(&node.client, empty.cid).await;
    assert_eq!(found.state(), v1::State::Succeeded);
}

fn states(outcomes: &Value) -> Vec<&str> {
    let Value::List(outcomes) = outcomes else {
        panic!("{outcomes:?}");
    };
    let states = outcomes.iter().map(|outcome| &outcome["state"]);
    states.map(|state| state.as_text().unwrap()).collect()
}

#[tokio::test]
async fn following_a_group_delivers_the_ends_of_its_members() {
    let (definition, gate, running) = blocked_service("test.held");
    let node = TestNode::start(Node::builder().register(definition)).await;
    let calls = (0..20).map(|n| ("test.held", dict! { "n": n }));
    let batch = Batch::of(calls).unwrap();
    let group = node.client.invoke_batch(batch).await.unwrap();
    until("all members run at once", || {
        running.load(Ordering::SeqCst) == 20
    })
    .await;
    let found = node.client.invocation(group.cid, Duration::ZERO);
    let found = found.await.unwrap();
    assert_eq!(found.state(), v1::State::Running);
    assert_eq!(found.group.unwrap().members, 20);
    let early = node.stub.clone().stream_results(follow(group.cid)).await;
    let mut early = early.unwrap().into_inner();
    let first = early.message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Accepted(_))));
    gate.add_permits(5);
    let mut seen = vec![first];
    for _ in 0..5 {
        seen.push(early.message().await.unwrap().unwrap());
    }
    assert!(seen.iter().skip(1).all(is_member_end));
    gate.add_permits(15);
    let rest = collect(early).await;
    check_events(&group, seen.iter().chain(&rest));
    // A late subscriber receives the same events, and a resumed stream only new ones.
    let late = node.events(follow(group.cid)).await;
    check_events(&group, late.iter());
    let after = seen.iter().map(|event| (event.cid.clone(), event.sequence));
    let resumed = node.events(v1::StreamResultsRequest {
        after_sequences: after.collect(),
        ..follow(group.cid)
    });
    let resumed = resumed.await;
    assert_eq!(resumed.len(), 16);
    check_events(&group, seen.iter().chain(&resumed));
    // A member that is also followed by itself is delivered completely and once.
    let both = node.events(v1::StreamResultsRequest {
        cids: vec![group.members[3].to_string(), group.cid.to_string()],
        ..v1::StreamResultsRequest::default()
    });
    let both = both.await;
    assert_eq!(both.len(), 2 + 20 + 2);
    assert_eq!(both.last().unwrap().cid, group.cid.to_string());
}

fn is_member_end(event: &v1::StreamResultsResponse) -> bool {
    matches!(event.event, Some(Event::Succeeded(_)))
}

/// The group is accepted, each member ends once, and the group ends last.
fn check_events<'a>(
    group: &AcceptedGroup,
    events: impl Iterator<Item = &'a v1::StreamResultsResponse>,
) {
    let events: Vec<_> = events.collect();
    let (first, last) = (events.first().unwrap(), events.last().unwrap());
    let cid = group.cid.to_string();
    assert!(first.cid == cid && matches!(first.event, Some(Event::Accepted(_))));
    assert!(last.cid == cid && is_member_end(last), "{last:?}");
    let between = events.get(1..events.len() - 1).unwrap();
    assert!(between.iter().all(|event| is_member_end(event)));
    let ended: HashSet<_> = between.iter().map(|event| event.cid.clone()).collect();
    let members: HashSet<_> = group.members.iter().map(Cid::to_string).collect();
    assert_eq!((between.len(), ended), (group.members.len(), members));
}
