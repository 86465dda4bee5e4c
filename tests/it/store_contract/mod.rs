//! The contract of `engine::store::Store`: a test for each sentence, over every store.
//!
//! Reopening a store is tested in `sqlite_store.rs`, failures of the disk in `failed_sync.rs` and `full_disk.rs`.

mod api_keys;
mod calls;
mod claims;
mod controls;
mod groups;
mod keys;
mod lists;
pub(crate) mod operations;
mod principals;
mod queue;
mod room;
mod status;
mod summaries;

use std::sync::Arc;

use cidery::engine::store::{Acceptance, ClaimLimit, Record, Store, Stored, Tombstone};
use cidery::model::invocation::{EventKind, Invocation, Request, State, Terms};
use cidery::store::{MemoryStore, SqliteOptions, SqliteStore, StoreKeys};
use cidery::{Cid, Payload, dict};

use self::api_keys::api_keys_are_saved_and_replaced;
use self::calls::the_calls_of_an_attempt_are_kept;
use self::claims::{
    a_claim_has_the_generation_of_its_events, a_record_of_a_claim_is_taken_while_the_claim_lasts,
};
use self::controls::a_control_is_remembered_until_it_is_removed_or_its_service_forgotten;
use self::groups::{
    a_group_is_due_once_its_last_member_has_ended, a_group_is_stored_with_all_of_its_members,
    a_group_without_members_is_due_at_once, a_known_group_is_answered_and_nothing_is_stored,
    members_are_kept_until_their_group_ends_and_as_long_as_the_group,
    nothing_of_a_group_is_stored_if_a_member_is_known,
};
use self::keys::{
    a_concurrency_key_is_busy_until_it_is_recorded,
    a_concurrency_key_is_busy_while_an_invocation_awaits_completion,
    a_pending_invocation_shows_whether_its_concurrency_key_is_busy,
    an_idempotency_key_is_accepted_once_until_its_invocation_is_removed,
    declarations_are_remembered_until_they_are_forgotten,
    invocations_with_the_same_concurrency_key_are_claimed_one_at_a_time,
    keys_are_read_again_while_the_store_is_used,
};
use self::lists::{
    children_are_listed_in_the_order_of_acceptance, failures_are_listed_by_reason,
    lists_are_filtered_and_paged_newest_first, lists_contain_invocations_by_state_or_by_cid,
};
use self::operations::{
    a_list_before_the_next_position_has_what_was_accepted_so_far,
    operations_are_saved_replaced_and_removed,
};
use self::principals::{
    a_tombstone_has_its_owner, an_idempotency_key_is_that_of_its_owner,
    lists_and_counts_have_the_invocations_of_principals, pending_invocations_are_counted_by_owner,
};
use self::queue::{
    a_pending_invocation_knows_how_many_are_claimed_before_it,
    a_pending_invocation_knows_which_one_holds_its_concurrency_key,
};
use self::room::room_is_reserved_for_outcomes;
use self::status::{
    an_open_store_is_healthy_and_keeps_its_generation,
    failures_are_counted_since_a_time_up_to_a_limit, held_invocations_are_counted,
    of_some_invocations_those_that_have_ended_are_named,
    the_longest_due_invocation_of_each_service_is_found, the_room_of_a_store_is_told,
    what_is_claimed_later_is_counted, what_waits_for_its_key_is_not_due,
};
use self::summaries::{
    a_retried_invocation_shows_its_last_retry,
    lists_are_filtered_by_metadata_message_and_dead_letters,
    summaries_count_by_service_state_and_reason,
};
use crate::support::Folder;
use crate::support::postgres::server;
use crate::support::stored::{
    KEY, NOW, accepted, at, claimed, event, found, invocation, record, service, started, succeeded,
    unclaimed, with_request,
};

async fn an_accepted_invocation_is_pending_with_its_event(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    let found = found(store, cid).await;
    assert_eq!((found.state, found.sequence()), (State::ACCEPTED, 1));
    assert!(matches!(found.events[0].kind, EventKind::Accepted { .. }));
}

async fn a_known_cid_answers_with_the_first_request(store: &dyn Store) {
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
    assert_eq!(store.pending_count(&service("b")), 0);
}

async fn invocations_are_claimed_in_order_of_due_time(store: &dyn Store) {
    let third = accepted(store, "a", at(3)).await;
    let first = accepted(store, "a", at(1)).await;
    let second = accepted(store, "a", at(2)).await;
    let other = accepted(store, "b", at(0)).await;
    assert_eq!(claimed(store, "a", at(2), 10).await, [first, second]);
    let claim = store
        .claim(&service("a"), at(2), ClaimLimit::invocations(10))
        .await
        .unwrap();
    assert_eq!((claim.invocations.len(), claim.next_due), (0, Some(at(3))));
    assert_eq!(claimed(store, "a", at(3), 10).await, [third]);
    assert_eq!(claimed(store, "b", at(3), 10).await, [other]);
}

async fn a_claim_takes_no_more_than_its_maximum(store: &dyn Store) {
    for _ in 0..5 {
        accepted(store, "a", NOW).await;
    }
    assert_eq!(claimed(store, "a", NOW, 2).await.len(), 2);
    assert_eq!(claimed(store, "a", NOW, 9).await.len(), 3);
}

async fn a_claim_takes_no_more_bytes_than_its_limit(store: &dyn Store) {
    const KIB: usize = 1024;
    let of_kib = |n: usize| invocation("a", NOW, dict! { "text": "x".repeat(n * KIB) });
    for kib in [2, 2, 20] {
        store.accept(of_kib(kib)).await.unwrap();
    }
    let claim = async |kib: usize| {
        let limit = ClaimLimit {
            invocations: 10,
            bytes: kib * KIB,
        };
        let claim = store.claim(&service("a"), NOW, limit).await.unwrap();
        (claim.invocations.len(), claim.too_large)
    };
    assert_eq!(claim(8).await, (2, None));
    let (claimed, too_large) = claim(8).await;
    let bytes = too_large.expect("it has more than the limit");
    assert_eq!((claimed, bytes / KIB), (0, 20));
    assert_eq!(claim(bytes.div_ceil(KIB)).await, (1, None));
}

async fn a_claimed_invocation_is_claimed_again_once_it_is_recorded_as_pending(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    assert_eq!(claimed(store, "a", NOW, 1).await, [cid]);
    assert_eq!(claimed(store, "a", at(100), 1).await, []);
    let mut pending = record(cid, State::Pending { started: true }, started());
    (pending.due, pending.next_wakeup) = (at(5), at(5));
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
    assert!(sequences.len() == 3 && sequences.is_sorted_by(|a, b| a < b));
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
    let again = record(cid, State::Pending { started: true }, started());
    assert!(!store.record(again).await.unwrap());
    assert_eq!(found(store, cid).await.state, State::Succeeded);
    assert_eq!(claimed(store, "a", at(100), 1).await, []);
}

async fn pending_invocations_are_counted_by_service(store: &dyn Store) {
    accepted(store, "a", NOW).await;
    accepted(store, "a", at(100)).await;
    accepted(store, "b", NOW).await;
    assert_eq!(
        (
            store.pending_count(&service("a")),
            store.pending_count(&service("b"))
        ),
        (2, 1)
    );
    assert_eq!(
        (
            store.pending_count(&service("c")),
            store.total_pending_count()
        ),
        (0, 3)
    );
    claimed(store, "a", NOW, 1).await;
    assert_eq!(store.pending_count(&service("a")), 1);
    claimed(store, "b", NOW, 1).await;
    assert_eq!(store.total_pending_count(), 1);
    assert_eq!(store.services_with_pending().await.unwrap(), [service("a")]);
    claimed(store, "a", at(100), 1).await;
    assert_eq!(store.services_with_pending().await.unwrap(), []);
}

async fn a_purged_invocation_leaves_a_tombstone_that_expires(store: &dyn Store) {
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
            end_time: NOW,
            owner: None,
        }
    );
    assert_eq!(store.purge(at(19), 10).await.unwrap(), 0);
    assert_eq!(store.purge(at(20), 10).await.unwrap(), 1);
    assert!(matches!(store.get(cid).await.unwrap(), Stored::Unknown));
}

async fn a_removed_cid_answers_with_its_tombstone(store: &dyn Store) {
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

async fn a_purge_removes_no_more_than_its_maximum(store: &dyn Store) {
    for _ in 0..5 {
        let cid = accepted(store, "a", NOW).await;
        claimed(store, "a", NOW, 1).await;
        store.record(succeeded(cid)).await.unwrap();
    }
    assert_eq!(store.purge(at(10), 3).await.unwrap(), 3);
    assert_eq!(store.purge(at(10), 3).await.unwrap(), 2);
}

async fn an_ended_invocation_can_be_removed_before_its_purge_time(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    assert!(!store.remove(cid).await.unwrap());
    claimed(store, "a", NOW, 1).await;
    assert!(store.record(succeeded(cid)).await.unwrap());
    assert!(store.remove(cid).await.unwrap());
    assert!(matches!(store.get(cid).await.unwrap(), Stored::Removed(_)));
    assert!(!store.remove(cid).await.unwrap());
    assert_eq!(store.purge(at(20), 10).await.unwrap(), 1);
    assert!(matches!(store.get(cid).await.unwrap(), Stored::Unknown));
}

async fn a_cid_that_was_never_accepted_is_unknown(store: &dyn Store) {
    assert!(matches!(
        store.get(Cid::new()).await.unwrap(),
        Stored::Unknown
    ));
    assert!(!store.record(succeeded(Cid::new())).await.unwrap());
}

/// It counts as a crash only after the node has crashed.
async fn a_recorded_attempt_does_not_change_the_state(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    store.record_attempts(vec![cid, Cid::new()]).await.unwrap();
    assert_eq!(found(store, cid).await.state, State::ACCEPTED);
    assert!(store.record(succeeded(cid)).await.unwrap());
    store.health().unwrap();
}

async fn expired_invocations_are_found_unless_they_are_claimed(store: &dyn Store) {
    let terms = |due, expire: Option<i64>, deadline: Option<i64>| {
        with_terms(invocation("a", at(due), dict! {}), |terms| {
            terms.expire_time = expire.map(at);
            terms.deadline = deadline.map(at);
        })
    };
    let all = [
        terms(0, Some(2), None),
        terms(9, Some(3), Some(1)),
        terms(9, Some(8), Some(9)),
        terms(0, None, None),
    ];
    let cids = all.each_ref().map(|one| one.request.cid);
    for one in all {
        store.accept(one).await.unwrap();
    }
    let overdue = async |now, max| {
        let found = store.expired(at(now), max).await.unwrap();
        found.iter().map(|one| one.request.cid).collect::<Vec<_>>()
    };
    assert_eq!(overdue(0, 9).await, []);
    assert_eq!(overdue(5, 9).await, [cids[1], cids[0]]);
    assert_eq!(overdue(5, 1).await, [cids[1]]);
    assert_eq!(claimed(store, "a", at(0), 1).await, [cids[0]]);
    assert_eq!(overdue(5, 9).await, [cids[1]]);
    // The expiration of an invocation does not apply once it has started.
    let pending = State::Pending { started: true };
    assert!(
        store
            .record(record(cids[0], pending, started()))
            .await
            .unwrap()
    );
    assert!(store.record(succeeded(cids[1])).await.unwrap());
    assert_eq!(overdue(5, 9).await, []);
}

async fn a_record_without_a_claim_loses_to_a_claim_and_to_a_newer_attempt(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    let without_claim = |attempts| Record {
        expected_attempts: Some(attempts),
        ..record(cid, State::Pending { started: false }, started())
    };
    assert!(store.record(without_claim(0)).await.unwrap());
    // There was another attempt since the record was decided.
    assert!(!store.record(without_claim(0)).await.unwrap());
    assert_eq!(claimed(store, "a", NOW, 1).await, [cid]);
    assert!(!store.record(without_claim(1)).await.unwrap());
    assert_eq!(claimed(store, "a", at(100), 1).await, []);
    assert_eq!(found(store, cid).await.events.len(), 3);
    assert!(store.record(succeeded(cid)).await.unwrap());
}

async fn a_known_follower_is_not_accepted_again(store: &dyn Store) {
    let keyed = || {
        with_terms(invocation("b", NOW, dict! {}), |terms| {
            terms.idempotency_key = Some("k".to_owned());
        })
    };
    let first = keyed();
    let known = first.request.cid;
    store.accept(first.clone()).await.unwrap();
    assert_eq!(claimed(store, "b", NOW, 1).await, [known]);
    assert!(store.record(succeeded(known)).await.unwrap());
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    let record = Record {
        followed_by: vec![first, keyed()],
        ..succeeded(cid)
    };
    assert!(store.record(record).await.unwrap());
    assert_eq!(store.total_pending_count(), 0);
    assert_eq!(found(store, known).await.state, State::Succeeded);
    assert_eq!(claimed(store, "b", NOW, 9).await, []);
}

async fn an_invocation_that_expires_before_it_is_due_is_claimed_when_it_expires(store: &dyn Store) {
    let late = with_terms(invocation("a", at(100), dict! {}), |terms| {
        terms.expire_time = Some(at(7));
    });
    let cid = late.request.cid;
    store.accept(late).await.unwrap();
    let claim = store
        .claim(&service("a"), at(6), ClaimLimit::invocations(1))
        .await
        .unwrap();
    assert_eq!((claim.invocations.len(), claim.next_due), (0, Some(at(7))));
    assert_eq!(claimed(store, "a", at(7), 1).await, [cid]);
}

async fn followers_are_accepted_with_the_record_or_not_at_all(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    let follow = |record: Record| {
        let next = invocation("b", NOW, dict! {});
        let followed = next.request.cid;
        (
            Record {
                followed_by: vec![next],
                ..record
            },
            followed,
        )
    };
    let (record, with_it) = follow(succeeded(cid));
    assert!(store.record(record).await.unwrap());
    let (late, without_it) = follow(succeeded(cid));
    assert!(!store.record(late).await.unwrap());
    assert_eq!(claimed(store, "b", NOW, 9).await, [with_it]);
    assert!(matches!(
        store.get(without_it).await.unwrap(),
        Stored::Unknown
    ));
}

async fn a_request_to_cancel_is_stored_until_the_invocation_has_ended(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    assert!(!found(store, cid).await.cancel_requested);
    for reason in [None, Some("first"), Some("second"), None] {
        let requested = store.request_cancel(cid, reason.map(str::to_owned));
        assert!(requested.await.unwrap());
    }
    let requested = found(store, cid).await;
    assert!(requested.cancel_requested && requested.last_failure.is_none());
    assert_eq!(requested.cancel_reason.as_deref(), Some("first"));
    assert!(store.expired(NOW, 9).await.unwrap().is_empty());
    // It has expired, whatever the record says.
    let pending = Record {
        due: at(100),
        next_wakeup: at(100),
        ..record(cid, State::Pending { started: true }, started())
    };
    assert!(store.record(pending).await.unwrap());
    let overdue = store.expired(NOW, 9).await.unwrap();
    assert_eq!(overdue.len(), 1);
    assert!(overdue[0].cancel_requested);
    assert_eq!(overdue[0].cancel_reason.as_deref(), Some("first"));
    let ended = unclaimed(store, succeeded(cid)).await;
    assert!(store.record(ended).await.unwrap());
    assert!(!store.request_cancel(cid, None).await.unwrap());
    assert!(!store.request_cancel(Cid::new(), None).await.unwrap());
}

fn with_terms(invocation: Invocation, change: impl FnOnce(&mut Terms)) -> Invocation {
    with_request(invocation, |request| change(&mut request.terms))
}

/// Runs the suite over each store.
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
                    super::$sentence(&small(&folder, None)).await;
                }
            )*
        }

        mod encrypted {
            use super::*;
            $(
                #[tokio::test]
                async fn $sentence() {
                    let folder = Folder::new("store");
                    let keys = StoreKeys::parse(KEY).unwrap();
                    super::$sentence(&small(&folder, Some(keys))).await;
                }
            )*
        }

        mod postgres {
            use super::*;
            $(
                #[tokio::test]
                async fn $sentence() {
                    if let Some(server) = server() {
                        super::$sentence(&server.store().await).await;
                    }
                }
            )*
        }
    };
}

/// An embedded store with a small limit. With keys, it reads nothing that is not encrypted.
fn small(folder: &Folder, keys: Option<StoreKeys>) -> SqliteStore {
    let options = SqliteOptions {
        bytes_limit: 1024 * 1024,
        encrypted_only: keys.is_some(),
        keys,
        ..SqliteOptions::default()
    };
    SqliteStore::open_with(folder.path(), options).unwrap()
}

suite! {
    an_accepted_invocation_is_pending_with_its_event
    a_known_cid_answers_with_the_first_request
    invocations_are_claimed_in_order_of_due_time
    a_claim_takes_no_more_than_its_maximum
    of_some_invocations_those_that_have_ended_are_named
    a_claim_takes_no_more_bytes_than_its_limit
    a_claimed_invocation_is_claimed_again_once_it_is_recorded_as_pending
    a_record_changes_the_state_and_adds_events
    the_calls_of_an_attempt_are_kept
    the_first_terminal_record_wins
    a_record_of_a_claim_is_taken_while_the_claim_lasts
    a_claim_has_the_generation_of_its_events
    pending_invocations_are_counted_by_service
    a_purged_invocation_leaves_a_tombstone_that_expires
    a_removed_cid_answers_with_its_tombstone
    a_purge_removes_no_more_than_its_maximum
    an_ended_invocation_can_be_removed_before_its_purge_time
    a_cid_that_was_never_accepted_is_unknown
    room_is_reserved_for_outcomes
    a_recorded_attempt_does_not_change_the_state
    an_idempotency_key_is_accepted_once_until_its_invocation_is_removed
    an_idempotency_key_is_that_of_its_owner
    lists_and_counts_have_the_invocations_of_principals
    a_tombstone_has_its_owner
    pending_invocations_are_counted_by_owner
    invocations_with_the_same_concurrency_key_are_claimed_one_at_a_time
    a_concurrency_key_is_busy_until_it_is_recorded
    a_concurrency_key_is_busy_while_an_invocation_awaits_completion
    a_pending_invocation_shows_whether_its_concurrency_key_is_busy
    a_pending_invocation_knows_how_many_are_claimed_before_it
    a_pending_invocation_knows_which_one_holds_its_concurrency_key
    declarations_are_remembered_until_they_are_forgotten
    a_control_is_remembered_until_it_is_removed_or_its_service_forgotten
    api_keys_are_saved_and_replaced
    expired_invocations_are_found_unless_they_are_claimed
    a_record_without_a_claim_loses_to_a_claim_and_to_a_newer_attempt
    a_known_follower_is_not_accepted_again
    failures_are_listed_by_reason
    an_invocation_that_expires_before_it_is_due_is_claimed_when_it_expires
    followers_are_accepted_with_the_record_or_not_at_all
    a_request_to_cancel_is_stored_until_the_invocation_has_ended
    operations_are_saved_replaced_and_removed
    a_list_before_the_next_position_has_what_was_accepted_so_far
    lists_are_filtered_and_paged_newest_first
    lists_contain_invocations_by_state_or_by_cid
    children_are_listed_in_the_order_of_acceptance
    lists_are_filtered_by_metadata_message_and_dead_letters
    summaries_count_by_service_state_and_reason
    a_retried_invocation_shows_its_last_retry
    a_group_is_stored_with_all_of_its_members
    a_group_is_due_once_its_last_member_has_ended
    a_group_without_members_is_due_at_once
    a_known_group_is_answered_and_nothing_is_stored
    nothing_of_a_group_is_stored_if_a_member_is_known
    members_are_kept_until_their_group_ends_and_as_long_as_the_group
    an_open_store_is_healthy_and_keeps_its_generation
    the_longest_due_invocation_of_each_service_is_found
    what_waits_for_its_key_is_not_due
    held_invocations_are_counted
    what_is_claimed_later_is_counted
    failures_are_counted_since_a_time_up_to_a_limit
    the_room_of_a_store_is_told
    keys_are_read_again_while_the_store_is_used
}

/// They leave tombstones.
#[tokio::test]
async fn the_memory_store_removes_the_oldest_outcomes_at_its_limit() {
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
