//! What someone who can write to the file, and has no key, cannot do.

use cidery::engine::store::{Record, Store as _};
use cidery::model::invocation::{AnyCaseText, EventKind, State};
use cidery::store::{SqliteOptions, SqliteStore, StoreKeys};
use cidery::{Cid, Error, dict};
use rusqlite::Connection;

use super::{KEY, database, opened};
use crate::support::Folder;
use crate::support::stored::{
    NOW, claimed, found, invocation, record, service, started, succeeded,
};

/// A store, closed, with two invocations of one service that had several attempts, and one of another service.
async fn filled() -> (Folder, [Cid; 3]) {
    let folder = Folder::new("tampering");
    let store = opened(&folder, KEY);
    let mut cids = Vec::new();
    for name in ["a", "a", "b"] {
        let new = invocation(name, NOW, dict! { "text": "x" });
        let cid = new.request.cid;
        cids.push(cid);
        store.accept(new).await.unwrap();
        for _ in 0..2 {
            let error = Error::unavailable("DOWN", "is down");
            claimed(&store, name, NOW, 1).await;
            let retried = Record {
                service: service(name),
                last_failure: Some(error),
                ..record(cid, State::Pending { started: true }, started())
            };
            assert!(store.record(retried).await.unwrap());
        }
    }
    (folder, cids.try_into().unwrap())
}

/// Changes the file with a statement in which `{0}` to `{2}` are the CIDs.
fn change(folder: &Folder, cids: &[Cid; 3], statement: &str) {
    let mut sql = statement.to_owned();
    for (n, cid) in cids.iter().enumerate() {
        let hex = cid.to_string().replace('-', "");
        sql = sql.replace(
            &format!("{{{n}}}"),
            &format!("(SELECT id FROM invocation WHERE cid = x'{hex}')"),
        );
    }
    database(folder).execute_batch(&sql).unwrap();
}

/// What a store answers for an invocation.
async fn reason(store: &SqliteStore, cid: Cid) -> String {
    match store.get(cid).await {
        Ok(_) => "fine".to_owned(),
        Err(error) => error.reason().to_owned(),
    }
}

#[tokio::test]
async fn a_blob_that_is_moved_is_refused() {
    let copied = |table: &str, from: &str, to: &str| {
        format!(
            "UPDATE {table} SET {to} = (SELECT {from} FROM {table} WHERE id = {{0}}) WHERE id = {{1}}"
        )
    };
    let moved = [
        copied("invocation", "request", "request"),
        copied("pending", "events", "events"),
        copied("pending", "last_failure", "last_failure"),
        // To another column of the same invocation.
        "UPDATE pending SET progress = last_failure WHERE id = {1}".to_owned(),
        "UPDATE pending SET last_failure = events WHERE id = {1}".to_owned(),
        // To another service.
        "UPDATE invocation SET service = (SELECT service FROM invocation WHERE id = {2}) WHERE id = {1};
         UPDATE pending SET service = (SELECT service FROM pending WHERE id = {2}) WHERE id = {1}"
            .to_owned(),
        // Parts of the events, twice.
        "UPDATE pending SET events = CAST(events || events AS BLOB) WHERE id = {1}".to_owned(),
        "UPDATE pending SET events = CAST(substr(events, length(events) / 2 + 1) ||
             substr(events, 1, length(events) / 2) AS BLOB) WHERE id = {1}"
            .to_owned(),
        // A bit.
        "UPDATE invocation SET request = CAST(substr(request, 1, length(request) - 1) || x'00' AS BLOB) WHERE id = {1}"
            .to_owned(),
    ];
    for statement in moved {
        let (folder, cids) = filled().await;
        change(&folder, &cids, &statement);
        let store = opened(&folder, KEY);
        assert_eq!(
            reason(&store, cids[1]).await,
            "STORE_DAMAGED",
            "{statement}"
        );
        for other in [cids[0], cids[2]] {
            assert_eq!(reason(&store, other).await, "fine", "{statement}");
        }
        // It does not run with what is not its own; the others do.
        let names = claimed(&store, "a", NOW, 9).await;
        assert_eq!(names, [cids[0]], "{statement}");
    }
}

/// A store that was written in part before its encryption was turned on.
async fn half_plain() -> (Folder, [Cid; 2]) {
    let folder = Folder::new("tampering");
    let plain = invocation("a", NOW, dict! { "text": "plain" });
    let both = invocation("a", NOW, dict! { "text": "both" });
    let cids = [plain.request.cid, both.request.cid];
    {
        let store = SqliteStore::open(folder.path()).unwrap();
        store.accept(plain).await.unwrap();
        store.accept(both).await.unwrap();
        assert_eq!(claimed(&store, "a", NOW, 9).await, cids);
        let pending = record(cids[1], State::Pending { started: true }, started());
        assert!(store.record(pending).await.unwrap());
    }
    let store = opened(&folder, KEY);
    assert_eq!(claimed(&store, "a", NOW, 9).await, cids);
    let failed = EventKind::Failed(Error::internal("BROKEN", "is broken"));
    assert!(
        store
            .record(record(cids[1], State::Failed, failed))
            .await
            .unwrap()
    );
    (folder, cids)
}

#[tokio::test]
async fn encryption_can_be_turned_on_later() {
    let (folder, cids) = half_plain().await;
    let store = opened(&folder, KEY);
    assert_eq!(found(&store, cids[0]).await.state, State::ACCEPTED);
    let both = found(&store, cids[1]).await;
    assert_eq!((both.events.len(), both.state), (5, State::Failed));
    let filter = cidery::engine::store::Filter {
        failure_text: Some(AnyCaseText::new("IS BROKEN")),
        ..cidery::engine::store::Filter::default()
    };
    let page = store.list(filter, None, 9).await.unwrap();
    assert_eq!(page.invocations.len(), 1);
}

#[tokio::test]
async fn a_node_that_is_told_to_reads_nothing_plain() {
    let (folder, cids) = half_plain().await;
    let strict = || {
        let options = SqliteOptions {
            keys: Some(StoreKeys::parse(KEY).unwrap()),
            encrypted_only: true,
            ..SqliteOptions::default()
        };
        SqliteStore::open_with(folder.path(), options).unwrap()
    };
    let store = strict();
    for cid in cids {
        assert_eq!(reason(&store, cid).await, "STORE_DAMAGED");
    }
    let sealed = invocation("a", NOW, dict! {});
    let cid = sealed.request.cid;
    store.accept(sealed).await.unwrap();
    assert_eq!(claimed(&store, "a", NOW, 9).await, [cid]);
    assert!(store.record(succeeded(cid)).await.unwrap());
    drop(store);
    let plant = |file: &Connection| {
        let input =
            "UPDATE invocation SET request = (SELECT request FROM invocation ORDER BY id LIMIT 1)
             WHERE id = (SELECT max(id) FROM invocation)";
        file.execute(input, []).unwrap()
    };
    assert_eq!(reason(&strict(), cid).await, "fine");
    assert_eq!(plant(&database(&folder)), 1);
    assert_eq!(reason(&strict(), cid).await, "STORE_DAMAGED");
    // Without that option, the plain request of another one is read.
    assert_eq!(reason(&opened(&folder, KEY), cid).await, "fine");
}
