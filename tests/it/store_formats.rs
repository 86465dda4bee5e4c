//! Formats of the embedded store: every version opens the stores of all earlier ones.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cidery::codec::struct_pb::{encode_dict, encode_value};
use cidery::engine::store::{Acceptance, ClaimLimit, Record, Store as _, StoredDeclaration};
use cidery::model::error::Violation;
use cidery::model::invocation::{
    AsyncCompletion, EventKind, Group, Grouping, InReplyTo, Invocation, Member, OnExhausted,
    Progress, ProgressRecord, Request, RetryPolicy, State, Terms,
};
use cidery::model::metadata::Metadata;
use cidery::model::payload::{Format, Reply};
use cidery::model::token::TokenHash;
use cidery::store::SqliteStore;
use cidery::{Cid, Error, Payload, ServiceName, Value, dict};

use crate::support::stored::{
    NOW, accepted, at, claimed, event, found, invocation, record, service, started, succeeded,
};
use crate::support::{Folder, document};

/// Turns a closed store of pending invocations into one of format 1.
fn downgrade(folder: &Folder) {
    let connection = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    connection
        .execute_batch(
            "ALTER TABLE invocation RENAME TO older;
             CREATE TABLE invocation (
                 id INTEGER PRIMARY KEY, cid BLOB NOT NULL UNIQUE, service INTEGER NOT NULL REFERENCES service (id),
                 state INTEGER NOT NULL, due INTEGER NOT NULL, wake INTEGER NOT NULL,
                 cancel_requested INTEGER NOT NULL DEFAULT 0, idempotency_key TEXT, concurrency_key TEXT,
                 accept_time INTEGER NOT NULL, parent BLOB, root BLOB, generation INTEGER NOT NULL,
                 losses INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL,
                 request BLOB NOT NULL, events BLOB, progress BLOB, last_failure BLOB, failure_reason TEXT,
                 first_attempt_time INTEGER, end_time INTEGER, purge_time INTEGER, tombstone_until INTEGER
             ) STRICT;
             INSERT INTO invocation (id, cid, service, state, due, wake, concurrency_key, accept_time, generation,
                     sequence, request)
                 SELECT older.id, cid, older.service, started, due, wake, concurrency_key, accept_time, generation,
                     sequence, request FROM older JOIN pending USING (id);
             DROP TABLE older; DROP TABLE pending; DROP TABLE outcome; DROP TABLE announced;
             DROP TABLE cid_index; DROP TABLE service_index; DROP TABLE purge_queue;
             ALTER TABLE service ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
             UPDATE service SET open = (SELECT count(*) FROM invocation WHERE service = service.id);
             DELETE FROM meta WHERE key = 'indexed';
             CREATE INDEX pending ON invocation (service, wake) WHERE state < 2;
             CREATE INDEX alone ON invocation (service, concurrency_key, wake, id)
                 WHERE state < 2 AND concurrency_key IS NOT NULL;
             CREATE UNIQUE INDEX idempotency ON invocation (service, idempotency_key) WHERE idempotency_key IS NOT NULL;
             CREATE INDEX children ON invocation (parent) WHERE parent IS NOT NULL;
             CREATE INDEX descendants ON invocation (root) WHERE root IS NOT NULL;
             CREATE INDEX purge ON invocation (purge_time) WHERE purge_time IS NOT NULL;
             PRAGMA user_version = 1;",
        )
        .unwrap();
}

/// The columns of all tables, and the definitions of the indexes.
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

/// Invocations that wait for their concurrency key still wait after the migration.
#[tokio::test]
async fn a_store_of_format_1_is_migrated() {
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

/// A cleanly closed store of each format. They must open for ever, and are never regenerated.
/// They contain what `every_field_is_read_as_it_was_written` wrote in that version.
const FIXTURES: [&str; 5] = [
    "tests/fixtures/store_v1/cidery.db",
    "tests/fixtures/store_v2/cidery.db",
    "tests/fixtures/store_v3/cidery.db",
    "tests/fixtures/store_v4/cidery.db",
    "tests/fixtures/store_v5/cidery.db",
];

/// Invocations with every kind of content. Never changed: the fixtures contain them.
fn one_of_each_kind() -> Vec<Invocation> {
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

/// An invocation that waits for its second attempt, with all terms set.
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
        .with_info("host", "crm");
    pending.last_failure = Some(failure.clone());
    pending.progress = Some(Arc::new(ProgressRecord {
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
        on_exhausted: Some(OnExhausted::Hold),
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

/// The lines of an invocation for comparison, without its generation, which is that of the store that reads it, and the
/// code locations of its errors.
fn lines(all: &Invocation) -> Vec<String> {
    let all = Invocation {
        generation: 0,
        ..all.clone()
    };
    let text = format!("{all:#?}");
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("location: "));
    lines.map(ToOwned::to_owned).collect()
}

async fn write(store: &SqliteStore) {
    for all in one_of_each_kind() {
        let accepted = Invocation {
            events: all.events[..1].to_vec(),
            state: State::ACCEPTED,
            ..all.clone()
        };
        store.accept(accepted).await.unwrap();
        let record = Record {
            id: 1,
            generation: 1,
            cid: all.request.cid,
            service: all.request.service.clone(),
            owner: all.request.owner().cloned(),
            state: all.state,
            attempts: all.attempts,
            crash_count: all.crash_count,
            due: all.due,
            next_wakeup: all.next_wakeup(),
            expires_at: None,
            first_attempt_time: all.first_attempt_time,
            events: all.events[1..].to_vec(),
            progress: all.progress,
            last_failure: all.last_failure,
            deferred: all.deferred,
            end_time: all.end_time,
            purge_time: all.purge_time,
            tombstone_until: all.purge_time,
            followed_by: Vec::new(),
            completion: None,
            expected_attempts: Some(0),
        };
        assert!(store.record(record).await.unwrap());
    }
    let removed = accepted(store, "removed", NOW).await;
    assert!(store.record(succeeded(removed)).await.unwrap());
    assert_eq!(store.purge(at(10), 10).await.unwrap(), 1);
}

/// Checks that everything is read as it was written.
async fn assert_whole(store: &SqliteStore) {
    for all in one_of_each_kind() {
        let found = found(store, all.request.cid).await;
        assert_eq!(lines(&found), lines(&all));
    }
    assert_eq!(store.pending_count(&service("customer.get")), 1);
    let key = store.find_by_idempotency_key(service("customer.get"), "order-1".to_owned(), None);
    let first = &one_of_each_kind()[0];
    assert_eq!(key.await.unwrap(), Some(first.request.cid));
    assert_eq!(
        claimed(store, "customer.get", at(50), 9).await,
        [first.request.cid]
    );
}

#[tokio::test]
async fn every_field_is_read_as_it_was_written() {
    let folder = Folder::new("store");
    write(&SqliteStore::open(folder.path()).unwrap()).await;
    assert_whole(&SqliteStore::open(folder.path()).unwrap()).await;
}

/// What the fixtures contain in addition since format 2.
fn declared() -> StoredDeclaration {
    StoredDeclaration {
        service: service("order.place"),
        hash: "0011223344556677".to_owned(),
        first_time: at(1),
        last_time: at(2),
        declaration: b"declared".to_vec(),
        principal: None,
    }
}

/// What the fixtures contain in addition since format 3: an invocation that waits for an outcome from outside.
async fn write_awaited(store: &SqliteStore) {
    let mut one = invocation("order.approve", NOW, dict! {});
    Arc::make_mut(&mut one.request).cid = cid(99);
    store.accept(one).await.unwrap();
    claimed(store, "order.approve", NOW, 1).await;
    let awaited = Record {
        due: at(60),
        next_wakeup: at(60),
        completion: Some(awaited()),
        ..record(cid(99), State::Pending { started: true }, started())
    };
    assert!(store.record(awaited).await.unwrap());
}

fn awaited() -> AsyncCompletion {
    AsyncCompletion::awaited(TokenHash([7; 32]))
}

#[tokio::test]
async fn a_pending_completion_is_read_as_it_was_written() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    write_awaited(&store).await;
    let found = found(&store, cid(99)).await;
    assert!(found.waits_for_completion());
    assert_eq!(found.completion, Some(awaited()));
}

/// What the fixtures contain in addition since format 4: a group with two members, one of which has ended.
async fn write_group(store: &SqliteStore) {
    let mut group = Request::new(cid(50), ServiceName::none(), Payload::empty(), NOW);
    group.grouping = Some(Grouping::Group(Group {
        members: 2,
        on_each: vec![service("audit.each")],
    }));
    let member = |position: u8| {
        let input = Payload::empty();
        let mut member = Request::new(cid(51 + position), service("page.fetch"), input, NOW);
        member.grouping = Some(Grouping::Member(Member {
            group: cid(50),
            position: position.into(),
            on_each: vec![service("audit.each")],
        }));
        Invocation::accepted(member, 1)
    };
    let members = vec![member(0), member(1)];
    let group = Invocation::accepted(group, 1);
    let acceptance = store.accept_group(group, members).await.unwrap();
    assert!(matches!(acceptance, Acceptance::Stored));
    assert!(store.record(succeeded(cid(51))).await.unwrap());
}

/// Checks that the group still waits for its second member, and then is due.
async fn assert_group(store: &SqliteStore) {
    let group = found(store, cid(50)).await;
    assert!(group.waits_for_members());
    assert_eq!(group.open_members, 1);
    assert_eq!(
        group.request.group().unwrap().on_each,
        [service("audit.each")]
    );
    let members = [(0, cid(51)), (1, cid(52))];
    assert_eq!(store.members(cid(50)).await.unwrap(), members);
    let second = found(store, cid(52)).await;
    assert_eq!(second.request.member().unwrap().position, 1);
    let none = ServiceName::none();
    let claim = store
        .claim(&none, at(50), ClaimLimit::invocations(9))
        .await
        .unwrap();
    assert!(claim.invocations.is_empty());
    assert!(store.record(succeeded(cid(52))).await.unwrap());
    let claim = store
        .claim(&none, at(50), ClaimLimit::invocations(9))
        .await
        .unwrap();
    assert_eq!(claim.invocations[0].request.cid, cid(50));
}

#[tokio::test]
async fn a_group_is_read_as_it_was_written() {
    let folder = Folder::new("store");
    write_group(&SqliteStore::open(folder.path()).unwrap()).await;
    assert_group(&SqliteStore::open(folder.path()).unwrap()).await;
}

#[tokio::test]
async fn stores_of_each_format_open() {
    for (format, kept) in (1..).zip(FIXTURES) {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(kept);
        let folder = Folder::new("store");
        std::fs::copy(&kept, folder.path().join("cidery.db")).unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        assert_eq!(store.first_generation(), 2);
        assert_whole(&store).await;
        if format >= 2 {
            assert_eq!(store.declarations().await.unwrap(), [declared()]);
        }
        if format >= 3 {
            assert_eq!(found(&store, cid(99)).await.completion, Some(awaited()));
            assert_eq!(
                store.awaiting_completion_count(&service("order.approve")),
                1
            );
        }
        if format >= 4 {
            assert_group(&store).await;
        }
    }
}

/// It is refused when it is opened, not at the first write.
#[tokio::test]
async fn a_store_that_lacks_a_column_of_its_format_is_refused() {
    let folder = Folder::new("store");
    drop(SqliteStore::open(folder.path()).unwrap());
    let connection = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    let drop_it = "DROP INDEX overdue; ALTER TABLE pending DROP COLUMN over";
    connection.execute_batch(drop_it).unwrap();
    drop(connection);
    let error = SqliteStore::open(folder.path()).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE", "{error}");
    assert!(error.message().contains("pending.over"), "{error}");
}
