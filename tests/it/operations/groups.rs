//! Operations over groups: their members count in the rate.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::dict;
use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};

use super::{cancel, has_ended, id, of, request, run, start, start_manual, started};

/// A group is selected together with its members: each counts once, in one page as over several, in which the group may
/// have ended with its last member before its turn.
#[tokio::test]
async fn a_group_and_its_members_count_once_each() {
    let open = || v1::InvocationFilter {
        states: [v1::State::Pending, v1::State::Running]
            .map(i32::from)
            .to_vec(),
        ..v1::InvocationFilter::default()
    };
    let folder = crate::support::Folder::new("groups-count-once");
    for (on_disk, rate) in [(None, 0), (None, 200), (Some(&folder), 20)] {
        let node = start(cidery::Node::builder(), on_disk).await;
        let client = &node.client;
        let mut groups = Vec::new();
        for members in [1, 12, 3] {
            let batch = Batch::of((0..members).map(|_| due_later())).unwrap();
            groups.push(client.invoke_batch(batch).await.unwrap().cid);
            // Of no group.
            client.invoke_async(due_later()).await.unwrap();
        }
        let request = v1::StartOperationRequest {
            max_per_second: rate,
            ..request(cancel(""), open())
        };
        let ended = run(client, request).await;
        let counts = (ended.matched, ended.processed, ended.changed);
        assert_eq!(counts, (22, 22, 22), "{rate}: {ended:?}");
        for group in groups {
            crate::support::ended(client, group).await;
        }
        assert_eq!(client.summarize(open()).await.unwrap().total, 0);
        node.handle.stop().await;
    }
}

fn due_later() -> Call {
    let mut call = Call::new("cidery.echo", dict! {});
    call.durable().start = Some(Start::After(Duration::from_secs(3_600)));
    call
}

/// With a clock that stands still, so many members of a group are cancelled as the rate allows.
#[tokio::test]
async fn the_members_of_a_group_are_cancelled_at_the_rate_of_the_operation() {
    let (node, clock) = start_manual(None).await;
    let client = &node.client;
    let batch = Batch::of((0..12).map(|_| due_later())).unwrap();
    let group = client.invoke_batch(batch).await.unwrap();
    let cancelled = async || {
        let cancelled = of("cidery.echo", &[v1::State::Cancelled]);
        client.summarize(cancelled).await.unwrap().total
    };
    // The group alone: its members are pending.
    let running = v1::InvocationFilter {
        states: vec![v1::State::Running.into()],
        ..v1::InvocationFilter::default()
    };
    let slow = v1::StartOperationRequest {
        max_per_second: 10,
        ..request(cancel(""), running)
    };
    let operation = started(client, slow).await;
    assert_eq!(operation.matched, 1);
    for seen in [5, 10] {
        let wait = async {
            while cancelled().await < seen {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::support::PATIENCE, wait)
            .await
            .unwrap();
        clock.advance(Duration::from_millis(499));
        assert_eq!(cancelled().await, seen);
        clock.advance(Duration::from_millis(1));
    }
    let ended = async {
        loop {
            let now = client.operation(id(&operation), false).await.unwrap();
            if has_ended(&now) {
                return now;
            }
            clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(crate::support::PATIENCE, ended)
        .await
        .unwrap();
    assert_eq!((ended.processed, ended.changed), (1, 1), "{ended:?}");
    assert!(ended.refusals.is_empty(), "{ended:?}");
    assert_eq!(cancelled().await, 12);
    let found = crate::support::ended(client, group.cid).await;
    assert_eq!(found.state(), v1::State::Succeeded);
    node.handle.stop().await;
}
