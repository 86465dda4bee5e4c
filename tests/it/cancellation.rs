//! Cancellation: a disconnected caller cancels its handler, hooks run, and every handler ends.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::{Context, Hooks, Node, Payload, Reply, Result};
use prost::Message as _;

use crate::support::raw::{INVOKE, Raw, framed, spawn};
use crate::support::{TestNode, until};

/// Records what happens.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line == text)
    }
}

impl Hooks for Diary {
    async fn after(&self, _: &Context, outcome: &mut Result<Reply>) {
        let reason = outcome.as_ref().err().map_or("ok", |error| error.reason());
        self.note(format!("after {reason}"));
    }

    async fn finally(&self, _: &Context) {
        self.note("finally");
    }
}

fn invoke(service: &str) -> bytes::Bytes {
    framed(
        &v1::InvokeRequest {
            service: service.to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
    )
}

#[tokio::test]
async fn a_reset_stream_cancels_the_handler_and_runs_finally() {
    let diary = Diary::default();
    let notes = diary.clone();
    let waiter = move |ctx: Context| {
        let notes = notes.clone();
        async move {
            notes.note("started");
            ctx.cancelled().await;
            notes.note("cancelled");
            Err::<(), _>(cidery::Error::cancelled("GONE", "the caller is gone"))
        }
    };
    let builder = Node::builder()
        .hooks(diary.clone())
        .service("waiter", waiter);
    let node = TestNode::start(builder).await;
    let mut raw = Raw::connect(node.address()).await;
    let (response, mut send) = raw.begin(INVOKE, &[]);
    send.send_data(invoke("waiter"), true).unwrap();
    until("it started", || diary.has("started")).await;
    send.send_reset(h2::Reason::CANCEL);
    drop(response);
    until("finally ran", || diary.has("finally")).await;
    assert!(diary.has("cancelled"));
    assert!(diary.has("after GONE"));
    node.assert_healthy().await;
}

#[tokio::test]
async fn a_lost_connection_cancels_its_calls() {
    let diary = Diary::default();
    let notes = diary.clone();
    let waiter = move |ctx: Context| {
        let notes = notes.clone();
        async move {
            notes.note("started");
            ctx.cancelled().await;
            notes.note("cancelled");
        }
    };
    let node = TestNode::start(Node::builder().service("waiter", waiter)).await;
    let address = node.address();
    let caller = spawn(async move {
        Raw::connect(address)
            .await
            .call(INVOKE, &[], invoke("waiter"))
            .await;
    });
    until("it started", || diary.has("started")).await;
    caller.abort();
    until("it was cancelled", || diary.has("cancelled")).await;
}

/// A handler that ignores its cancellation is dropped after the grace period, and its hooks run.
#[tokio::test(start_paused = true)]
async fn a_handler_that_never_ends_is_dropped_after_the_grace_period() {
    let diary = Diary::default();
    let node = Node::builder()
        .hooks(diary.clone())
        .service("never", async |_: Payload| {
            std::future::pending::<()>().await
        })
        .no_listener()
        .start()
        .await
        .unwrap();
    let error = node.invoke("never", ()).await.unwrap_err();
    assert_eq!(error.reason(), "DEADLINE_EXCEEDED");
    assert_eq!(node.invoker().running_handlers(), 1);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(node.invoker().running_handlers(), 0);
    assert!(diary.has("after CANCELLED") && diary.has("finally"));
}

#[tokio::test]
async fn a_dropped_nested_call_is_cancelled() {
    let diary = Diary::default();
    let notes = diary.clone();
    let inner = move |ctx: Context| {
        let notes = notes.clone();
        async move {
            ctx.cancelled().await;
            notes.note("inner cancelled");
        }
    };
    async fn outer(ctx: Context) -> Result<&'static str> {
        tokio::select! {
            biased;
            _ = ctx.invoke("inner", ()).into_future() => Ok("answered"),
            () = tokio::task::yield_now() => Ok("gave up"),
        }
    }
    let node = Node::builder()
        .service("inner", inner)
        .service("outer", outer)
        .no_listener()
        .start()
        .await
        .unwrap();
    let reply: String = node.invoke("outer", ()).await.unwrap().parse().unwrap();
    assert_eq!(reply, "gave up");
    until("the inner one was cancelled", || {
        diary.has("inner cancelled")
    })
    .await;
    until("all permits are free", || {
        node.invoker().running_handlers() == 0
    })
    .await;
}
