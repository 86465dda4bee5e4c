//! The contract of `engine::store::Store`: one test for each sentence, over every store.

use std::sync::Arc;

use cidery::engine::store::{Acceptance, Record, Store, Stored, Tombstone};
use cidery::model::invocation::{Event, EventKind, Invocation, Request, State};
use cidery::store::{MemoryStore, SqliteOptions, SqliteStore};
use cidery::{Cid, Dict, Payload, ServiceName, dict};
use jiff::Timestamp;

use crate::support::Folder;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn at(seconds: i64) -> Timestamp {
    NOW.checked_add(jiff::SignedDuration::from_secs(seconds))
        .unwrap()
}

fn service(name: &str) -> ServiceName {
    ServiceName::parse(name).unwrap()
}

fn event(sequence: u64, kind: EventKind) -> Arc<Event> {
    Arc::new(Event {
        sequence,
        attempt: 1,
        time: NOW,
        kind,
    })
}

fn invocation(name: &str, due: Timestamp, input: Dict) -> Invocation {
    let cid = Cid::new();
    let service = service(name);
    Invocation {
        request: Arc::new(Request::new(
            cid,
            service.clone(),
            Payload::from(input),
            NOW,
        )),
        state: State::ACCEPTED,
        attempts: 0,
        due,
        first_attempt_time: None,
        end_time: None,
        purge_time: None,
        progress: None,
        last_failure: None,
        events: vec![event(1, EventKind::Accepted { service, due })],
        losses: 0,
        recovered: false,
        cancel_requested: false,
    }
}

/// An invocation that was accepted, due at `due`.
async fn accepted(store: &dyn Store, name: &str, due: Timestamp) -> Cid {
    let invocation = invocation(name, due, dict! {});
    let cid = invocation.request.cid;
    assert!(matches!(
        store.accept(invocation).await.unwrap(),
        Acceptance::Stored
    ));
    cid
}

fn record(cid: Cid, state: State, kind: EventKind) -> Record {
    let ended = state.is_terminal();
    Record {
        cid,
        state,
        attempts: 1,
        due: NOW,
        wake: NOW,
        first_attempt_time: Some(NOW),
        events: vec![event(2, EventKind::Started), event(3, kind)],
        progress: None,
        last_failure: None,
        end_time: ended.then_some(NOW),
        purge_time: ended.then_some(at(10)),
        tombstone_until: ended.then_some(at(20)),
        followed_by: Vec::new(),
    }
}

fn succeeded(cid: Cid) -> Record {
    record(
        cid,
        State::Succeeded,
        EventKind::Succeeded(Payload::empty().into()),
    )
}

async fn found(store: &dyn Store, cid: Cid) -> Invocation {
    match store.get(cid).await.unwrap() {
        Stored::Found(invocation) => *invocation,
        other => panic!("{other:?}"),
    }
}

async fn claimed(store: &dyn Store, name: &str, now: Timestamp, max: usize) -> Vec<Cid> {
    let claim = store.claim(&service(name), now, max).await.unwrap();
    claim
        .invocations
        .iter()
        .map(|invocation| invocation.request.cid)
        .collect()
}

async fn what_is_accepted_is_stored_as_pending_with_its_event(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    let found = found(store, cid).await;
    assert_eq!((found.state, found.sequence()), (State::ACCEPTED, 1));
    assert!(matches!(found.events[0].kind, EventKind::Accepted { .. }));
}

async fn a_cid_that_is_known_answers_with_the_first_request(store: &dyn Store) {
    let first = invocation("a", NOW, dict! { "n": 1 });
    let mut second = invocation("b", NOW, dict! { "n": 2 });
    let mut request = Request::clone(&second.request);
    request.cid = first.request.cid;
    second.request = Arc::new(request);
    store.accept(first.clone()).await.unwrap();
    let Acceptance::Known(known) = store.accept(second).await.unwrap() else {
        panic!("stored twice");
    };
    assert_eq!(known.service, first.request.service);
    assert_eq!(store.pending(&service("b")), 0);
}

async fn due_ones_are_claimed_longest_due_first(store: &dyn Store) {
    let third = accepted(store, "a", at(3)).await;
    let first = accepted(store, "a", at(1)).await;
    let second = accepted(store, "a", at(2)).await;
    let other = accepted(store, "b", at(0)).await;
    assert_eq!(claimed(store, "a", at(2), 10).await, [first, second]);
    let claim = store.claim(&service("a"), at(2), 10).await.unwrap();
    assert_eq!((claim.invocations.len(), claim.next_due), (0, Some(at(3))));
    assert_eq!(claimed(store, "a", at(3), 10).await, [third]);
    assert_eq!(claimed(store, "b", at(3), 10).await, [other]);
}

async fn no_more_are_claimed_than_asked_for(store: &dyn Store) {
    for _ in 0..5 {
        accepted(store, "a", NOW).await;
    }
    assert_eq!(claimed(store, "a", NOW, 2).await.len(), 2);
    assert_eq!(claimed(store, "a", NOW, 9).await.len(), 3);
}

async fn what_is_claimed_comes_again_only_once_it_is_recorded_as_pending(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    assert_eq!(claimed(store, "a", NOW, 1).await, [cid]);
    assert_eq!(claimed(store, "a", at(100), 1).await, []);
    let mut pending = record(cid, State::Pending { started: true }, EventKind::Started);
    (pending.due, pending.wake) = (at(5), at(5));
    assert!(store.record(pending).await.unwrap());
    assert_eq!(claimed(store, "a", at(4), 1).await, []);
    assert_eq!(claimed(store, "a", at(5), 1).await, [cid]);
}

async fn a_record_changes_the_state_and_adds_events(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    assert!(store.record(succeeded(cid)).await.unwrap());
    let found = found(store, cid).await;
    assert_eq!(
        (found.state, found.attempts, found.end_time),
        (State::Succeeded, 1, Some(NOW))
    );
    let sequences: Vec<u64> = found.events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    assert!(found.outcome().unwrap().is_ok());
}

async fn the_first_terminal_record_wins(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    assert!(store.record(succeeded(cid)).await.unwrap());
    let error = cidery::Error::internal("LATE", "late");
    assert!(
        !store
            .record(record(cid, State::Failed, EventKind::Failed(error)))
            .await
            .unwrap()
    );
    let again = record(cid, State::Pending { started: true }, EventKind::Started);
    assert!(!store.record(again).await.unwrap());
    assert_eq!(found(store, cid).await.state, State::Succeeded);
    assert_eq!(claimed(store, "a", at(100), 1).await, []);
}

async fn pending_ones_are_counted_by_service(store: &dyn Store) {
    accepted(store, "a", NOW).await;
    accepted(store, "a", at(100)).await;
    accepted(store, "b", NOW).await;
    assert_eq!(
        (store.pending(&service("a")), store.pending(&service("b"))),
        (2, 1)
    );
    assert_eq!(
        (store.pending(&service("c")), store.pending_in_all()),
        (0, 3)
    );
    claimed(store, "a", NOW, 1).await;
    assert_eq!(store.pending(&service("a")), 1);
    claimed(store, "b", NOW, 1).await;
    assert_eq!(store.pending_in_all(), 1);
    assert_eq!(store.services_with_pending().await.unwrap(), [service("a")]);
}

async fn what_was_kept_long_enough_leaves_a_tombstone_and_then_nothing(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    store.record(succeeded(cid)).await.unwrap();
    assert_eq!(store.purge(at(9), 10).await.unwrap(), 0);
    assert_eq!(store.purge(at(10), 10).await.unwrap(), 1);
    let Stored::Removed(tombstone) = store.get(cid).await.unwrap() else {
        panic!("no tombstone");
    };
    assert_eq!(
        tombstone,
        Tombstone {
            state: State::Succeeded,
            end_time: NOW
        }
    );
    assert_eq!(store.purge(at(19), 10).await.unwrap(), 0);
    assert_eq!(store.purge(at(20), 10).await.unwrap(), 1);
    assert!(matches!(store.get(cid).await.unwrap(), Stored::Unknown));
}

async fn a_cid_that_was_removed_answers_with_its_tombstone(store: &dyn Store) {
    let first = invocation("a", NOW, dict! {});
    let cid = first.request.cid;
    store.accept(first.clone()).await.unwrap();
    claimed(store, "a", NOW, 1).await;
    store.record(succeeded(cid)).await.unwrap();
    store.purge(at(10), 10).await.unwrap();
    let again = store.accept(first).await.unwrap();
    assert!(matches!(
        again,
        Acceptance::Removed(Tombstone {
            state: State::Succeeded,
            ..
        })
    ));
}

async fn no_more_is_removed_at_once_than_asked_for(store: &dyn Store) {
    for _ in 0..5 {
        let cid = accepted(store, "a", NOW).await;
        claimed(store, "a", NOW, 1).await;
        store.record(succeeded(cid)).await.unwrap();
    }
    assert_eq!(store.purge(at(10), 3).await.unwrap(), 3);
    assert_eq!(store.purge(at(10), 3).await.unwrap(), 2);
}

async fn what_was_never_accepted_is_unknown(store: &dyn Store) {
    assert!(matches!(
        store.get(Cid::new()).await.unwrap(),
        Stored::Unknown
    ));
    assert!(!store.record(succeeded(Cid::new())).await.unwrap());
}

/// `store` is soon full.
async fn room_is_kept_for_outcomes(store: &dyn Store) {
    let text = "x".repeat(1_000);
    let mut all = Vec::new();
    let error = loop {
        let next = invocation("a", NOW, dict! { "text": text.as_str() });
        let cid = next.request.cid;
        match store.accept(next).await {
            Ok(_) => all.push(cid),
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "STORE_FULL");
    claimed(store, "a", NOW, all.len()).await;
    for cid in &all {
        assert!(store.record(succeeded(*cid)).await.unwrap());
    }
    store.purge(at(10), all.len()).await.unwrap();
    accepted(store, "a", NOW).await;
}

/// Only what is recovered is ever lost, and only once the node ends.
async fn whoever_began_and_did_not_record_is_not_recorded(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    store.begin(vec![cid, Cid::new()]).await.unwrap();
    assert_eq!(found(store, cid).await.state, State::ACCEPTED);
    assert!(store.record(succeeded(cid)).await.unwrap());
    store.health().unwrap();
}

/// The suite, over each store.
macro_rules! suite {
    ($($sentence:ident)*) => {
        mod memory {
            use super::*;
            $(
                #[tokio::test]
                async fn $sentence() {
                    super::$sentence(&MemoryStore::with_bytes_limit(64 * 1024)).await;
                }
            )*
        }

        mod sqlite {
            use super::*;
            $(
                #[tokio::test]
                async fn $sentence() {
                    let folder = Folder::new("store");
                    super::$sentence(&small(&folder)).await;
                }
            )*
        }
    };
}

/// An embedded store that is soon full.
fn small(folder: &Folder) -> SqliteStore {
    let options = SqliteOptions {
        bytes_limit: 1024 * 1024,
        ..SqliteOptions::default()
    };
    SqliteStore::open_with(folder.path(), options).unwrap()
}

suite! {
    what_is_accepted_is_stored_as_pending_with_its_event
    a_cid_that_is_known_answers_with_the_first_request
    due_ones_are_claimed_longest_due_first
    no_more_are_claimed_than_asked_for
    what_is_claimed_comes_again_only_once_it_is_recorded_as_pending
    a_record_changes_the_state_and_adds_events
    the_first_terminal_record_wins
    pending_ones_are_counted_by_service
    what_was_kept_long_enough_leaves_a_tombstone_and_then_nothing
    a_cid_that_was_removed_answers_with_its_tombstone
    no_more_is_removed_at_once_than_asked_for
    what_was_never_accepted_is_unknown
    room_is_kept_for_outcomes
    whoever_began_and_did_not_record_is_not_recorded
}

/// What a store that is opened again holds.
#[tokio::test]
async fn what_was_answered_is_there_after_opening_again() {
    let folder = Folder::new("store");
    let (pending, begun, ended, generation) = {
        let store = SqliteStore::open(folder.path()).unwrap();
        let pending = accepted(&store, "a", at(5)).await;
        let begun = accepted(&store, "a", NOW).await;
        let ended = accepted(&store, "b", NOW).await;
        claimed(&store, "a", NOW, 10).await;
        claimed(&store, "b", NOW, 10).await;
        assert!(store.record(succeeded(ended)).await.unwrap());
        (pending, begun, ended, store.generation())
    };
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(store.generation(), generation + 1);
    assert_eq!(store.pending(&service("a")), 2);
    assert_eq!(store.services_with_pending().await.unwrap(), [service("a")]);
    let now = at(5);
    assert_eq!(claimed(&store, "a", now, 10).await, [begun, pending]);
    let found = found(&store, ended).await;
    assert_eq!(found.state, State::Succeeded);
    assert_eq!(found.events.len(), 3);
    assert!(found.outcome().unwrap().is_ok());
}

/// Attempts that were begun after an unclean end are counted until one of them is recorded.
#[tokio::test]
async fn a_node_that_ends_in_the_middle_is_remembered() {
    let folder = Folder::new("store");
    let cid = {
        let store = SqliteStore::open(folder.path()).unwrap();
        accepted(&store, "a", NOW).await
    };
    let claim = async |store: &SqliteStore| {
        let claim = store.claim(&service("a"), NOW, 1).await.unwrap();
        let invocation = claim.invocations.into_iter().next().unwrap();
        (invocation.losses, invocation.recovered)
    };
    // Closed in order: nothing has to be recorded first.
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(claim(&store).await, (0, false));
    let copy = Folder::new("store");
    unclean_copy(&folder, &copy);
    drop(store);
    let store = SqliteStore::open(copy.path()).unwrap();
    assert_eq!(claim(&store).await, (0, true));
    store.begin(vec![cid]).await.unwrap();
    let again = Folder::new("store");
    unclean_copy(&copy, &again);
    let store = SqliteStore::open(again.path()).unwrap();
    assert_eq!(claim(&store).await, (1, true));
    assert!(store.record(succeeded(cid)).await.unwrap());
    assert_eq!(found(&store, cid).await.losses, 0);
}

/// The files of an open store, as a killed process leaves them.
fn unclean_copy(from: &Folder, to: &Folder) {
    for file in ["cidery.db", "cidery.db-wal"] {
        std::fs::copy(from.path().join(file), to.path().join(file)).unwrap();
    }
}

#[tokio::test]
async fn a_directory_is_one_processs_and_one_programs() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("store");
    let inner = folder.path().join("data");
    let store = SqliteStore::open(&inner).unwrap();
    let error = SqliteStore::open(&inner).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE");
    assert!(error.message().contains("another process"), "{error}");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for file in ["cidery.db", "cidery.db-wal", "cidery.db-shm", "lock"] {
        assert_eq!(mode(&inner.join(file)), 0o600, "{file}");
    }
    drop(store);
    let database = inner.join("cidery.db");
    let set = |pragma: &str| {
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection.execute_batch(pragma).unwrap();
    };
    set("PRAGMA user_version = 99");
    let error = SqliteStore::open(&inner).unwrap_err();
    assert!(error.message().contains("format 99"), "{error}");
    set("PRAGMA user_version = 1; PRAGMA application_id = 7");
    let error = SqliteStore::open(&inner).unwrap_err();
    assert!(error.message().contains("another program"), "{error}");
    let wal = inner.join("cidery.db-wal");
    let _ = std::fs::remove_file(wal);
    std::fs::write(
        &database,
        "no database, and long enough to be looked at as one".repeat(100),
    )
    .unwrap();
    let error = SqliteStore::open(&inner).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE", "{error}");
}

/// Outcomes that outgrow the store push out the oldest ones, which leave tombstones.
#[tokio::test]
async fn memory_does_not_outgrow_its_limit() {
    let store = MemoryStore::with_bytes_limit(64 * 1024);
    let mut cids = Vec::new();
    for _ in 0..50 {
        cids.push(accepted(&store, "a", NOW).await);
    }
    claimed(&store, "a", NOW, 50).await;
    for (cid, ended) in cids.iter().zip(10..) {
        let reply = Payload::from(dict! { "text": "x".repeat(10_000) });
        let large = Record {
            events: vec![event(2, EventKind::Succeeded(reply.into()))],
            purge_time: Some(at(ended)),
            ..succeeded(*cid)
        };
        assert!(store.record(large).await.unwrap());
    }
    let kept = async |cid| matches!(store.get(cid).await.unwrap(), Stored::Found(_));
    assert!(!kept(cids[0]).await && kept(cids[49]).await);
}
