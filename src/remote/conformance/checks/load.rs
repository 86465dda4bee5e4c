//! Dispatches under load: many at the same time, overdue, cancelled, large, in batches.

use std::time::Duration;

use crate::codec::convert::{duration_to_proto, failure_to_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::Capability;
use crate::codec::proto::v1::serve_response::Message;
use crate::engine::clock::Clock;
use crate::model::error::{Error, reason};
use crate::remote::conformance::dispatches::large_dispatch;
use crate::remote::conformance::report::{CheckResult, Stop};
use crate::remote::conformance::rules;
use crate::remote::conformance::run::Run;

/// The grace period of a cancelled dispatch, as in a node.
const GRACE: Duration = Duration::from_secs(5);
/// The most dispatches in one batch, as from a node.
const MAX_BATCH: usize = 64;

/// Sends as many dispatches as the worker accepts at the same time.
pub(in crate::remote::conformance) async fn concurrent(run: &mut Run) -> CheckResult {
    let (timeout, count) = (run.timeout, run.in_flight());
    let dispatches = many(run, count)?;
    let tokens = tokens_of(&dispatches);
    let stream = run.stream().await?;
    for dispatch in dispatches {
        stream.dispatch(dispatch).await;
    }
    if !stream.answers(&tokens, timeout).await? {
        let answered = stream.answered(&tokens);
        let seconds = timeout.as_secs_f64();
        let seen = format!(
            "of {count} dispatches at the same time, {answered} were answered within {seconds} s"
        );
        return Err(rules::CREDIT.broken(seen).into());
    }
    let announced = run.announced_in_flight();
    Ok(Some(match announced > count {
        true => format!("{count} at the same time, of {announced} announced"),
        false => format!("{count} at the same time"),
    }))
}

/// Sends a dispatch whose deadline has passed.
pub(in crate::remote::conformance) async fn overdue(run: &mut Run) -> CheckResult {
    let timeout = run.timeout;
    let mut dispatch = run.dispatch()?;
    dispatch.timeout = Some(duration_to_proto(Duration::from_millis(1)));
    dispatch.deadline = Some(timestamp_to_proto(Clock::System.now()));
    let tokens = [dispatch.token.clone()];
    let stream = run.stream().await?;
    stream.dispatch(dispatch).await;
    if stream.answers(&tokens, timeout).await? {
        return Ok(None);
    }
    let seen = format!("no result within {} s", timeout.as_secs_f64());
    Err(rules::OVERDUE.broken(seen).into())
}

/// Sends a dispatch and cancels it.
pub(in crate::remote::conformance) async fn cancel(run: &mut Run) -> CheckResult {
    run.need(Capability::Cancel)?;
    let grace = run.timeout.min(GRACE);
    let dispatch = run.dispatch()?;
    let tokens = [dispatch.token.clone()];
    let error = Error::cancelled(reason::CANCELLED, "the outcome is no longer needed");
    let cancel = v1::CancelDispatch {
        token: dispatch.token.clone(),
        failure: Some(failure_to_proto(&error)),
    };
    let stream = run.stream().await?;
    stream.dispatch(dispatch).await;
    stream.send(Message::Cancel(cancel)).await;
    if stream.answers(&tokens, grace).await? {
        return Ok(None);
    }
    let seen = format!("no result within {} s of the cancel", grace.as_secs_f64());
    Err(rules::CANCEL.broken(seen).into())
}

/// Sends an input that is nearly as large as the worker accepts.
pub(in crate::remote::conformance) async fn large_input(run: &mut Run) -> CheckResult {
    let timeout = run.timeout;
    let dispatch = large_dispatch(&*run.probe()?, timeout, run.max_message_bytes());
    let bytes = prost::Message::encoded_len(&dispatch);
    let tokens = [dispatch.token.clone()];
    let stream = run.stream().await?;
    stream.dispatch(dispatch).await;
    let seen = match stream.answers(&tokens, timeout).await {
        Ok(true) => return Ok(Some(format!("{bytes} bytes"))),
        Ok(false) => format!("no result within {} s", timeout.as_secs_f64()),
        Err(fault) => fault.seen,
    };
    Err(rules::MESSAGE_BYTES
        .broken(format!("a dispatch with {bytes} bytes: {seen}"))
        .into())
}

/// Sends dispatches in one message.
pub(in crate::remote::conformance) async fn batches(run: &mut Run) -> CheckResult {
    run.need(Capability::Batching)?;
    let (timeout, count) = (run.timeout, run.in_flight().min(MAX_BATCH));
    let dispatches = many(run, count)?;
    let tokens = tokens_of(&dispatches);
    let stream = run.stream().await?;
    stream.dispatch_batch(dispatches).await;
    if stream.answers(&tokens, timeout).await? {
        return Ok(Some(format!("{count} in one message")));
    }
    let answered = stream.answered(&tokens);
    let seen = format!("of {count} dispatches in one message, {answered} were answered");
    Err(rules::BATCHES.broken(seen).into())
}

fn many(run: &Run, count: usize) -> Result<Vec<v1::Dispatch>, Stop> {
    (0..count).map(|_| run.dispatch()).collect()
}

fn tokens_of(dispatches: &[v1::Dispatch]) -> Vec<String> {
    dispatches.iter().map(|it| it.token.clone()).collect()
}
