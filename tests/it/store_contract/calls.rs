//! The synchronous calls that an attempt made.

use std::time::Duration;

use cidery::engine::store::Store;
use cidery::model::invocation::{EventKind, NestedCall, NestedCalls};

use crate::support::stored::{NOW, accepted, at, claimed, event, found, service, succeeded};

pub(super) async fn the_calls_of_an_attempt_are_kept(store: &dyn Store) {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    let call = |failure| NestedCall {
        service: service("a.called"),
        caller: service("a"),
        depth: 1,
        start: at(1),
        duration: Duration::from_millis(3),
        failure,
    };
    let failure = cidery::Error::not_found("NO_RECORD", "");
    let calls = NestedCalls {
        calls: vec![call(None), call(Some(failure))],
        omitted: 7,
    };
    let mut ended = succeeded(cid);
    let worker = String::new();
    ended
        .events
        .insert(0, event(2, EventKind::Started { worker, calls }));
    ended.events[1] = event(3, ended.events[1].kind.clone());
    assert!(store.record(ended).await.unwrap());
    let found = found(store, cid).await;
    let EventKind::Started { calls, .. } = &found.events[1].kind else {
        panic!("{:?}", found.events);
    };
    let kept = calls.calls.iter().map(|call| {
        let reason = call.failure.as_ref().map(cidery::Error::reason);
        (
            call.service.as_str(),
            call.caller.as_str(),
            call.depth,
            call.start,
            call.duration,
            reason,
        )
    });
    let took = Duration::from_millis(3);
    assert_eq!(
        kept.collect::<Vec<_>>(),
        [
            ("a.called", "a", 1, at(1), took, None),
            ("a.called", "a", 1, at(1), took, Some("NO_RECORD")),
        ]
    );
    assert_eq!(calls.omitted, 7);
}
