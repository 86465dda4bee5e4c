//! The public client: it takes and returns types of the model.

use std::time::Duration;

use cidery::{
    Answer, Batch, Cid, Client, Context, Dict, Error, InvocationState, Kind, Node, NodeBuilder,
    NodeHandle, Result, Value, dict,
};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{PATIENCE, any_port};

const HOUR: Duration = Duration::from_secs(3_600);

async fn start(builder: NodeBuilder) -> (NodeHandle, Client) {
    let node = builder.demo().listen(any_port()).start().await.unwrap();
    let address = node.address().unwrap().to_string();
    let client = Client::connect(&address).await.unwrap().max_attempts(2);
    (node, client)
}

/// Fails unless its input has `fixed`.
async fn failing(input: Dict) -> Result<Dict> {
    match input.get("fixed") {
        Some(_) => Ok(input),
        None => Err(Error::failed_precondition("BROKEN", "is broken")),
    }
}

async fn outcome(client: &Client, cid: Cid) -> Result<Value> {
    let outcome = client.outcome(cid, PATIENCE).await.unwrap().unwrap();
    Ok(outcome?.into_value())
}

#[tokio::test]
async fn outcomes_are_replies_errors_or_absent() {
    let (_node, client) = start(Node::builder().service("a.failing", failing)).await;
    let input = dict! { "fixed": true };
    let ended = client.invoke_async("a.failing", input).await.unwrap();
    assert_eq!(
        outcome(&client, ended).await.unwrap(),
        Value::from(dict! { "fixed": true })
    );

    let failed = client.invoke_async("a.failing", ()).await.unwrap();
    assert_eq!(
        outcome(&client, failed).await.unwrap_err().reason(),
        "BROKEN"
    );

    let response = client.wait(ended).await.unwrap();
    assert_eq!(response.cid(), ended);
    assert!(response.at::<bool>("fixed").unwrap());
    let error = client.wait(failed).await.unwrap_err();
    assert_eq!((error.reason(), error.cid()), ("BROKEN", Some(failed)));

    let pending = client.invoke_async("a.failing", ()).delay(HOUR);
    let pending = pending.await.unwrap();
    let outcome = client.outcome(pending, Duration::ZERO).await.unwrap();
    assert!(outcome.is_none(), "{outcome:?}");

    let unknown = client.outcome(Cid::new(), Duration::ZERO).await;
    assert_eq!(unknown.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn invocations_are_cancelled_retried_and_purged_one_by_one() {
    let (_node, client) = start(Node::builder().service("a.failing", failing)).await;
    let pending = client.invoke_async("a.failing", ()).delay(HOUR);
    let pending = pending.await.unwrap();
    let not_ended = client.purge(pending).await.unwrap_err();
    assert_eq!(not_ended.reason(), "NOT_ENDED");
    let state = client.cancel(pending).await.unwrap();
    assert_eq!(state, InvocationState::Cancelled);
    let ended = client.cancel(pending).await.unwrap_err();
    assert_eq!(ended.reason(), "ENDED");

    let failed = client.invoke_async("a.failing", ()).await.unwrap();
    outcome(&client, failed).await.unwrap_err();
    let again = client.retry(failed, None).await.unwrap();
    outcome(&client, again).await.unwrap_err();
    let input = dict! { "fixed": 1 }.into();
    let fixed = client.retry(again, Some(input)).await.unwrap();
    assert_eq!(
        outcome(&client, fixed).await.unwrap(),
        Value::from(dict! { "fixed": 1 })
    );
    client.purge(fixed).await.unwrap();
    let gone = client.outcome(fixed, Duration::ZERO).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_completion_returns_the_state() {
    let (tokens, mut handles) = unbounded_channel();
    let approve = move |ctx: Context| {
        let tokens = tokens.clone();
        async move {
            let later = ctx.later()?;
            let _ = tokens.send((later.cid(), later.token()));
            Ok::<Answer<Dict>, Error>(Answer::Later(later))
        }
    };
    let (_node, client) = start(Node::builder().service("a.approval", approve)).await;
    let cid = client.invoke_async("a.approval", ()).await.unwrap();
    let (of_handler, token) = handles.recv().await.unwrap();
    assert_eq!(of_handler, cid);
    let response = Ok(dict! { "n": 1 }.into());
    let state = client.complete(cid, &token, response).await.unwrap();
    assert_eq!(state, InvocationState::Succeeded);
    assert_eq!(
        outcome(&client, cid).await.unwrap(),
        Value::from(dict! { "n": 1 })
    );
}

#[tokio::test]
async fn batches_and_services_are_types_of_the_model() {
    let (_node, client) = start(Node::builder().service("a.failing", failing)).await;
    let batch = Batch::of([("a.failing", dict! { "fixed": 1 }), ("a.failing", dict! {})]);
    let group = client.invoke_batch(batch.unwrap()).await.unwrap();
    let outcomes = client.join(&group).await.unwrap();
    let reasons: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().map(drop).map_err(Error::reason))
        .collect();
    assert_eq!(reasons, [Ok(()), Err("BROKEN")]);

    let services = client.services("a.").await.unwrap();
    let names: Vec<_> = services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert_eq!(names, ["a.failing"]);
}
