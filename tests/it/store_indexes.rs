//! The indexes of the embedded store are written for many invocations at once. Until then, after it, and after a crash
//! in between, all reads have the same results as those of the store in memory.

use std::sync::Arc;

use cidery::engine::store::{Acceptance, Filter, Record, Store, Stored};
use cidery::model::invocation::{EventKind, Invocation, State};
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{Cid, Error, Payload, dict};
use futures_util::future::join_all;

use crate::support::Folder;
use crate::support::stored::{
    NOW, at, claimed, group, invocation, record, service, started, succeeded, with_request,
};

/// More invocations than the indexes may lack.
const MANY: usize = 2_100;

/// Both stores, with the same invocations.
struct Pair {
    sqlite: SqliteStore,
    memory: MemoryStore,
    cids: Vec<Cid>,
}

impl Pair {
    async fn accept(&mut self, one: Invocation) -> Cid {
        let cid = one.request.cid;
        self.cids.push(cid);
        for store in [&self.sqlite as &dyn Store, &self.memory] {
            let accepted = store.accept(one.clone()).await.unwrap();
            assert!(matches!(accepted, Acceptance::Stored));
        }
        cid
    }

    async fn record(&self, record: Record) {
        for store in [&self.sqlite as &dyn Store, &self.memory] {
            assert!(store.record(record.clone()).await.unwrap());
        }
    }

    /// Invocations in each state that the store tells apart. Each is left as it is by what follows.
    async fn fill(&mut self) -> Cid {
        let first = self
            .accept(invocation("waits", NOW, dict! { "n": 1 }))
            .await;
        self.accept(invocation("waits", at(50), dict! {})).await;
        for _ in 0..3 {
            let one = invocation("alone", NOW, dict! {});
            let keyed = |request: &mut cidery::model::invocation::Request| {
                request.terms.concurrency_key = Some("key".to_owned());
                request.terms.expire_time = Some(at(5));
            };
            self.accept(with_request(one, keyed)).await;
        }
        let ended = self.accept(invocation("ends", NOW, dict! {})).await;
        self.record(succeeded(ended)).await;
        let failed = self.accept(invocation("ends", NOW, dict! {})).await;
        let failure = Error::unavailable("CRM_DOWN", "no answer");
        self.record(record(
            failed,
            State::Failed,
            EventKind::Failed(failure.clone()),
        ))
        .await;
        let retried = self.accept(invocation("retries", NOW, dict! {})).await;
        let due = at(30);
        let again = EventKind::RetryScheduled { failure, due };
        let again = Record {
            due,
            next_wakeup: due,
            ..record(retried, State::Pending { started: true }, again)
        };
        self.record(again).await;
        let child = invocation("waits", at(60), dict! {});
        let of_first = |request: &mut cidery::model::invocation::Request| {
            (request.parent, request.root) = (Some(first), first);
            request.terms.idempotency_key = Some(format!("order of {first}"));
        };
        self.accept(with_request(child, of_first)).await;
        let (group, members) = group(3);
        self.cids.push(group.request.cid);
        self.cids.extend(members.iter().map(|one| one.request.cid));
        let of_group = (group.request.cid, members[0].request.cid);
        for store in [&self.sqlite as &dyn Store, &self.memory] {
            let (group, members) = (group.clone(), members.clone());
            store.accept_group(group, members).await.unwrap();
            let reason = Some("wrong".to_owned());
            store.request_cancel(first, reason).await.unwrap();
        }
        self.record(succeeded(of_group.1)).await;
        let removed = self.accept(invocation("ends", NOW, dict! {})).await;
        self.record(succeeded(removed)).await;
        for store in [&self.sqlite as &dyn Store, &self.memory] {
            assert!(store.remove(removed).await.unwrap());
        }
        of_group.0
    }

    /// Accepts so many others that all invocations until now get into the indexes.
    async fn push_out(&mut self) {
        let others: Vec<_> = (0..MANY)
            .map(|_| invocation("other", NOW, dict! {}))
            .collect();
        for store in [&self.sqlite as &dyn Store, &self.memory] {
            let accepted = others.iter().map(|one| store.accept(one.clone()));
            for accepted in join_all(accepted).await {
                assert!(matches!(accepted.unwrap(), Acceptance::Stored));
            }
        }
        self.cids
            .extend(others.iter().step_by(100).map(|one| one.request.cid));
    }

    /// Closes the store on disk, then opens another one.
    fn reopened(self, open: impl FnOnce() -> SqliteStore) -> Self {
        let Self {
            sqlite,
            memory,
            cids,
        } = self;
        drop(sqlite);
        Self {
            sqlite: open(),
            memory,
            cids,
        }
    }

    async fn assert_purged_alike(&self) {
        let (ours, model) = (
            self.sqlite.purge(at(10), MANY),
            self.memory.purge(at(10), MANY),
        );
        assert_eq!(ours.await.unwrap(), model.await.unwrap());
        for cid in &self.cids {
            let (ours, model) = (self.sqlite.get(*cid), self.memory.get(*cid));
            assert_eq!(text(ours.await.unwrap()), text(model.await.unwrap()));
        }
    }

    async fn assert_same(&self, group: Cid, place: &str) {
        for cid in &self.cids {
            let (ours, model) = (self.sqlite.get(*cid), self.memory.get(*cid));
            assert_eq!(
                text(ours.await.unwrap()),
                text(model.await.unwrap()),
                "{place}"
            );
            let repeated = with_request(invocation("waits", NOW, dict! {}), |one| one.cid = *cid);
            let (ours, model) = (
                self.sqlite.accept(repeated.clone()),
                self.memory.accept(repeated),
            );
            let (ours, model) = (ours.await.unwrap(), model.await.unwrap());
            let same = std::mem::discriminant(&ours) == std::mem::discriminant(&model);
            assert!(same, "{place}: {ours:?}, {model:?}");
        }
        for (n, filter) in filters(&self.cids, group).into_iter().enumerate() {
            let (ours, model) = (listed(&self.sqlite, &filter), listed(&self.memory, &filter));
            let (ours, model) = (ours.await, model.await);
            assert!(
                ours == model,
                "{place}: list {n}: {} and {}",
                ours.len(),
                model.len()
            );
            assert!(!model.is_empty(), "{place}: list {n} is empty");
        }
        for name in ["waits", "alone", "ends", "retries", "a", "b", "other"].map(service) {
            let (ours, model) = (
                self.sqlite.pending_count(&name),
                self.memory.pending_count(&name),
            );
            assert_eq!(ours, model, "{place}: {name}");
        }
        let (ours, model) = (self.sqlite.members(group), self.memory.members(group));
        assert_eq!(ours.await.unwrap(), model.await.unwrap(), "{place}");
        let (ours, model) = (self.sqlite.expired(at(9), 9), self.memory.expired(at(9), 9));
        let (ours, model) = (ours.await.unwrap(), model.await.unwrap());
        assert_eq!(ours.len(), model.len(), "{place}");
    }
}

/// An invocation for comparison: without its input, its generation, the code locations of its errors, and whether it
/// may have run before a crash.
fn text(stored: Stored) -> String {
    let Stored::Found(mut found) = stored else {
        return format!("{stored:?}");
    };
    (found.recovered, found.generation) = (false, 0);
    Arc::make_mut(&mut found.request).input = Payload::empty();
    let text = format!("{found:#?}");
    let lines = text.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("location: "));
    lines.collect::<Vec<_>>().join("\n")
}

fn filters(cids: &[Cid], group: Cid) -> Vec<Filter> {
    let of_states = |states: &[State]| Filter {
        states: states.to_vec(),
        ..Filter::default()
    };
    let of_services = |names: &[&str]| Filter {
        services: names.iter().map(|name| service(name)).collect(),
        ..Filter::default()
    };
    let open = [State::ACCEPTED, State::Pending { started: true }];
    vec![
        Filter::default(),
        of_states(&[State::Succeeded]),
        of_states(&[State::Failed, State::Expired]),
        Filter {
            states: vec![State::Succeeded, State::Failed],
            ..of_services(&["ends"])
        },
        of_states(&open),
        of_states(&[State::Pending { started: true }]),
        of_services(&["waits"]),
        of_services(&["ends", "retries"]),
        Filter {
            states: open.to_vec(),
            ..of_services(&["alone"])
        },
        Filter {
            cids: cids[..3].to_vec(),
            include_waiting: true,
            ..Filter::default()
        },
        Filter {
            cids: cids[4..6].to_vec(),
            ..of_states(&open)
        },
        Filter {
            failure_reasons: vec!["CRM_DOWN".to_owned()],
            ..Filter::default()
        },
        Filter {
            parent: Some(cids[0]),
            ..Filter::default()
        },
        Filter {
            group: Some(group),
            ..Filter::default()
        },
        Filter {
            ended_after: Some(NOW),
            accepted_before: Some(at(1)),
            ..Filter::default()
        },
    ]
}

async fn listed(store: &dyn Store, filter: &Filter) -> Vec<Cid> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = store.list(filter.clone(), before, 400).await.unwrap();
        all.extend(page.invocations.iter().map(|found| found.request.cid));
        match page.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

/// Copies the files of an open store, as a crash would leave them, and opens the copy.
fn after_a_crash(folder: &Folder, copy: &Folder) -> SqliteStore {
    for file in ["cidery.db", "cidery.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    SqliteStore::open(copy.path()).unwrap()
}

#[tokio::test]
async fn reads_have_the_same_results_before_and_after_the_indexes_are_written() {
    let (folder, crashed, again) = (
        Folder::new("store"),
        Folder::new("store"),
        Folder::new("store"),
    );
    let mut pair = Pair {
        sqlite: SqliteStore::open(folder.path()).unwrap(),
        memory: MemoryStore::new(),
        cids: Vec::new(),
    };
    let group = pair.fill().await;
    pair.push_out().await;
    pair.assert_same(group, "indexed").await;
    pair.fill().await;
    pair.assert_same(group, "some are not indexed").await;
    let copy = after_a_crash(&folder, &crashed);
    let mut pair = pair.reopened(|| copy);
    pair.assert_same(group, "after a crash").await;
    pair.fill().await;
    let copy = after_a_crash(&crashed, &again);
    let pair = pair.reopened(|| copy);
    pair.assert_same(group, "after a second crash").await;
    let pair = pair.reopened(|| SqliteStore::open(again.path()).unwrap());
    pair.assert_same(group, "after it was closed").await;
    pair.assert_purged_alike().await;
}

/// Invocations that have no row among the pending ones are claimed with the others, those that are due first in front.
#[tokio::test]
async fn claims_merge_what_is_indexed_with_what_is_not() {
    let folder = Folder::new("store");
    let store = SqliteStore::open(folder.path()).unwrap();
    let mut expected = Vec::new();
    for n in 0..MANY {
        let mut one = invocation("a", at(0), dict! {});
        let request = Arc::make_mut(&mut one.request);
        // Every second one is due later than it was accepted, and so has a row of its own.
        request.accept_time = at(i64::try_from(n / 2).unwrap());
        let due = match n % 2 {
            0 => request.accept_time,
            _ => request.accept_time + jiff::SignedDuration::from_millis(500),
        };
        request.terms.start_time = Some(due);
        let one = Invocation::accepted((*one.request).clone(), 1);
        expected.push(one);
    }
    join_all(expected.iter().map(|one| store.accept(one.clone()))).await;
    let expected: Vec<_> = expected.iter().map(|one| one.request.cid).collect();
    let mut found = Vec::new();
    while found.len() < MANY {
        let more = claimed(&store, "a", at(9_999), 333).await;
        assert!(!more.is_empty());
        found.extend(more);
    }
    assert!(found == expected);
    let (first, last) = (expected[0], expected[MANY - 1]);
    for cid in [first, last] {
        let ended = record(
            cid,
            State::Succeeded,
            EventKind::Succeeded(Payload::empty().into()),
        );
        assert!(store.record(ended.clone()).await.unwrap());
        assert!(!store.record(ended).await.unwrap(), "it has ended");
    }
    let pending = record(expected[1], State::Pending { started: true }, started());
    assert!(store.record(pending).await.unwrap());
    assert_eq!(claimed(&store, "a", at(9_999), 9).await, [expected[1]]);
}
