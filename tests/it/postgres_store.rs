//! What only the store of several nodes does: sessions, claims of others, and what it refuses at its start. The
//! contract of all stores is in `store_contract/`.

use cidery::engine::store::{ClaimLimit, Filter, Store};
use cidery::model::invocation::{EventKind, State};
use cidery::{Error, PostgresOptions, PostgresStore, dict};

use crate::store_contract::operations::operation;
use crate::support::PATIENCE;
use crate::support::postgres::server;
use crate::support::stored::{
    NOW, accepted, at, claimed, found, invocation, record, service, started, succeeded, unclaimed,
    with_request,
};

/// Claims of a service until there is one.
async fn claimed_at_last(store: &dyn Store) -> Vec<cidery::Cid> {
    let claim = async {
        loop {
            let cids = claimed(store, "a", at(9), 9).await;
            if !cids.is_empty() {
                return cids;
            }
            tokio::task::yield_now().await;
        }
    };
    let claimed = tokio::time::timeout(PATIENCE, claim).await;
    claimed.expect("nothing was released")
}

#[tokio::test]
async fn what_one_node_has_claimed_no_other_one_claims_or_records() {
    let Some(server) = server() else { return };
    let options = server.options();
    let one = PostgresStore::open_with(options.clone()).await.unwrap();
    let other = PostgresStore::open_with(options).await.unwrap();
    let cid = accepted(&one, "a", NOW).await;
    assert_eq!(claimed(&one, "a", NOW, 1).await, [cid]);
    assert!(claimed(&other, "a", NOW, 1).await.is_empty());
    // With the right generation, but from another session; and without a claim.
    assert!(!other.record(succeeded(cid)).await.unwrap());
    let late = unclaimed(&other, succeeded(cid)).await;
    assert!(!other.record(late).await.unwrap());
    assert!(one.record(succeeded(cid)).await.unwrap());
    assert_eq!(found(&other, cid).await.state, State::Succeeded);
}

/// Its runtime stands still, as a process does that is stopped, and goes on later.
#[test]
fn what_a_lost_node_had_claimed_is_released_and_its_late_records_are_refused() {
    let Some(server) = server() else { return };
    let options = server.options_of_nodes();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let (stopped, running) = (runtime(), runtime());
    let (lost, cid, late, before) = stopped.block_on(async {
        let lost = PostgresStore::open_with(options.clone()).await.unwrap();
        let cid = accepted(&lost, "a", NOW).await;
        assert_eq!(claimed(&lost, "a", NOW, 1).await, [cid]);
        let (late, before) = (succeeded(cid), found(&lost, cid).await.generation);
        (lost, cid, late, before)
    });
    running.block_on(async {
        let other = PostgresStore::open_with(options).await.unwrap();
        assert_eq!(claimed_at_last(&other).await, [cid]);
        let now = found(&other, cid).await;
        assert!(
            now.generation > before + 1,
            "{} after {before}",
            now.generation
        );
    });
    // It wakes up, and knows nothing of it.
    assert!(!stopped.block_on(lost.record(late)).unwrap());
    let state = stopped.block_on(found(&lost, cid)).state;
    assert!(!state.is_terminal(), "{state:?}");
}

#[tokio::test]
async fn a_node_that_ends_is_not_waited_for() {
    let Some(server) = server() else { return };
    let mut options = server.options();
    // Longer than this test may take.
    options.session_timeout = PATIENCE * 10;
    let first = PostgresStore::open_with(options.clone()).await.unwrap();
    let cid = accepted(&first, "a", NOW).await;
    assert_eq!(claimed(&first, "a", NOW, 1).await, [cid]);
    drop(first);
    let other = PostgresStore::open_with(options).await.unwrap();
    assert_eq!(claimed_at_last(&other).await, [cid]);
}

#[tokio::test]
async fn a_crash_is_counted_when_a_claim_is_lost_again() {
    let Some(server) = server() else { return };
    let mut options = server.options();
    options.session_timeout = PATIENCE * 10;
    let first = PostgresStore::open_with(options.clone()).await.unwrap();
    let cid = accepted(&first, "a", NOW).await;
    claimed(&first, "a", NOW, 1).await;
    drop(first);
    for crashes in 0..2 {
        let next = PostgresStore::open_with(options.clone()).await.unwrap();
        assert_eq!(claimed_at_last(&next).await, [cid]);
        let read = found(&next, cid).await;
        assert_eq!((read.recovered, read.crash_count), (true, crashes));
        drop(next);
    }
}

/// As after a connection that was lost before the answer.
#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_released() {
    let Some(server) = server() else { return };
    let store = PostgresStore::open_with(server.options_of_nodes());
    let store = store.await.unwrap();
    // The statement is prepared, and is sent with the first poll, unless the tables are about to be counted.
    assert!(claimed(&store, "a", NOW, 1).await.is_empty());
    let name = service("a");
    let cid = loop {
        let cid = accepted(&store, "a", NOW).await;
        let mut claim = store.claim(&name, NOW, ClaimLimit::invocations(1));
        assert!(futures_util::poll!(&mut claim).is_pending());
        drop(claim);
        match claimed(&store, "a", NOW, 1).await.as_slice() {
            [] => break cid,
            not_sent => assert!(store.record(succeeded(not_sent[0])).await.unwrap()),
        }
    };
    assert_eq!(claimed_at_last(&store).await, [cid]);
    assert_eq!(found(&store, cid).await.crash_count, 0);
    assert!(store.record(succeeded(cid)).await.unwrap());
}

#[tokio::test]
async fn a_repeated_record_is_taken_once() {
    let Some(server) = server() else { return };
    let store = server.store().await;
    let cid = accepted(&store, "a", NOW).await;
    claimed(&store, "a", NOW, 1).await;
    // As after an answer that was lost: the same record, with the same id.
    let again = record(cid, State::Pending { started: true }, started());
    assert!(store.record(again.clone()).await.unwrap());
    assert!(store.record(again.clone()).await.unwrap());
    assert_eq!(found(&store, cid).await.events.len(), 3);
    assert_eq!(store.pending_count(&service("a")), 1);
    // It was taken, and changes nothing of the next claim.
    claimed(&store, "a", NOW, 1).await;
    assert!(store.record(again).await.unwrap());
    assert_eq!(found(&store, cid).await.events.len(), 3);
    let ended = succeeded(cid);
    assert!(store.record(ended.clone()).await.unwrap());
    assert!(store.record(ended).await.unwrap());
}

/// What a node did it knows at once; what others did it learns soon.
#[tokio::test]
async fn pending_counts_follow_what_other_nodes_do() {
    let Some(server) = server() else { return };
    let options = server.options();
    let one = PostgresStore::open_with(options.clone()).await.unwrap();
    let other = PostgresStore::open_with(options).await.unwrap();
    let name = service("a");
    for _ in 0..3 {
        accepted(&one, "a", NOW).await;
    }
    assert_eq!(one.pending_count(&name), 3);
    for cid in claimed(&other, "a", NOW, 2).await {
        assert!(other.record(succeeded(cid)).await.unwrap());
    }
    let counts = async || {
        let (of_one, of_other) = (one.usage().await.unwrap(), other.usage().await.unwrap());
        let pending = (one.total_pending_count(), other.total_pending_count());
        (pending, of_one.bytes == of_other.bytes)
    };
    let counted = async {
        while counts().await != ((1, 1), true) {
            tokio::task::yield_now().await;
        }
    };
    let counted = tokio::time::timeout(PATIENCE, counted).await;
    counted.expect("a node does not learn what the other one did");
}

/// Bulk operations: what one node works on, another one that starts must not work on as well.
#[tokio::test]
async fn a_node_goes_on_with_operations_of_lost_nodes_only() {
    let Some(server) = server() else { return };
    let options = server.options();
    let one = PostgresStore::open_with(options.clone()).await.unwrap();
    let running = operation(7);
    one.save_operation(running.clone()).await.unwrap();
    let other = PostgresStore::open_with(options).await.unwrap();
    assert!(other.operations().await.unwrap().is_empty());
    one.close().await;
    let found = other.operations().await.unwrap();
    assert_eq!(found.first().map(|it| it.id), Some(running.id));
}

/// Two nodes accept and end invocations with one key at the same time: it is never left without a head.
#[tokio::test]
async fn keys_of_several_nodes_always_have_a_head() {
    let Some(server) = server() else { return };
    let options = server.options();
    let one = PostgresStore::open_with(options.clone()).await.unwrap();
    let other = PostgresStore::open_with(options).await.unwrap();
    let keyed = |due| {
        with_request(invocation("a", at(due), dict! {}), |request| {
            request.terms.concurrency_key = Some("x".to_owned());
        })
    };
    one.accept(keyed(0)).await.unwrap();
    for round in 1..40 {
        let claim = claimed(&one, "a", at(99), 9).await;
        assert_eq!(claim.len(), 1, "round {round}: no head, or two");
        let (accepted, recorded) = tokio::join!(
            other.accept(keyed(round % 7)),
            one.record(succeeded(claim[0]))
        );
        accepted.unwrap();
        assert!(recorded.unwrap());
    }
}

/// A claim locks no key: what is accepted meanwhile, and is due earlier, must not lead beside what is being claimed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_during_a_claim_does_not_run_beside_it() {
    let Some(server) = server() else { return };
    let options = server.options();
    let one = PostgresStore::open_with(options.clone()).await.unwrap();
    let other = PostgresStore::open_with(options).await.unwrap();
    let keyed = |key: u32, due| {
        with_request(invocation("a", at(due), dict! {}), |request| {
            request.terms.concurrency_key = Some(key.to_string());
        })
    };
    for round in 0..60 {
        one.accept(keyed(round, 50)).await.unwrap();
        let (first, accepted) =
            tokio::join!(claimed(&one, "a", at(99), 9), other.accept(keyed(round, 1)));
        accepted.unwrap();
        let second = claimed(&one, "a", at(99), 9).await;
        assert_eq!(first.len() + second.len(), 1, "round {round}");
        one.record(succeeded(
            *first.first().or_else(|| second.first()).unwrap(),
        ))
        .await
        .unwrap();
        let last = claimed(&one, "a", at(99), 9).await;
        assert_eq!(last.len(), 1, "round {round}");
        one.record(succeeded(last[0])).await.unwrap();
    }
}

/// A text of PostgreSQL has none, and reasons are what callers and workers send.
#[tokio::test]
async fn a_reason_with_a_nul_is_stored_and_found() {
    let Some(server) = server() else { return };
    let store = PostgresStore::open_with(server.options()).await.unwrap();
    let cid = accepted(&store, "a", NOW).await;
    assert_eq!(claimed(&store, "a", NOW, 1).await, [cid]);
    let failed = Error::internal("OUT\0SIDE", "it failed");
    let failed = record(cid, State::Failed, EventKind::Failed(failed));
    assert!(store.record(failed).await.unwrap());
    let filter = Filter {
        failure_reasons: vec!["OUT\0SIDE".to_owned()],
        ..Filter::default()
    };
    let page = store.list(filter, None, 9).await.unwrap();
    let cids: Vec<_> = page.invocations.iter().map(|it| it.request.cid).collect();
    assert_eq!(cids, [cid]);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named() {
    let Some(server) = server() else { return };
    let missing = server.url().replace("/postgres", "/missing");
    let error = PostgresStore::open(&missing).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_FAILED");
    // A schema that has the tables of another program.
    let mut options = PostgresOptions::parse(&server.url()).unwrap();
    options.schema = "pg_catalog".to_owned();
    let error = PostgresStore::open_with(options).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE", "{error}");
}
