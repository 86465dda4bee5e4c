//! The embedded store alone: reopening, crashes, copies, limits of the disk, damage, and group commit.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cidery::engine::store::{ClaimLimit, Filter, Record, Store as _, Stored};
use cidery::model::invocation::{EventKind, State};
use cidery::store::{SqliteOptions, SqliteStore};
use cidery::{Kind, Node, Principal, dict};

use crate::support::raw_worker::{RawWorker, hello};
use crate::support::stored::{
    NOW, accepted, at, claimed, found, group, invocation, owned_by, record, service, succeeded,
    with_request,
};
use crate::support::{Folder, TestNode};

#[tokio::test]
async fn answered_writes_are_there_after_reopening() {
    let folder = Folder::new("store");
    let (pending, started, ended, generation) = {
        let store = SqliteStore::open(folder.path()).unwrap();
        let pending = accepted(&store, "a", at(5)).await;
        let started = accepted(&store, "a", NOW).await;
        let ended = accepted(&store, "b", NOW).await;
        claimed(&store, "a", NOW, 10).await;
        claimed(&store, "b", NOW, 10).await;
        assert!(store.record(succeeded(ended)).await.unwrap());
        (pending, started, ended, store.first_generation())
    };
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(store.first_generation(), generation + 1);
    assert_eq!(store.pending_count(&service("a")), 2);
    assert_eq!(store.services_with_pending().await.unwrap(), [service("a")]);
    let now = at(5);
    assert_eq!(claimed(&store, "a", now, 10).await, [started, pending]);
    let found = found(&store, ended).await;
    assert_eq!(found.state, State::Succeeded);
    assert_eq!(found.events.len(), 3);
    assert!(found.outcome().unwrap().is_ok());
}

#[tokio::test]
async fn what_was_retried_is_stored_as_long_as_the_invocation() {
    let folder = Folder::new("store");
    let rows = || {
        let connection = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
        let count = connection.query_row("SELECT count(*) FROM retry", [], |row| row.get(0));
        count.unwrap_or(-1)
    };
    let store = SqliteStore::open(folder.path()).unwrap();
    let first = accepted(&store, "a", NOW).await;
    let failed = EventKind::Failed(cidery::Error::internal("BROKEN", "broken"));
    let failed = record(first, State::Failed, failed);
    assert!(store.record(failed).await.unwrap());
    let retry = with_request(invocation("a", NOW, dict! {}), |request| {
        request.terms.retry_of = Some(first);
    });
    let cid = retry.request.cid;
    store.accept(retry).await.unwrap();
    drop(store);
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(
        (found(&store, first).await.retried_as, rows()),
        (Some(cid), 1)
    );
    assert!(store.remove(first).await.unwrap());
    assert_eq!(rows(), 0);
}

#[tokio::test]
async fn attempts_after_a_crash_are_counted_until_one_is_recorded() {
    let folder = Folder::new("store");
    let cid = {
        let store = SqliteStore::open(folder.path()).unwrap();
        accepted(&store, "a", NOW).await
    };
    let claim = async |store: &SqliteStore| {
        let claim = store
            .claim(&service("a"), NOW, ClaimLimit::invocations(1))
            .await
            .unwrap();
        let invocation = claim.invocations.into_iter().next().unwrap();
        (invocation.crash_count, invocation.recovered)
    };
    // The store was closed cleanly: no attempt has to be recorded.
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(claim(&store).await, (0, false));
    let copy = Folder::new("store");
    unclean_copy(&folder, &copy);
    drop(store);
    let store = SqliteStore::open(copy.path()).unwrap();
    assert_eq!(claim(&store).await, (0, true));
    store.record_attempts(vec![cid]).await.unwrap();
    let again = Folder::new("store");
    unclean_copy(&copy, &again);
    let store = SqliteStore::open(again.path()).unwrap();
    assert_eq!(claim(&store).await, (1, true));
    let ended = Record {
        expected_attempts: None,
        ..succeeded(cid)
    };
    assert!(store.record(ended).await.unwrap());
    assert_eq!(found(&store, cid).await.crash_count, 0);
}

/// Copies the files of an open store, as a crash would leave them.
fn unclean_copy(from: &Folder, to: &Folder) {
    for file in ["cidery.db", "cidery.db-wal"] {
        std::fs::copy(from.path().join(file), to.path().join(file)).unwrap();
    }
}

/// Whether it was closed or crashed, what is pending, or ran, is pending again.
#[tokio::test]
async fn pending_invocations_are_counted_by_owner_when_the_store_is_opened() {
    let (folder, crashed) = (Folder::new("store"), Folder::new("crashed"));
    let [anna, berta] = ["anna", "berta"].map(Principal::known);
    let store = SqliteStore::open(folder.path()).unwrap();
    let mut cids = Vec::new();
    for (owner, due) in [(&anna, NOW), (&anna, at(9)), (&anna, NOW), (&berta, NOW)] {
        let one = owned_by(owner, invocation("a", due, dict! {}));
        cids.push(one.request.cid);
        store.accept(one).await.unwrap();
    }
    let (group, members) = group(2);
    let members = members.into_iter().map(|one| owned_by(&berta, one));
    let stored = store.accept_group(owned_by(&berta, group), members.collect());
    stored.await.unwrap();
    accepted(&store, "a", NOW).await;
    assert_eq!(claimed(&store, "a", NOW, 9).await.len(), 5);
    let ended = Record {
        owner: Some(anna.clone()),
        ..succeeded(cids[0])
    };
    assert!(store.record(ended).await.unwrap());
    let counts = |store: &SqliteStore| [&anna, &berta].map(|owner| store.pending_count_of(owner));
    // Four are claimed.
    assert_eq!(counts(&store), [1, 1]);
    unclean_copy(&folder, &crashed);
    drop(store);
    for folder in [&folder, &crashed] {
        let store = SqliteStore::open(folder.path()).unwrap();
        assert_eq!(counts(&store), [2, 3]);
    }
}

/// A file of the same format that was written before keys had quotas.
#[tokio::test]
async fn a_store_without_quotas_of_keys_is_opened() {
    let folder = Folder::new("store");
    drop(SqliteStore::open(folder.path()).unwrap());
    let connection = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    let insert = "ALTER TABLE api_key DROP COLUMN quota;
         INSERT INTO api_key (id, secret_hash, principal, rights, create_time)
         VALUES ('k', zeroblob(32), 'anna', x'', 0)";
    connection.execute_batch(insert).unwrap();
    connection.close().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let keys = store.api_keys().await.unwrap();
    assert_eq!(keys.len(), 1);
    assert!(keys[0].key.quota.is_none());
}

/// A random sequence of operations, with concurrency keys and without.
#[tokio::test]
async fn both_stores_claim_the_same_invocations() {
    use cidery::store::MemoryStore;
    let folder = Folder::new("store");
    let (memory, disk) = (
        MemoryStore::new(),
        SqliteStore::open(folder.path()).unwrap(),
    );
    let mut random = fastrand::Rng::with_seed(7);
    let mut running = Vec::new();
    for step in 0..1_500 {
        let name = ["a", "b"][random.usize(0..2)];
        // No two are due at the same instant: the order of equal instants is not specified.
        let due = at(random.i64(0..100))
            .checked_add(Duration::from_nanos(step))
            .unwrap();
        match random.u8(0..4) {
            0 | 1 => {
                let mut one = invocation(name, due, dict! {});
                let key = ["x", "y", "z"]
                    .get(random.usize(0..4))
                    .map(ToString::to_string);
                Arc::make_mut(&mut one.request).terms.concurrency_key = key;
                one.due = due;
                memory.accept(one.clone()).await.unwrap();
                disk.accept(one).await.unwrap();
            }
            2 => {
                let (now, max) = (at(random.i64(0..100)), random.usize(1..4));
                let one = claimed(&memory, name, now, max).await;
                assert_eq!(claimed(&disk, name, now, max).await, one, "step {step}");
                running.extend(one);
            }
            _ if running.is_empty() => {}
            _ => {
                let cid = running.swap_remove(random.usize(0..running.len()));
                let mut ended = succeeded(cid);
                if random.bool() {
                    ended.state = State::Pending { started: true };
                    (ended.due, ended.next_wakeup, ended.end_time) = (due, due, None);
                    (ended.purge_time, ended.tombstone_until) = (None, None);
                    ended.events.pop();
                }
                assert!(memory.record(ended.clone()).await.unwrap());
                assert!(disk.record(ended).await.unwrap());
            }
        }
        for name in ["a", "b"].map(service) {
            assert_eq!(
                memory.pending_count(&name),
                disk.pending_count(&name),
                "step {step}"
            );
        }
    }
}

#[tokio::test]
async fn free_pages_are_returned_to_the_disk() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    let large = "x".repeat(1 << 20);
    let mut cids = Vec::new();
    for _ in 0..40 {
        let one = invocation("a", NOW, dict! { "large": large.as_str() });
        cids.push(one.request.cid);
        store.accept(one).await.unwrap();
    }
    claimed(&store, "a", NOW, cids.len()).await;
    for cid in cids {
        assert!(store.record(succeeded(cid)).await.unwrap());
    }
    let pages = || {
        let connection = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
        let count = connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0));
        count.unwrap()
    };
    let full = pages();
    for _ in 0..4 {
        store.purge(at(1_000), 1_000).await.unwrap();
    }
    assert!(pages() < full / 2, "{} of {full}", pages());
}

#[tokio::test]
async fn new_work_is_refused_if_too_little_of_the_disk_is_free() {
    let folder = Folder::new("store");
    let options = SqliteOptions {
        min_free_bytes: u64::MAX,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(folder.path(), options).unwrap();
    let refused = store.accept(invocation("a", NOW, dict! {})).await;
    assert_eq!(refused.unwrap_err().reason(), "STORE_FULL");
}

/// The copy is made as `docs/store.md` describes it.
#[tokio::test]
async fn a_copy_of_a_running_store_is_a_store() {
    let (folder, copy) = (Folder::new("store"), Folder::new("copy"));
    let store = SqliteStore::open(folder.path()).unwrap();
    let (pending, ended) = (
        accepted(&store, "a", at(5)).await,
        accepted(&store, "a", NOW).await,
    );
    claimed(&store, "a", NOW, 1).await;
    assert!(store.record(succeeded(ended)).await.unwrap());
    let beside = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    let target = copy.path().join("cidery.db");
    let target = target.to_str().unwrap();
    beside.execute("VACUUM INTO ?1", [target]).unwrap();
    let after = accepted(&store, "a", NOW).await;
    let restored = SqliteStore::open(copy.path()).unwrap();
    assert_eq!(found(&restored, ended).await.state, State::Succeeded);
    assert_eq!(claimed(&restored, "a", at(5), 9).await, [pending]);
    assert!(matches!(
        restored.get(after).await.unwrap(),
        Stored::Unknown
    ));
}

#[tokio::test]
async fn a_directory_belongs_to_one_process_and_one_program() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("store");
    let inner = folder.path().join("data");
    let store = SqliteStore::open(&inner).unwrap();
    let error = SqliteStore::open(&inner).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE");
    assert!(error.message().contains("another process"), "{error}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
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
    let before = std::fs::read(&database).unwrap();
    let error = SqliteStore::open(&inner).unwrap_err();
    assert!(error.message().contains("format 99"), "{error}");
    assert!(
        std::fs::read(&database).unwrap() == before,
        "a newer file was touched"
    );
    set("PRAGMA user_version = 1; PRAGMA application_id = 7");
    let error = SqliteStore::open(&inner).unwrap_err();
    assert!(error.message().contains("another program"), "{error}");
    let theirs = folder.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    let foreign = theirs.join("cidery.db");
    let connection = rusqlite::Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE t (n)").unwrap();
    drop(connection);
    let before = std::fs::read(&foreign).unwrap();
    let error = SqliteStore::open(&theirs).unwrap_err();
    assert!(error.message().contains("another program"), "{error}");
    assert!(
        std::fs::read(&foreign).unwrap() == before,
        "a foreign file was touched"
    );
    let wal = inner.join("cidery.db-wal");
    let _ = std::fs::remove_file(wal);
    std::fs::write(
        &database,
        "no database, but long enough for the header of one".repeat(100),
    )
    .unwrap();
    let error = SqliteStore::open(&inner).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE", "{error}");
}

/// A damaged invocation does not keep others from being claimed, listed or expired.
#[tokio::test]
async fn damaged_invocations_are_skipped() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    let mut cids = Vec::new();
    for _ in 0..3 {
        let mut next = invocation("a", NOW, dict! {});
        let request = Arc::make_mut(&mut next.request);
        request.terms.expire_time = Some(at(5));
        cids.push(request.cid);
        store.accept(next).await.unwrap();
    }
    let other = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    let damage = "UPDATE invocation SET request = x'ff' WHERE cid = ?1";
    other.execute(damage, [cids[0].as_bytes()]).unwrap();
    let list = store.list(Filter::default(), None, 10).await.unwrap();
    let listed = list.invocations.iter().map(|found| found.request.cid);
    assert_eq!(listed.collect::<Vec<_>>(), [cids[2], cids[1]]);
    let overdue = store.expired(at(5), 10).await.unwrap();
    assert_eq!(overdue.len(), 2);
    assert_eq!(claimed(&store, "a", NOW, 1).await, [cids[1]]);
    assert!(store.record(succeeded(cids[1])).await.unwrap());
    assert_eq!(claimed(&store, "a", NOW, 9).await, [cids[2]]);
    assert!(store.get(cids[0]).await.is_err());
}

/// An unknown state is damage: it must not be taken for a failure.
#[tokio::test]
async fn an_unknown_state_is_reported_as_damage() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    let mut cids = Vec::new();
    for _ in 0..2 {
        cids.push(accepted(&store, "a", NOW).await);
        assert_eq!(claimed(&store, "a", NOW, 1).await.len(), 1);
        assert!(store.record(succeeded(cids[cids.len() - 1])).await.unwrap());
    }
    assert!(store.remove(cids[1]).await.unwrap());
    let other = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    for table in ["outcome", "tombstone"] {
        let damage = format!("UPDATE {table} SET state = 9");
        assert_eq!(other.execute(&damage, []).unwrap(), 1);
    }
    for cid in cids.clone() {
        let error = store.get(cid).await.unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss);
        assert_eq!(error.reason(), "STORE_DAMAGED", "{error}");
    }
    // The tombstone is damaged: whether the invocation was accepted before is not known.
    let mut repeated = invocation("a", NOW, dict! {});
    Arc::make_mut(&mut repeated.request).cid = cids[1];
    let error = store.accept(repeated).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_DAMAGED", "{error}");
    let list = store.list(Filter::default(), None, 10).await.unwrap();
    assert_eq!(list.invocations.len(), 0);
}

/// A service that writes without pause does not keep the writes of others from being committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_are_scheduled_round_robin_at_the_writer() {
    let folder = Folder::new("store");
    let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
    let large = "x".repeat(1 << 20);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers = (0..24).map(|_| {
        let (store, large, stop) = (Arc::clone(&store), large.clone(), Arc::clone(&stop));
        crate::support::raw::spawn(async move {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let next = invocation("a", NOW, dict! { "text": large.clone() });
                store.accept(next).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..10 {
        let small = accepted(&*store, "b", NOW);
        let small = tokio::time::timeout(crate::support::PATIENCE, small).await;
        small.expect("the write of another service is never committed");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
}

/// The number of commits in the write-ahead log. The last frame of a commit has the size of the database in its header.
fn commits(folder: &Folder) -> usize {
    let log = std::fs::read(folder.path().join("cidery.db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let (page_size, salts) = (usize::try_from(number(8)).unwrap(), &log[16..24]);
    let frames = log[32..].chunks_exact(24 + page_size);
    let current = frames.take_while(|frame| &frame[8..16] == salts);
    current.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn the_services_of_a_hello_are_remembered_in_one_commit() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    let node = TestNode::start(Node::builder().store(store)).await;
    // A read transaction keeps the log from being restarted.
    let reader = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    let begin = "BEGIN; SELECT count(*) FROM announced";
    reader.execute_batch(begin).unwrap();
    let before = commits(&folder);
    let mut hello = hello("a.0");
    let declaration = hello.services[0].clone();
    hello.services.extend((1..200).map(|n| {
        let mut next = declaration.clone();
        next.name = format!("a.{n}");
        next
    }));
    let _worker = RawWorker::connect(node.address(), hello).await;
    assert_eq!(commits(&folder) - before, 1);
    let store = node.handle.invoker().store();
    assert_eq!(store.declarations().await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_full_view_contains_the_first_children() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    let store = node.handle.invoker().store();
    let parent = accepted(store, "cidery.echo", at(9)).await;
    let mut children = Vec::new();
    for _ in 0..101 {
        let child = with_request(invocation("cidery.echo", at(9), dict! {}), |request| {
            (request.parent, request.root) = (Some(parent), parent);
        });
        children.push(child.request.cid.to_string());
        store.accept(child).await.unwrap();
    }
    let found = node.client.explain(parent).await.unwrap();
    assert_eq!(found.child_cids, children[..100]);
}

#[tokio::test]
async fn closing_writes_what_is_queued() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    for _ in 0..100 {
        let mut accept = store.accept(invocation("a", NOW, dict! {}));
        // The first poll queues it; then its caller is dropped.
        let _ = futures_util::poll!(&mut accept);
    }
    drop(store);
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(store.pending_count(&service("a")), 100);
    let claim = store
        .claim(&service("a"), NOW, ClaimLimit::invocations(1))
        .await
        .unwrap();
    assert!(!claim.invocations[0].recovered, "it was closed cleanly");
}
