//! Callbacks, and invocations that are accepted with a response.

use std::time::Duration;

use cidery::model::call::{Call, Start};
use cidery::model::invocation::State;
use cidery::{Cid, Context, Dict, Error, Node, Value, dict};
use tokio::sync::mpsc;

use super::{accept, call, ended, over_each_store, start};
use crate::support::Folder;

over_each_store! {
    callbacks_receive_the_outcome_and_its_origin
    callbacks_to_unknown_services_are_rejected
    follow_ups_are_accepted_atomically_with_the_response
}

async fn callbacks_receive_the_outcome_and_its_origin(disk: Option<&Folder>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let listen = move |ctx: Context, input: Value| {
        let sender = sender.clone();
        async move {
            let reply = ctx.in_reply_to().cloned().unwrap();
            sender.send((ctx.cid(), reply, input)).unwrap();
        }
    };
    let node = start(Node::builder().service("listen", listen), disk).await;
    let with_callbacks = |mut call: Call| {
        call.durable().callbacks = vec!["listen".to_owned()];
        call.durable().failure_callbacks = vec!["listen".to_owned(), "listen".to_owned()];
        call
    };
    let good = accept(
        &node,
        with_callbacks(call("customer.get", dict! { "cust_id": 1 })),
    )
    .await;
    let (callback, reply, input) = receiver.recv().await.unwrap();
    assert_eq!(
        (reply.cid, reply.service.as_str(), reply.attempt),
        (good, "customer.get", 1)
    );
    assert_eq!(input["cust_name"], Value::from("Alexis Smith"));
    let found = ended(&node, callback).await.invocation;
    assert_eq!(
        (found.state, found.request.parent),
        (State::Succeeded, Some(good))
    );
    let failing = dict! { "code": "NOT_FOUND", "message": "gone" };
    let bad = accept(&node, with_callbacks(call("demo.fail", failing))).await;
    for _ in 0..2 {
        let (_, reply, input) = receiver.recv().await.unwrap();
        assert_eq!(reply.cid, bad);
        assert_eq!(input["code"], Value::from("NOT_FOUND"));
        assert_eq!(input["reason"], Value::from("DEMO_FAILED"));
        assert_eq!(input["message"], Value::from("gone"));
    }
    // Cancelled and expired invocations invoke failure callbacks as well.
    let waits = || {
        let mut call = with_callbacks(call("demo.sleep", dict! { "seconds": 60 }));
        call.durable().start = Some(Start::After(Duration::from_secs(3_600)));
        call
    };
    let cancelled = accept(&node, waits()).await;
    node.invoker().cancel(cancelled, None).await.unwrap();
    let mut short = waits();
    short.durable().expiration = Some(Duration::from_millis(10));
    let expired = accept(&node, short).await;
    for (cid, reason) in [(cancelled, "CANCELLED"), (expired, "EXPIRED")] {
        for _ in 0..2 {
            let (_, reply, input) = receiver.recv().await.unwrap();
            assert_eq!((reply.cid, &input["reason"]), (cid, &Value::from(reason)));
        }
    }
    node.stop().await;
}

async fn callbacks_to_unknown_services_are_rejected(disk: Option<&Folder>) {
    let node = start(Node::builder(), disk).await;
    let mut call = call("customer.get", dict! { "cust_id": 1 });
    call.durable().failure_callbacks = vec!["no.such".to_owned()];
    let error = node.invoker().invoke_async(call).await.unwrap_err();
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    node.stop().await;
}

async fn follow_ups_are_accepted_atomically_with_the_response(disk: Option<&Folder>) {
    let handler = |ctx: Context, input: Dict| async move {
        let next = ctx
            .invoke_async("customer.get", dict! { "cust_id": 1 })
            .with_outcome()
            .await?;
        let found = input["fails"] == Value::from(true);
        match found {
            true => Err(Error::not_found("FAILED", next.to_string())),
            false => Ok(dict! { "next": next.to_string() }),
        }
    };
    let node = start(Node::builder().service("first", handler), disk).await;
    let good = accept(&node, call("first", dict! {})).await;
    let reply = ended(&node, good)
        .await
        .invocation
        .outcome()
        .unwrap()
        .unwrap();
    let value = cidery::codec::payload::decode(reply.payload).unwrap();
    let next = Cid::parse(value["next"].as_text().unwrap()).unwrap();
    let found = ended(&node, next).await.invocation;
    assert_eq!(
        (found.state, found.request.parent),
        (State::Succeeded, Some(good))
    );
    let bad = accept(&node, call("first", dict! { "fails": true })).await;
    let error = ended(&node, bad)
        .await
        .invocation
        .outcome()
        .unwrap()
        .unwrap_err();
    let never = Cid::parse(error.message()).unwrap();
    let error = node
        .invoker()
        .find(never, Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "CID_UNKNOWN");
    node.stop().await;
}
