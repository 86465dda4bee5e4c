//! A backup of a node that accepts and runs invocations all the while, restored elsewhere: none is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};
use cidery::remote::client::ContractClient;
use cidery::{Cid, dict};
use tokio::task::JoinSet;

use super::{admin, back_up, node};
use crate::support::binary::{Server, cidery, stderr};
use crate::support::{Folder, PATIENCE, ended, until};

/// How many invocations are accepted before the backup.
const BEFORE: usize = 1_000;

/// Submits invocations of several kinds until it is stopped; notes those that are accepted.
async fn submit(client: ContractClient, stop: Arc<AtomicBool>, accepted: Arc<Mutex<Vec<Cid>>>) {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut call = Call::new("customer.get", dict! { "cust_id": 1 });
        match n % 4 {
            0 => call = Call::new("demo.flaky", dict! { "failures": 1 }),
            1 => call.durable().start = Some(Start::After(Duration::from_millis(300))),
            2 => call.durable().concurrency_key = Some("one at a time".to_owned()),
            _ => call.durable().callbacks = vec!["cidery.echo".to_owned()],
        }
        let cids = match n % 20 {
            19 => {
                let batch = Batch::of([call, Call::new("cidery.echo", dict! {})]).unwrap();
                let group = client.invoke_batch(batch).await.unwrap();
                [vec![group.cid], group.members].concat()
            }
            _ => vec![client.invoke_async(call).await.unwrap().cid],
        };
        accepted.lock().unwrap().extend(cids);
    }
}

/// What is compared of an invocation: its state, its attempts, and whether it has ended.
type Seen = (v1::State, u32, bool);

/// All invocations of a node.
async fn seen(client: &ContractClient) -> HashMap<Cid, Seen> {
    let listed = client.invocations(v1::InvocationFilter::default(), 100_000);
    let seen = listed.await.unwrap().into_iter().map(|found| {
        let seen = (found.state(), found.attempt, found.end_time.is_some());
        (Cid::parse(&found.cid).unwrap(), seen)
    });
    seen.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_invocation_that_was_accepted_before_a_backup_is_lost() {
    let (folder, other) = (Folder::new("load"), Folder::new("load"));
    let original = node(&folder).await;
    let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let client = original.client.clone();
        clients.spawn(submit(client, Arc::clone(&stop), Arc::clone(&accepted)));
    }
    let count = || accepted.lock().unwrap().len();
    until("invocations are accepted", || count() > BEFORE).await;
    // Whatever is accepted, or ends, from here on may be in the backup, or not.
    let before = accepted.lock().unwrap().clone();
    let seen_before = seen(&original.client).await;
    let mut admin = admin(&original).await;
    let backup = back_up(&mut admin, "under-load").await.unwrap();
    let meanwhile = count();
    until("the node goes on", || count() > meanwhile + 20).await;
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    let all = accepted.lock().unwrap().clone();
    for cid in all {
        ended(&original.client, cid).await;
    }
    let seen_after = seen(&original.client).await;
    original.handle.stop().await;

    let data = other.path().join("data");
    let restored = cidery()
        .args(["store", "restore", &backup.path, "--data-dir"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", stderr(&restored));
    let mut held = Server::start(&["--hold", "--data-dir", data.to_str().unwrap()]);
    let client = ContractClient::connect(&held.address).await.unwrap();
    let found = seen(&client).await;
    assert!(found.values().any(|(.., has_ended)| !has_ended));
    for cid in before.iter().chain(seen_before.keys()) {
        let has_ended = |seen: &HashMap<Cid, Seen>| seen.get(cid).is_some_and(|seen| seen.2);
        let (state, _, has_ended_there) = *found.get(cid).expect("an invocation is lost");
        // With the state that it had, or a later one: that of its only end.
        assert!(has_ended_there || !has_ended(&seen_before), "{cid}");
        if has_ended_there {
            assert_eq!(Some(state), seen_after.get(cid).map(|seen| seen.0), "{cid}");
        }
    }
    // While it is held, it accepts, and nothing runs.
    let mut accepted = Vec::new();
    for _ in 0..20 {
        let call = Call::new("customer.get", dict! { "cust_id": 1 });
        accepted.push(client.invoke_async(call).await.unwrap().cid);
    }
    let mut still = seen(&client).await;
    for cid in accepted {
        assert_eq!(still.remove(&cid), Some((v1::State::Pending, 0, false)));
    }
    assert_eq!(still, found);
    let resumed = held.run(&["resume"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    for cid in found.keys() {
        assert_eq!(
            ended(&client, *cid).await.state(),
            v1::State::Succeeded,
            "{cid}"
        );
    }
    // Callbacks are accepted with the ends.
    let none_is_pending = async { while client.status().await.unwrap().pending > 0 {} };
    tokio::time::timeout(PATIENCE, none_is_pending)
        .await
        .unwrap();
    held.terminate();
    let checked = cidery().args(["store", "check"]).arg(&data).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", stderr(&checked));
}
