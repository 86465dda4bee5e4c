//! A fan-out of 10 000 members with the real binary: failing members, a killed node and a late subscriber.

use std::collections::HashMap;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::model::batch::{AcceptedGroup, Batch};
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Payload, Value, dict};

use crate::support::binary::Server;
use crate::support::{Folder, collect};

/// The number of members: the limit of a batch.
const MEMBERS: i64 = 10_000;
/// Each member at a multiple of this position fails.
const FAILING: i64 = 10;

fn batch() -> Batch {
    let call = |n: i64| match n % FAILING {
        0 => Call::new(
            "demo.fail",
            dict! { "code": "NOT_FOUND", "message": n.to_string() },
        ),
        _ => Call::new("customer.get", dict! { "cust_id": n }),
    };
    Batch {
        on_each: vec!["cidery.echo".to_owned()],
        on_final: vec!["cidery.echo".to_owned()],
        ..Batch::of((0..MEMBERS).map(call)).unwrap()
    }
}

/// Checks that every outcome is there, once, in the order of the requests.
fn check_outcomes(group: &AcceptedGroup, outcomes: &[(Cid, cidery::model::invocation::Outcome)]) {
    assert_eq!(outcomes.len(), group.members.len());
    for ((cid, outcome), (member, n)) in outcomes.iter().zip(group.members.iter().zip(0..)) {
        assert_eq!(cid, member);
        match outcome {
            Ok(reply) => {
                let response = cidery::codec::payload::decode(reply.payload.clone()).unwrap();
                assert_eq!(response["cust_id"], Value::from(n));
            }
            Err(error) => assert_eq!((error.message(), n % FAILING), (&*n.to_string(), 0)),
        }
    }
}

/// All invocations that match a filter.
async fn listed(client: &ContractClient, filter: v1::InvocationFilter) -> Vec<v1::Invocation> {
    let limit = usize::try_from(4 * MEMBERS).unwrap();
    client.invocations(filter, limit).await.unwrap()
}

/// The number of ended members, as the node reports it.
async fn ended(client: &ContractClient, group: &AcceptedGroup) -> u32 {
    let found = client.invocation(group.cid, std::time::Duration::ZERO);
    found.await.unwrap().group.unwrap().ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_members_have_one_outcome_each_after_a_crash() {
    let folder = Folder::new("fan-out");
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let server = Server::start(&["--data-dir", data]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let group = client.invoke_batch(batch()).await.unwrap();
    assert_eq!(group.members.len(), usize::try_from(MEMBERS).unwrap());
    // Some members have ended, and most have not.
    let mut early = client.results(group.cid).await.unwrap();
    let mut seen = HashMap::new();
    while seen.len() < 500 {
        let event = early.next().await.unwrap().unwrap();
        if let Some(Event::Succeeded(_) | Event::Failed(_)) = event.event {
            assert!(seen.insert(event.cid, event.sequence).is_none());
        }
    }
    let before = ended(&client, &group).await;
    server.signal("KILL");
    drop(server);
    assert!(before < u32::try_from(MEMBERS).unwrap(), "all had ended");
    let server = Server::start(&["--data-dir", data]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    // An earlier subscriber receives the new events, and none twice.
    let stub = InvocationServiceClient::connect(format!("http://{}", server.address));
    let request = v1::StreamResultsRequest {
        cids: vec![group.cid.to_string()],
        after_sequences: seen.clone(),
        wait_for_accept: false,
    };
    let stream = stub.await.unwrap().stream_results(request).await.unwrap();
    for event in collect(stream.into_inner()).await {
        let is_new = seen.insert(event.cid.clone(), event.sequence).is_none();
        assert!(is_new || event.cid == group.cid.to_string(), "{event:?}");
    }
    assert_eq!(seen.len(), group.members.len() + 1);
    let outcomes = client.join(&group).await.unwrap();
    check_outcomes(&group, &outcomes);
    // A late subscriber receives the same events.
    let late = client.join(&group).await.unwrap();
    check_outcomes(&group, &late);
    let of_group = v1::InvocationFilter {
        group_cid: group.cid.to_string(),
        ..v1::InvocationFilter::default()
    };
    assert_eq!(listed(&client, of_group).await.len(), group.members.len());
    check_callbacks(&client, &group).await;
}

/// Checks that `on_each` received each outcome once, and `on_final` all of them once.
async fn check_callbacks(client: &ContractClient, group: &AcceptedGroup) {
    let callbacks = v1::InvocationFilter {
        root_cid: group.cid.to_string(),
        services: vec!["cidery.echo".to_owned()],
        ..v1::InvocationFilter::default()
    };
    let callbacks = listed(client, callbacks).await;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for callback in &callbacks {
        *counts.entry(callback.in_reply_to.clone()).or_default() += 1;
    }
    assert_eq!(callbacks.len(), group.members.len() + 1);
    let all = group.members.iter().chain([&group.cid]);
    for cid in all {
        assert_eq!(counts.get(&cid.to_string()), Some(&1), "callbacks of {cid}");
    }
    let last = callbacks
        .iter()
        .find(|callback| callback.in_reply_to == group.cid.to_string());
    let last = Cid::parse(&last.unwrap().cid).unwrap();
    let last = client.explain(last).await.unwrap();
    let Some(v1::input::Input::Payload(input)) = last.input.unwrap().input else {
        panic!("no input");
    };
    let input = cidery::codec::payload::decode(Payload::Struct(input)).unwrap();
    let outcomes = input["outcomes"].as_list().unwrap();
    assert_eq!(input["truncated"], Value::from(false));
    assert_eq!(outcomes.len(), group.members.len());
    for ((outcome, member), n) in outcomes.iter().zip(&group.members).zip(0..) {
        assert_eq!(outcome["position"], Value::from(n));
        assert_eq!(outcome["cid"], Value::from(member.to_string()));
        let state = if n % FAILING == 0 {
            "FAILED"
        } else {
            "SUCCEEDED"
        };
        assert_eq!(outcome["state"], Value::from(state));
    }
}
