//! The contract of groups.

use cidery::engine::store::{Acceptance, Filter, Record, Store, Stored};
use cidery::model::invocation::{Invocation, State};
use cidery::{Cid, ServiceName};

use super::{with_request, with_terms};
use crate::support::stored::{
    NOW, accepted, at, claimed, claimed_of, found, group, service, succeeded,
};

fn cids(members: &[Invocation]) -> Vec<Cid> {
    members.iter().map(|member| member.request.cid).collect()
}

async fn stored(store: &dyn Store, members: u32) -> (Cid, Vec<Cid>) {
    let (group, members) = group(members);
    let (cid, of_members) = (group.request.cid, cids(&members));
    let acceptance = store.accept_group(group, members).await.unwrap();
    assert!(matches!(acceptance, Acceptance::Stored), "{acceptance:?}");
    (cid, of_members)
}

async fn due_groups(store: &dyn Store) -> Vec<Cid> {
    claimed_of(store, &ServiceName::none(), NOW, 10).await
}

pub(super) async fn a_group_is_stored_with_all_of_its_members(store: &dyn Store) {
    let (cid, members) = stored(store, 3).await;
    let group = found(store, cid).await;
    assert!(group.waits_for_members());
    assert_eq!(group.open_members, 3);
    assert_eq!(group.request.group().unwrap().on_each, [service("each")]);
    let places = members.iter().copied().zip(0..).map(|(cid, n)| (n, cid));
    assert_eq!(
        store.members(cid).await.unwrap(),
        places.collect::<Vec<_>>()
    );
    let second = found(store, members[1]).await;
    assert_eq!(second.request.member().unwrap().group, cid);
    assert_eq!(second.request.member().unwrap().position, 1);
    assert_eq!(
        (
            store.pending_count(&service("a")),
            store.pending_count(&service("b"))
        ),
        (2, 1)
    );
    let of_group = Filter {
        group: Some(cid),
        ..Filter::default()
    };
    let page = store.list(of_group, None, 10).await.unwrap();
    assert_eq!(page.invocations.len(), 3);
    let running = Filter {
        include_waiting: true,
        ..Filter::default()
    };
    let page = store.list(running, None, 10).await.unwrap();
    assert_eq!(cids(&page.invocations), [cid]);
}

pub(super) async fn a_group_is_due_once_its_last_member_has_ended(store: &dyn Store) {
    let (cid, members) = stored(store, 2).await;
    assert_eq!(due_groups(store).await, []);
    claimed(store, "a", NOW, 1).await;
    assert!(store.record(succeeded(members[0])).await.unwrap());
    assert_eq!(due_groups(store).await, []);
    assert_eq!(found(store, cid).await.open_members, 1);
    // A member that ends without a claim counts as well, and once.
    assert!(store.record(succeeded(members[1])).await.unwrap());
    assert!(!store.record(succeeded(members[1])).await.unwrap());
    assert_eq!(due_groups(store).await, [cid]);
    assert_eq!(due_groups(store).await, []);
    assert!(store.record(succeeded(cid)).await.unwrap());
    let ended = found(store, cid).await;
    assert_eq!((ended.state, ended.open_members), (State::Succeeded, 0));
}

pub(super) async fn a_group_without_members_is_due_at_once(store: &dyn Store) {
    let (cid, members) = stored(store, 0).await;
    assert!(members.is_empty());
    assert_eq!(store.services_with_pending().await.unwrap(), []);
    assert_eq!(due_groups(store).await, [cid]);
}

pub(super) async fn a_known_group_is_answered_and_nothing_is_stored(store: &dyn Store) {
    let (first, members) = group(2);
    let key = |invocation| with_terms(invocation, |terms| terms.idempotency_key = Some("k".into()));
    let first = key(first);
    let cid = first.request.cid;
    store.accept_group(first.clone(), members).await.unwrap();
    let (_, others) = group(2);
    let same_cid = store.accept_group(first, others).await.unwrap();
    let (other, others) = group(2);
    let same_key = store.accept_group(key(other), others).await.unwrap();
    for known in [same_cid, same_key] {
        let Acceptance::Known(known) = known else {
            panic!("stored twice: {known:?}");
        };
        assert_eq!(known.cid, cid);
    }
    assert_eq!(store.pending_count(&service("a")), 1);
}

pub(super) async fn nothing_of_a_group_is_stored_if_a_member_is_known(store: &dyn Store) {
    let before = accepted(store, "a", NOW).await;
    let (other, mut members) = group(3);
    members[1] = with_request(members[1].clone(), |request| request.cid = before);
    let answer = store
        .accept_group(other.clone(), members.clone())
        .await
        .unwrap();
    assert!(matches!(answer, Acceptance::MemberKnown(cid) if cid == before));
    let unknown = store.get(other.request.cid).await.unwrap();
    assert!(matches!(unknown, Stored::Unknown));
    let unknown = store.get(members[0].request.cid).await.unwrap();
    assert!(matches!(unknown, Stored::Unknown));
    assert_eq!(
        (
            store.pending_count(&service("a")),
            store.total_pending_count()
        ),
        (1, 1)
    );
    // Other groups are not affected.
    stored(store, 2).await;
    assert_eq!(store.pending_count(&service("b")), 1);
}

pub(super) async fn members_are_kept_until_their_group_ends_and_as_long_as_the_group(
    store: &dyn Store,
) {
    let (cid, members) = stored(store, 2).await;
    let is_there = async |cid| matches!(store.get(cid).await.unwrap(), Stored::Found(_));
    let ended = |cid, seconds| Record {
        purge_time: Some(at(seconds)),
        tombstone_until: Some(at(seconds + 10)),
        ..succeeded(cid)
    };
    assert!(store.record(ended(members[0], 10)).await.unwrap());
    assert_eq!(store.purge(at(100), 10).await.unwrap(), 0);
    assert!(!store.remove(members[0]).await.unwrap());
    assert!(is_there(members[0]).await);
    assert!(store.record(ended(members[1], 300)).await.unwrap());
    assert_eq!(due_groups(store).await, [cid]);
    assert!(store.record(ended(cid, 200)).await.unwrap());
    assert_eq!(store.purge(at(199), 10).await.unwrap(), 0);
    assert_eq!(found(store, members[0]).await.purge_time, Some(at(200)));
    assert_eq!(found(store, members[1]).await.purge_time, Some(at(300)));
    assert_eq!(store.purge(at(200), 10).await.unwrap(), 2);
    assert!(!is_there(members[0]).await && is_there(members[1]).await);
    assert!(store.remove(members[1]).await.unwrap());
}
