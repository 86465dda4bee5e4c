//! Tests of the registry.

use std::sync::mpsc;

use tokio::time::Instant;

use super::*;
use crate::model::access::Caller;
use crate::model::call::Call;
use crate::model::id::{Cid, ServiceName};
use crate::model::value::Dict;
use crate::store::started_engine;

async fn registry() -> WorkerRegistry {
    let invoker = started_engine().await;
    WorkerRegistry::start(&invoker).await.unwrap()
}

fn hello(service: &str) -> v1::Hello {
    v1::Hello {
        services: vec![v1::ServiceDeclaration {
            name: service.to_owned(),
            ..v1::ServiceDeclaration::default()
        }],
        ..v1::Hello::default()
    }
}

#[tokio::test]
async fn a_nested_call_finds_its_dispatch_without_the_other_sessions() {
    let registry = registry().await;
    let stream = registry
        .register(hello("a.task"), String::new(), &Caller::Trusted)
        .await;
    let session = stream.unwrap().session;
    let (found, wait) = mpsc::channel();
    let _held = session.state();
    std::thread::spawn(move || {
        let context = registry.context(&Token::new().to_string(), &Caller::Trusted);
        found.send(context.map(drop)).unwrap();
    });
    let found = wait.recv_timeout(Duration::from_secs(10));
    let void = found.expect("the look-up waits for the lock of a session");
    assert_eq!(void.unwrap_err().reason(), reason::DISPATCH_VOID);
}

/// Many workers that leave at once cost one copy of the list each time half of it has left, not one each.
#[tokio::test]
async fn workers_that_left_are_removed_in_groups() {
    let registry = registry().await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        let stream = registry
            .register(hello("a.task"), String::new(), &Caller::Trusted)
            .await;
        sessions.push(stream.unwrap().session);
    }
    let name = ServiceName::parse("a.task").unwrap();
    let pool = Arc::clone(registry.0.table().services.pool(&name).unwrap());
    let mut lengths = Vec::new();
    for session in &sessions {
        registry.leave(session);
        lengths.push(pool.list_length());
        assert_eq!(pool.is_empty(), session.id() == sessions[7].id());
    }
    assert_eq!(lengths, [8, 8, 8, 4, 4, 2, 1, 0]);
}

/// A worker may be lost while dispatches are sent to it, before the end of its stream is noticed: the calls wait for
/// it as for any worker that is away, and those that fail may be made again.
#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_worker_whose_stream_breaks_before_its_dispatch() {
    let invoker = started_engine().await;
    let registry = WorkerRegistry::start(&invoker).await.unwrap();
    let stream = registry
        .register(hello("a.task"), String::new(), &Caller::Trusted)
        .await;
    let stream = stream.unwrap();
    drop(stream.outbound);
    let call = Call::new("a.task", Dict::new());
    let started = Instant::now();
    let error = invoker.invoke(Cid::new(), call).await.unwrap_err();
    assert_eq!(error.reason(), reason::NO_WORKER);
    assert_eq!(error.fact("service"), Some("a.task"));
    assert!(error.retry_after().is_some(), "{error:?}");
    assert!(started.elapsed() >= invoker.limits().away_wait);
    assert!(stream.session.is_away());
}
