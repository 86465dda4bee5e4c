//! A node whose store is shared with others. What they do is done here to the store itself, past the node, which hears
//! and counts nothing of it.

use std::sync::Arc;
use std::time::Duration;

use cidery::engine::access::{KeyRing, NewApiKey, Presented};
use cidery::engine::clock::Clock;
use cidery::engine::store::{Acceptance, Store};
use cidery::engine::{FollowRequest, Follower, FollowerEvent};
use cidery::model::access::{Principal, Quota, Rights};
use cidery::model::invocation::Invocation;
use cidery::model::service_control::{ControlCause, Paused, ServiceControl};
use cidery::store::MemoryStore;
use cidery::{Cid, Node, NodeHandle, dict};
use jiff::Timestamp;

use crate::support::PATIENCE;
use crate::support::gated::GatedStore;
use crate::support::stored::{NOW, claimed, group, invocation, service, succeeded};

async fn node() -> NodeHandle {
    let builder = Node::builder().store(GatedStore::shared()).no_listener();
    let node = builder.start().await.unwrap();
    idle().await;
    node
}

/// Waits until all tasks of the node wait: only then does the paused clock go on.
async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// An invocation that has been due since long ago.
fn due(name: &str) -> Invocation {
    invocation(name, Timestamp::UNIX_EPOCH, dict! {})
}

async fn assert_stored(store: &dyn Store, one: Invocation) -> Cid {
    let cid = one.request.cid;
    let accepted = store.accept(one).await.unwrap();
    assert!(matches!(accepted, Acceptance::Stored), "{accepted:?}");
    cid
}

fn follow(node: &NodeHandle, cid: Cid) -> Follower {
    let request = FollowRequest {
        cids: vec![(cid, 0)],
        ..FollowRequest::default()
    };
    node.invoker().follow(request).unwrap()
}

/// Reads to the end.
async fn assert_ends(mut follower: Follower) {
    let end = async {
        while let Some(followed) = follower.next().await.unwrap() {
            assert!(!matches!(followed, FollowerEvent::NotFound { .. }));
        }
    };
    let ended = tokio::time::timeout(PATIENCE, end).await;
    ended.expect("it does not end");
}

#[tokio::test(start_paused = true)]
async fn what_another_node_accepted_runs() {
    let node = node().await;
    let cid = assert_stored(node.invoker().store(), due("cidery.echo")).await;
    assert_ends(follow(&node, cid)).await;
    // Again, now that the scheduler of the service has found nothing more.
    idle().await;
    let cid = assert_stored(node.invoker().store(), due("cidery.echo")).await;
    assert_ends(follow(&node, cid)).await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_sees_what_ended_elsewhere() {
    let node = node().await;
    let store = node.invoker().store();
    // Not served here.
    let cid = assert_stored(store, due("elsewhere")).await;
    let mut follower = follow(&node, cid);
    let first = follower.next().await.unwrap();
    assert!(matches!(first, Some(FollowerEvent::Event(..))), "{first:?}");
    assert_eq!(claimed(store, "elsewhere", NOW, 1).await, [cid]);
    assert!(store.record(succeeded(cid)).await.unwrap());
    assert_ends(follower).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_node_pauses_is_paused_here_until_it_resumes_it() {
    let node = node().await;
    let store = node.invoker().store();
    let echo = service("cidery.echo");
    let control = ServiceControl {
        paused: Some(Paused {
            background_only: false,
            cause: ControlCause::default(),
            time: NOW,
        }),
        ..ServiceControl::none(echo.clone())
    };
    let call = async || node.invoke("cidery.echo", dict! {}).await;
    store.set_control(control).await.unwrap();
    let mut changes = node.invoker().service_changes();
    changes.changed().await.unwrap();
    assert_eq!(call().await.unwrap_err().reason(), "SERVICE_PAUSED");
    store.remove_control(echo).await.unwrap();
    changes.changed().await.unwrap();
    call().await.unwrap();
}

#[tokio::test]
async fn a_key_that_another_node_revokes_is_refused_here() {
    let store = Arc::new(MemoryStore::new());
    let ring = async || KeyRing::load(store.clone(), Clock::System).await.unwrap();
    let (one, other) = (ring().await, ring().await);
    let new = NewApiKey {
        principal: Principal::known("anna"),
        group: None,
        rights: Rights::all(),
        quota: Quota::default(),
        ttl: None,
        created_by: None,
    };
    let (key, secret) = one.create(new).await.unwrap();
    other.refresh().await.unwrap();
    let valid = other.present(secret.expose());
    assert!(matches!(valid, Presented::Valid(_)), "{valid:?}");
    one.revoke(&key.id).await.unwrap();
    other.refresh().await.unwrap();
    let refused = other.present(secret.expose());
    assert!(matches!(refused, Presented::Refused(..)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_ends_whose_members_ended_elsewhere() {
    let node = node().await;
    let (mut all, members) = group(0);
    let mut request = (*all.request).clone();
    request.accept_time = Timestamp::UNIX_EPOCH;
    all = Invocation::accepted(request, 1);
    let cid = all.request.cid;
    let store = node.invoker().store();
    store.accept_group(all, members).await.unwrap();
    assert_ends(follow(&node, cid)).await;
}
