//! Crash recovery: each invocation that a killed node accepted has exactly one outcome after the restart.
//!
//! `CIDERY_CRASH_ROUNDS` is how often the node is killed: 2 by default, a dozen in `scripts/test`, hundreds with
//! `--soak`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::model::call::{Call, Start};
use cidery::remote::client::ContractClient;
use cidery::{Cid, dict};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::binary::Server;
use crate::support::{Folder, PATIENCE, collect, names};

pub(crate) fn rounds() -> usize {
    let rounds = std::env::var("CIDERY_CRASH_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(2)
}

/// The callback of half of the invocations.
const CALLBACK: &str = "cidery.echo";

/// The CIDs that were sent, and whether their acceptance was answered.
type Sent = Arc<Mutex<HashMap<Cid, bool>>>;

/// Submits invocations until the node is gone; counts those that are accepted.
async fn submit(address: String, sent: Sent, accepted: watch::Sender<usize>, seed: u64) {
    let Ok(client) = ContractClient::connect(&address).await else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        let cid = Cid::new();
        let mut call = match random.u8(0..4) {
            0 => Call::new("demo.count", dict! { "to": 3 }),
            1 => Call::new("demo.flaky", dict! { "failures": 1 }),
            2 => {
                let mut keyed = Call::new("customer.get", dict! { "cust_id": 2 });
                keyed.durable().idempotency_key = Some(cid.to_string());
                keyed.durable().start = Some(Start::After(Duration::from_millis(50)));
                keyed
            }
            _ => Call::new("customer.get", dict! { "cust_id": 1 }),
        };
        if random.bool() {
            call.durable().callbacks = vec![CALLBACK.to_owned()];
        }
        call.cid = Some(cid);
        sent.lock().unwrap().insert(cid, false);
        if client.invoke_async(call).await.is_err() {
            return;
        }
        sent.lock().unwrap().insert(cid, true);
        accepted.send_modify(|accepted| *accepted += 1);
    }
}

/// Kills a node repeatedly while clients submit; answers with what they sent.
async fn kill_repeatedly(data: &str, seed: u64) -> HashMap<Cid, bool> {
    let sent = Sent::default();
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..rounds() {
        let server = Server::start(&["--data-dir", data]);
        let (accepted, mut accepts) = watch::channel(0);
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            clients.spawn(submit(
                server.address.clone(),
                Arc::clone(&sent),
                accepted.clone(),
                random.u64(..),
            ));
        }
        let enough = random.usize(11..300);
        let accepts = accepts.wait_for(|accepted| *accepted >= enough);
        let accepts = tokio::time::timeout(PATIENCE, accepts).await;
        accepts.expect("too few are accepted").unwrap();
        server.signal("KILL");
        clients.join_all().await;
    }
    let sent = sent.lock().unwrap();
    sent.clone()
}

/// The events of each invocation.
pub(crate) async fn events_by_cid(
    address: &str,
    cids: impl Iterator<Item = &Cid>,
) -> HashMap<String, Vec<v1::StreamResultsResponse>> {
    let mut stub = InvocationServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let request = v1::StreamResultsRequest {
        cids: cids.map(Cid::to_string).collect(),
        ..v1::StreamResultsRequest::default()
    };
    let stream = stub.stream_results(request).await.unwrap().into_inner();
    let events = tokio::time::timeout(PATIENCE * 4, collect(stream))
        .await
        .unwrap();
    let mut of_each: HashMap<String, Vec<v1::StreamResultsResponse>> = HashMap::new();
    for event in events {
        of_each.entry(event.cid.clone()).or_default().push(event);
    }
    of_each
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_invocation_is_lost_when_the_node_is_killed() {
    let folder = Folder::new("crash");
    let data = folder.path().join("data");
    let seed = fastrand::u64(..);
    let sent = kill_repeatedly(data.to_str().unwrap(), seed).await;
    let accepted = sent.values().filter(|answered| **answered).count();
    assert!(accepted > 10 * rounds(), "only {accepted} were accepted");
    let mut server = Server::start(&["--data-dir", data.to_str().unwrap()]);
    let events = events_by_cid(&server.address, sent.keys()).await;
    for (cid, was_answered) in &sent {
        let names = names(&events[&cid.to_string()]);
        let ends = names.iter().filter(|name| **name == "succeeded").count();
        match names.as_slice() {
            // It was sent and not answered: it may not have arrived.
            ["not_found"] => assert!(
                !was_answered,
                "{cid} was accepted and is lost (seed {seed})"
            ),
            _ => {
                assert_eq!(names[0], "accepted", "{names:?}");
                assert_eq!(
                    (ends, *names.last().unwrap()),
                    (1, "succeeded"),
                    "{cid}: {names:?} (seed {seed})"
                );
            }
        }
    }
    // The last callbacks may still run.
    let client = ContractClient::connect(&server.address).await.unwrap();
    let busy = async || {
        let services = client.services("").await.unwrap();
        services
            .iter()
            .any(|service| service.pending + service.running > 0)
    };
    let idle = async { while busy().await {} };
    let idle = tokio::time::timeout(PATIENCE, idle).await;
    idle.expect("some callbacks never end");
    server.signal("TERM");
    server.child.wait().unwrap();
    check_what_is_stored(&data.join("cidery.db"), &sent);
}

/// The store contains nothing that was not sent, nothing is open, and each outcome has exactly one callback.
fn check_what_is_stored(database: &std::path::Path, sent: &HashMap<Cid, bool>) {
    let database = rusqlite::Connection::open(database).unwrap();
    let select = "SELECT cid, parent, coalesce(state, 0), name FROM invocation
         LEFT JOIN outcome USING (id) JOIN service ON service.id = service";
    let mut select = database.prepare(select).unwrap();
    let rows = select.query_map([], |row| {
        let parent = row.get::<_, Option<[u8; 16]>>(1)?;
        let (cid, state) = (row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(2)?);
        Ok((
            Cid::from_bytes(cid),
            parent.map(Cid::from_bytes),
            state,
            row.get::<_, String>(3)?,
        ))
    });
    let mut callbacks: HashMap<Cid, usize> = HashMap::new();
    for row in rows.unwrap() {
        let (cid, parent, state, service) = row.unwrap();
        assert_eq!(state, 2, "{service} {cid}");
        match parent {
            None => assert!(sent.contains_key(&cid)),
            Some(parent) => {
                assert_eq!(service, CALLBACK);
                assert!(sent.contains_key(&parent));
                *callbacks.entry(parent).or_default() += 1;
            }
        }
    }
    // Each request that contains the name of the callback has one, and no other has.
    let select = "SELECT cid FROM invocation WHERE parent IS NULL AND instr(request, ?1) > 0";
    let mut select = database.prepare(select).unwrap();
    let asked = select.query_map([CALLBACK.as_bytes()], |row| row.get::<_, [u8; 16]>(0));
    let asked: Vec<Cid> = asked
        .unwrap()
        .map(|cid| Cid::from_bytes(cid.unwrap()))
        .collect();
    assert!(!asked.is_empty());
    for cid in &asked {
        assert_eq!(callbacks.get(cid), Some(&1), "the callback of {cid}");
    }
    assert_eq!(callbacks.len(), asked.len());
    let open: i64 = database
        .query_row("SELECT count(*) FROM pending", [], |row| row.get(0))
        .unwrap();
    assert_eq!(open, 0);
}
