//! Damaged pages in the middle of the file: what is readable is listed, claimed and cancelled, and new work is
//! accepted.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::engine::store::{Filter, Store as _};
use cidery::model::call::Call;
use cidery::model::invocation::State;
use cidery::store::SqliteStore;
use cidery::{Cid, Kind, Node, dict};
use futures_util::future::join_all;

use crate::support::stored::{
    NOW, accepted, at, claimed, found, invocation, service, succeeded, with_request,
};
use crate::support::{Folder, TestNode, ended};

/// How many invocations a store is filled with.
const STORED: usize = 600;

/// A store with invocations that are pending, a third of them due and another third expired at `at(5)`, or have
/// succeeded, in turn.
async fn filled(folder: &Folder) -> Vec<Cid> {
    let store = SqliteStore::open(folder.path()).unwrap();
    let mut cids = Vec::new();
    for n in 0..STORED {
        let (name, due) = [
            ("a", NOW),
            ("b", at(3_600_000_000)),
            ("a", at(3_600_000_000)),
        ][n % 3];
        let mut next = invocation(name, due, dict! { "text": "x".repeat(300) });
        if n % 3 == 2 {
            next = with_request(next, |request| request.terms.expire_time = Some(at(5)));
        }
        cids.push(next.request.cid);
        store.accept(next).await.unwrap();
    }
    cids
}

/// Overwrites some pages of a closed store with random bytes: every tenth leaf of the table of invocations, and two
/// that follow each other. Answers with the number of invocations on them.
fn damage(folder: &Folder) -> usize {
    damage_table(folder, "invocation", |n| n % 10 == 5 || n == 16)
}

/// Overwrites the leaves of a table that `is_hit` chooses. Answers with the number of rows on them.
fn damage_table(folder: &Folder, table: &str, is_hit: impl Fn(usize) -> bool) -> usize {
    let path = folder.path().join("cidery.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    let leaves = "SELECT pageno, ncell FROM dbstat
         WHERE name = ?1 AND pagetype = 'leaf' ORDER BY path";
    let mut select = database.prepare(leaves).unwrap();
    let leaves = select.query_map([table], |row| {
        Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?))
    });
    let leaves: Vec<_> = leaves.unwrap().map(Result::unwrap).collect();
    let hit = leaves.iter().enumerate().filter(|(n, _)| is_hit(*n));
    let hit: Vec<_> = hit.map(|(_, leaf)| *leaf).collect();
    assert!(!hit.is_empty(), "{table}");
    drop(select);
    drop(database);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    for (page, _) in &hit {
        let bytes: Vec<u8> = (0..4_096).map(|_| random.u8(..)).collect();
        file.write_all_at(&bytes, u64::from(page - 1) * 4_096)
            .unwrap();
    }
    hit.iter().map(|(_, cells)| *cells as usize).sum()
}

async fn listed(store: &SqliteStore, filter: &Filter, max: usize) -> Vec<Cid> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = store.list(filter.clone(), before, max).await.unwrap();
        assert!(page.invocations.len() <= max);
        all.extend(page.invocations.iter().map(|found| found.request.cid));
        match page.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

/// Compares long lists, and prints what differs alone.
fn assert_same(found: &[Cid], expected: &[Cid]) {
    let without = |one: &[Cid], other: &[Cid]| {
        let without = one.iter().filter(|cid| !other.contains(cid)).copied();
        without.collect::<Vec<_>>()
    };
    assert_eq!(without(expected, found), [], "missing");
    assert_eq!(without(found, expected), [], "too many");
    assert!(found == expected, "in another order");
}

#[tokio::test]
async fn what_is_readable_of_a_damaged_store_is_listed_claimed_and_expired() {
    let folder = Folder::new("damage");
    let cids = filled(&folder).await;
    let lost = damage(&folder);
    let store = SqliteStore::open(folder.path()).unwrap();
    // Each is read on its own, or is said to be damaged.
    let mut readable = Vec::new();
    for cid in cids.iter().rev() {
        match store.get(*cid).await {
            Ok(_) => readable.push(*cid),
            Err(error) => {
                assert_eq!(error.kind(), Kind::DataLoss);
                assert_eq!(error.reason(), "STORE_DAMAGED", "{error:?}");
                assert!(!error.is_retryable());
            }
        }
    }
    assert_eq!(readable.len(), STORED - lost);
    for max in [7, 100, 1_000] {
        assert_same(&listed(&store, &Filter::default(), max).await, &readable);
    }
    let third = |n: usize| {
        let position = |cid: &Cid| cids.iter().position(|other| other == cid).unwrap();
        let mut of_third = readable.clone();
        of_third.retain(|cid| position(cid) % 3 == n);
        of_third
    };
    let of_b = Filter {
        services: vec![service("b")],
        states: vec![State::ACCEPTED],
        accepted_before: Some(at(1)),
        ..Filter::default()
    };
    assert_same(&listed(&store, &of_b, 50).await, &third(1));
    let named = Filter {
        cids: readable[..40].to_vec(),
        ..Filter::default()
    };
    assert_same(&listed(&store, &named, 100).await, &readable[..40]);
    let mut due = Vec::new();
    loop {
        let more = claimed(&store, "a", at(1), 16).await;
        if more.is_empty() {
            break;
        }
        due.extend(more);
    }
    due.reverse();
    assert_same(&due, &third(0));
    let expired = store.expired(at(5), 1_000).await.unwrap();
    let mut expired: Vec<_> = expired.iter().map(|found| found.request.cid).collect();
    expired.sort_by_key(|cid| readable.iter().position(|other| other == cid));
    assert_same(&expired, &third(2));
    // The rest of the file is sound.
    let new = accepted(&store, "c", NOW).await;
    assert_eq!(claimed(&store, "c", NOW, 1).await, [new]);
    assert!(store.record(succeeded(new)).await.unwrap());
    store.health().unwrap();
}

#[tokio::test]
async fn a_node_with_a_damaged_store_cancels_by_filter_and_accepts() {
    let folder = Folder::new("damage");
    let cids = filled(&folder).await;
    let lost = damage(&folder);
    let builder = Node::builder().demo();
    let builder = ["a", "b"]
        .into_iter()
        .fold(builder, |builder, name| builder.service(name, async || {}));
    let store = SqliteStore::open(folder.path()).unwrap();
    let node = TestNode::start(builder.store(store)).await;
    let filter = v1::InvocationFilter {
        services: vec!["b".to_owned()],
        ..v1::InvocationFilter::default()
    };
    let changes = node.client.cancel(filter, false).await.unwrap();
    assert!(changes.len() + lost >= STORED / 3, "{}", changes.len());
    let mut cancelled = 0;
    for change in changes {
        // A change may have to move rows to a page that is damaged.
        match change.failure {
            Some(failure) => assert_eq!(failure.reason, "STORE_DAMAGED"),
            None => cancelled += 1,
        }
    }
    assert!(cancelled > STORED / 6, "{cancelled}");
    let call = Call::new("cidery.echo", dict! { "n": 1 });
    let new = node.client.invoke_async(call).await.unwrap().cid;
    ended(&node.client, new).await;
    // One that is damaged is one event, not the end of the stream.
    let store = node.handle.invoker().store();
    let mut damaged = None;
    for cid in &cids {
        if store.get(*cid).await.is_err() {
            damaged = Some(*cid);
        }
    }
    let damaged = damaged.unwrap();
    let request = v1::StreamResultsRequest {
        cids: vec![damaged.to_string(), new.to_string()],
        ..v1::StreamResultsRequest::default()
    };
    let events = node.events(request).await;
    let [of_damaged] = &events
        .iter()
        .filter(|event| event.cid == damaged.to_string())
        .collect::<Vec<_>>()[..]
    else {
        panic!("{events:?}");
    };
    let Some(Event::NotFound(not_found)) = &of_damaged.event else {
        panic!("{of_damaged:?}");
    };
    assert_eq!(not_found.reason, "STORE_DAMAGED");
    // The events of different invocations come in any order.
    let of_new = events.iter().rfind(|event| event.cid == new.to_string());
    assert!(matches!(of_new.unwrap().event, Some(Event::Succeeded(_))));
    let error = node.client.invocation(damaged, Duration::ZERO).await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (Kind::DataLoss, false)
    );
}

/// The indexes of all invocations are written long after these are accepted, in the commit of others.
#[tokio::test]
async fn damaged_indexes_do_not_fail_the_commits_of_others() {
    // The CIDs of new invocations are looked up at the end of their index.
    for (table, leaves) in [("cid_index", 3), ("service_index", usize::MAX)] {
        let folder = Folder::new("damage");
        filled(&folder).await;
        damage_table(&folder, table, |n| n < leaves);
        let store = SqliteStore::open(folder.path()).unwrap();
        let many: Vec<_> = (0..2_500).map(|_| invocation("c", NOW, dict! {})).collect();
        let accepted = join_all(many.iter().map(|one| store.accept(one.clone()))).await;
        let accepted = accepted.into_iter().filter(Result::is_ok).count();
        assert_eq!(accepted, many.len(), "{table}");
        for one in many.iter().step_by(100) {
            let found = found(&store, one.request.cid).await;
            assert_eq!(found.state, State::ACCEPTED, "{table}");
        }
        assert_eq!(claimed(&store, "c", NOW, 9_999).await.len(), many.len());
        store.health().unwrap();
    }
}

/// With the root of a table gone, nothing can be accepted: the store says so to health, not only to callers.
#[tokio::test]
async fn a_store_that_is_damaged_everywhere_stops_writing() {
    let folder = Folder::new("damage");
    let store = SqliteStore::open(folder.path()).unwrap();
    accepted(&store, "a", NOW).await;
    let other = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    other
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'invocation'";
    let root: u32 = other.query_row(root, [], |row| row.get(0)).unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(folder.path().join("cidery.db"))
        .unwrap();
    file.write_all_at(&[0xa5; 4_096], u64::from(root - 1) * 4_096)
        .unwrap();
    // The writer of another process changes the file, so that no reader trusts its cache.
    other
        .execute_batch("INSERT INTO meta (key, value) VALUES ('touched', 1)")
        .unwrap();
    for _ in 0..16 {
        store.health().unwrap();
        let refused = store.accept(invocation("a", NOW, dict! {})).await;
        assert_eq!(refused.unwrap_err().reason(), "STORE_DAMAGED");
    }
    assert_eq!(store.health().unwrap_err().reason(), "STORE_DAMAGED");
}
