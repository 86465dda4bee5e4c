//! Operations over groups: their members count in the rate.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::dict;
use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};

use super::{cancel, has_ended, id, of, request, start_manual, started};

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
