//! What only the embedded store promises: what is found when a directory is opened again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cidery::codec::struct_pb::{encode_dict, encode_value};
use cidery::engine::store::{Announced, Record, Store as _, Stored};
use cidery::model::error::Violation;
use cidery::model::invocation::{
    EventKind, InReplyTo, Invocation, Later, Progress, Request, RetryPolicy, Shown, State, Terms,
};
use cidery::model::metadata::Metadata;
use cidery::model::payload::{Format, Reply};
use cidery::model::token::TokenHash;
use cidery::store::SqliteStore;
use cidery::{Cid, Error, Payload, Value, dict};

use crate::support::stored::{
    NOW, accepted, at, claimed, event, found, invocation, record, service, started, succeeded,
};
use crate::support::{Folder, document};

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

/// Makes a closed store one of format 1.
fn downgrade(folder: &Folder) {
    let connection = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    connection
        .execute_batch(
            "DROP INDEX of_service; DROP INDEX failures; DROP INDEX awaited; DROP INDEX alone;
             ALTER TABLE invocation DROP COLUMN later; ALTER TABLE invocation DROP COLUMN awaited;
             CREATE INDEX alone ON invocation (service, concurrency_key, wake, id)
                 WHERE state < 2 AND concurrency_key IS NOT NULL;
             DROP TABLE announced;
             DROP INDEX pending; DROP INDEX overdue; DROP INDEX idempotency;
             ALTER TABLE invocation DROP COLUMN leads; ALTER TABLE invocation DROP COLUMN over;
             CREATE UNIQUE INDEX idempotency ON invocation (service, idempotency_key) WHERE idempotency_key IS NOT NULL;
             CREATE INDEX pending ON invocation (service, wake) WHERE state < 2;
             PRAGMA user_version = 1;",
        )
        .unwrap();
}

/// Names of tables, columns and indexes, with the conditions of indexes.
fn shape(folder: &Folder) -> Vec<String> {
    let connection = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    let select = "SELECT m.name || '.' || c.name || ' ' || c.type || c.\"notnull\" || coalesce(c.dflt_value, '')
             FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'
         UNION ALL SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1";
    let mut select = connection.prepare(select).unwrap();
    let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let spaced = rows.map(|row| {
        row.unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    });
    spaced.collect()
}

/// What an earlier version wrote is brought to this format, and what waits for its key still waits.
#[tokio::test]
async fn a_store_of_format_1_becomes_one_of_this_format() {
    let folder = Folder::new("store");
    let mut cids = Vec::new();
    {
        let store = SqliteStore::open(folder.path()).unwrap();
        for due in [3, 1, 2] {
            let mut one = invocation("a", at(due), dict! {});
            Arc::make_mut(&mut one.request).terms.concurrency_key = Some("x".to_owned());
            cids.push(one.request.cid);
            store.accept(one).await.unwrap();
        }
        cids.push(accepted(&store, "a", at(4)).await);
    }
    let fresh = shape(&folder);
    downgrade(&folder);
    assert_ne!(shape(&folder), fresh);
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(claimed(&store, "a", at(9), 9).await, [cids[1], cids[3]]);
    assert!(store.record(succeeded(cids[1])).await.unwrap());
    assert_eq!(claimed(&store, "a", at(9), 9).await, [cids[2]]);
    drop(store);
    assert_eq!(shape(&folder), fresh);
}

/// Whatever happens in whatever order, with keys and without: what may be claimed is the same in both stores.
#[tokio::test]
async fn both_stores_hand_out_the_same() {
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
        // No two are due at the same instant: who comes first then is each store's own affair.
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
                    (ended.due, ended.wake, ended.end_time) = (due, due, None);
                    (ended.purge_time, ended.tombstone_until) = (None, None);
                    ended.events.pop();
                }
                assert!(memory.record(ended.clone()).await.unwrap());
                assert!(disk.record(ended).await.unwrap());
            }
        }
        for name in ["a", "b"].map(service) {
            assert_eq!(memory.pending(&name), disk.pending(&name), "step {step}");
        }
    }
}

/// What removal leaves free is given back to the disk.
#[tokio::test]
async fn a_store_becomes_smaller_again() {
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

/// As `docs/store.md` says it is copied while a node runs.
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
async fn a_directory_is_one_processs_and_one_programs() {
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
        "no database, and long enough to be looked at as one".repeat(100),
    )
    .unwrap();
    let error = SqliteStore::open(&inner).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE", "{error}");
}

/// A store that format 1 left behind, closed in order. It must open for ever: it is never written anew.
/// (What `whatever_is_written_is_read_as_it_was` writes, as it was then.)
const KEPT: [&str; 3] = [
    "tests/fixtures/store_v1/cidery.db",
    "tests/fixtures/store_v2/cidery.db",
    "tests/fixtures/store_v3/cidery.db",
];

/// Something of everything that a store can hold. Never changed: it is what the fixture was made of.
fn something_of_everything() -> Vec<Invocation> {
    let reply = Reply {
        payload: document("n,name\r\n1,Alexis\r\n", Format::Csv),
        metadata: Metadata::new(),
    };
    let violation = Violation::new("/n", "REQUIRED", "is required");
    let failed = Error::invalid_argument("INPUT_INVALID", "wrong").with_violation(violation);
    let over = |reason| Error::aborted(reason, "over");
    let (json, text) = (
        document("{\"n\":1.10}", Format::Json),
        document("text", Format::Text),
    );
    vec![
        pending(),
        ended(2, json, EventKind::Succeeded(reply)),
        ended(3, text, EventKind::Failed(failed)),
        ended(4, Payload::empty(), EventKind::Cancelled(over("CANCELLED"))),
        ended(5, Payload::empty(), EventKind::Expired(over("EXPIRED"))),
    ]
}

fn cid(n: u8) -> Cid {
    Cid::parse(&format!("01a20cf5-6921-7416-b07f-fefff93a89{n:02x}")).unwrap()
}

fn ended(n: u8, input: Payload, kind: EventKind) -> Invocation {
    let request = Request::new(cid(n), service("order.place"), input, NOW);
    let mut ended = Invocation::accepted(request, 1);
    (ended.state, ended.attempts) = (kind.terminal_state().unwrap(), 1);
    (ended.first_attempt_time, ended.end_time) = (Some(NOW), Some(at(9)));
    ended.purge_time = Some(at(1_000_000));
    ended.events.push(event(2, kind));
    ended
}

/// One that waits for its second attempt, under all terms there are.
fn pending() -> Invocation {
    let input = encode_dict(&dict! { "cust_id": 1, "name": "Żółw" }).unwrap();
    let input = Payload::Struct(input);
    let mut request = Request::new(cid(1), service("customer.get"), input, NOW);
    request.response_format = Some(Format::Csv);
    request.metadata.insert("tenant", "a");
    request.attempt_timeout = Some(Duration::from_millis(1_500));
    (request.parent, request.root, request.terms) = (Some(cid(2)), cid(2), terms());
    let mut pending = Invocation::accepted(request, 1);
    (pending.due, pending.state) = (at(50), State::Pending { started: true });
    (pending.attempts, pending.first_attempt_time) = (1, Some(at(1)));
    let failure = Error::unavailable("CRM_DOWN", "no answer")
        .with_retry_after(Duration::from_secs(2))
        .with_fact("host", "crm");
    pending.last_failure = Some(failure.clone());
    pending.progress = Some(Arc::new(Shown {
        progress: Progress {
            fraction: Some(0.5),
            message: "half".to_owned(),
            value: Some(Value::Text("of it".into())),
        },
        attempt: 1,
        number: 2,
        time: at(2),
    }));
    let item = Payload::Any(encode_value(&Value::Int(7)).unwrap());
    let due = pending.due;
    pending.events.extend([
        event(2, started()),
        event(3, EventKind::Item(item)),
        event(4, EventKind::RetryScheduled { failure, due }),
    ]);
    pending
}

fn terms() -> Terms {
    Terms {
        start_time: Some(at(1)),
        expire_time: Some(at(100)),
        deadline: Some(at(200)),
        retry_policy: Some(RetryPolicy {
            max_attempts: 7,
            initial_interval: Duration::from_millis(250),
            multiplier: 1.5,
            max_interval: Duration::from_secs(60),
        }),
        hold: true,
        callbacks: vec![service("audit.record"), service("audit.mail")],
        failure_callbacks: vec![service("audit.alarm")],
        retention: Some(Duration::from_secs(3_600)),
        idempotency_key: Some("order-1".to_owned()),
        concurrency_key: Some("customer-1".to_owned()),
        at_most_once: false,
        in_reply_to: Some(InReplyTo {
            cid: cid(2),
            service: service("order.place"),
            attempt: 3,
        }),
        retry_of: Some(cid(3)),
    }
}

/// All that is in an invocation, but where in the code its errors were made.
fn told(all: &Invocation) -> Vec<String> {
    let lines = format!("{all:#?}");
    let lines = lines
        .lines()
        .filter(|line| !line.trim_start().starts_with("location: "));
    lines.map(ToOwned::to_owned).collect()
}

async fn write(store: &SqliteStore) {
    for all in something_of_everything() {
        let accepted = Invocation {
            events: all.events[..1].to_vec(),
            state: State::ACCEPTED,
            ..all.clone()
        };
        store.accept(accepted).await.unwrap();
        let record = Record {
            cid: all.request.cid,
            state: all.state,
            attempts: all.attempts,
            losses: all.losses,
            due: all.due,
            wake: all.wake(),
            over: None,
            first_attempt_time: all.first_attempt_time,
            events: all.events[1..].to_vec(),
            progress: all.progress,
            last_failure: all.last_failure,
            end_time: all.end_time,
            purge_time: all.purge_time,
            tombstone_until: all.purge_time,
            followed_by: Vec::new(),
            later: None,
            unclaimed: false,
        };
        assert!(store.record(record).await.unwrap());
    }
    let removed = accepted(store, "removed", NOW).await;
    assert!(store.record(succeeded(removed)).await.unwrap());
    assert_eq!(store.purge(at(10), 10).await.unwrap(), 1);
}

/// All that was written is read as it was written.
async fn assert_whole(store: &SqliteStore) {
    for all in something_of_everything() {
        let found = found(store, all.request.cid).await;
        assert_eq!(told(&found), told(&all));
    }
    assert_eq!(store.pending(&service("customer.get")), 1);
    let key = store.with_key(service("customer.get"), "order-1".to_owned());
    let first = &something_of_everything()[0];
    assert_eq!(key.await.unwrap(), Some(first.request.cid));
    assert_eq!(
        claimed(store, "customer.get", at(50), 9).await,
        [first.request.cid]
    );
}

#[tokio::test]
async fn whatever_is_written_is_read_as_it_was() {
    let folder = Folder::new("store");
    write(&SqliteStore::open(folder.path()).unwrap()).await;
    assert_whole(&SqliteStore::open(folder.path()).unwrap()).await;
}

/// What is in the fixture of format 2 beside that.
fn declared() -> Announced {
    Announced {
        service: service("order.place"),
        hash: "0011223344556677".to_owned(),
        first_time: at(1),
        last_time: at(2),
        declaration: b"declared".to_vec(),
    }
}

/// What is in the fixture of format 3 beside that: one whose outcome is awaited.
async fn write_awaited(store: &SqliteStore) {
    let mut one = invocation("order.approve", NOW, dict! {});
    Arc::make_mut(&mut one.request).cid = cid(99);
    store.accept(one).await.unwrap();
    claimed(store, "order.approve", NOW, 1).await;
    let awaited = Record {
        due: at(60),
        wake: at(60),
        later: Some(awaited()),
        ..record(cid(99), State::Pending { started: true }, started())
    };
    assert!(store.record(awaited).await.unwrap());
}

fn awaited() -> Later {
    Later::awaited(TokenHash([7; 32]))
}

/// The same is written and read today.
#[tokio::test]
async fn what_is_awaited_is_read_as_it_was_written() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    write_awaited(&store).await;
    let found = found(&store, cid(99)).await;
    assert!(found.waits_for_completion());
    assert_eq!(found.later, Some(awaited()));
}

/// What a version wrote opens in all that follow, and all that was in it is there.
#[tokio::test]
async fn stores_of_each_format_open() {
    for kept in KEPT {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(kept);
        let folder = Folder::new("store");
        std::fs::copy(&kept, folder.path().join("cidery.db")).unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        assert_eq!(store.generation(), 2);
        assert_whole(&store).await;
        if !kept.ends_with("store_v1/cidery.db") {
            assert_eq!(store.announced().await.unwrap(), [declared()]);
        }
        if kept.ends_with("store_v3/cidery.db") {
            assert_eq!(found(&store, cid(99)).await.later, Some(awaited()));
        }
    }
}

/// What only says that it has this format is refused before anything is accepted.
#[tokio::test]
async fn a_store_that_lacks_something_of_its_format_is_refused() {
    let folder = Folder::new("store");
    drop(SqliteStore::open(folder.path()).unwrap());
    let connection = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    let drop_it = "DROP INDEX overdue; ALTER TABLE invocation DROP COLUMN over";
    connection.execute_batch(drop_it).unwrap();
    drop(connection);
    let error = SqliteStore::open(folder.path()).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE", "{error}");
    assert!(error.message().contains("invocation.over"), "{error}");
}
