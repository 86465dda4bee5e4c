//! A backup of a node that accepts and runs invocations all the while, restored elsewhere: none is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::engine::store::{Store as _, Stored};
use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};
use cidery::remote::client::ContractClient;
use cidery::store::SqliteStore;
use cidery::{Cid, dict};
use tokio::task::JoinSet;

use super::{admin, back_up, node};
use crate::support::binary::{cidery, stderr};
use crate::support::{Folder, ended, until};

/// How many invocations are accepted before the backup.
const BEFORE: usize = 600;

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
    // Whatever is accepted from here on may be in the backup, or not.
    let before = accepted.lock().unwrap().clone();
    let mut admin = admin(&original).await;
    let backup = back_up(&mut admin, "under-load").await.unwrap();
    let meanwhile = count();
    until("the node goes on", || count() > meanwhile + 20).await;
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    let data = other.path().join("data");
    let restored = cidery()
        .args(["store", "restore", &backup.path, "--data-dir"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", stderr(&restored));
    let states = states_of(&data, &before).await;
    for (cid, is_terminal) in &states {
        // With the state that it had, or an earlier one of its later outcome.
        if *is_terminal {
            let found = original.client.invocation(*cid, Duration::ZERO).await;
            assert!(
                found.unwrap().end_time.is_some(),
                "{cid} ended in the backup alone"
            );
        }
    }
    assert_eq!(states.len(), before.len());
    original.handle.stop().await;
    let store = SqliteStore::open(&data).unwrap();
    let restored = cidery::Node::builder().demo().store(store);
    let restored = crate::support::TestNode::start(restored).await;
    for cid in &before {
        let state = ended(&restored.client, *cid).await.state;
        let succeeded = cidery::codec::proto::v1::State::Succeeded;
        assert_eq!(state, succeeded as i32, "{cid}");
    }
    until("nothing is pending", || {
        restored.handle.invoker().store().total_pending_count() == 0
    })
    .await;
    restored.handle.stop().await;
    let checked = cidery().args(["store", "check"]).arg(&data).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", stderr(&checked));
}

/// Whether each invocation has ended in a store, which stays as it is.
async fn states_of(data: &std::path::Path, cids: &[Cid]) -> HashMap<Cid, bool> {
    let copy = Folder::new("load");
    std::fs::copy(data.join("cidery.db"), copy.path().join("cidery.db")).unwrap();
    let store = SqliteStore::open(copy.path()).unwrap();
    let mut states = HashMap::new();
    for cid in cids {
        match store.get(*cid).await.unwrap() {
            Stored::Found(found) => states.insert(*cid, found.state.is_terminal()),
            other => panic!("{cid} is lost: {other:?}"),
        };
    }
    states
}
