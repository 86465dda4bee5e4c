//! A node whose store is shared with others. What they do is done here to the store itself, past the node, which hears
//! and counts nothing of it.

use std::time::Duration;

use cidery::engine::store::{Acceptance, Store};
use cidery::engine::{FollowRequest, Follower, FollowerEvent};
use cidery::model::invocation::Invocation;
use cidery::{Cid, Node, NodeHandle, dict};
use jiff::Timestamp;

use crate::support::PATIENCE;
use crate::support::gated::GatedStore;
use crate::support::stored::{group, invocation};

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
