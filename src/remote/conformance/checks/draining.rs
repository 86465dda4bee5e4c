//! The node stops: a worker that can drain finishes its dispatches.

use crate::codec::convert::duration_to_proto;
use crate::codec::proto::v1;
use crate::codec::proto::v1::Capability;
use crate::codec::proto::v1::serve_response::Message;
use crate::model::error::{Error, reason};
use crate::remote::conformance::report::CheckResult;
use crate::remote::conformance::rules;
use crate::remote::conformance::run::{Run, status};

/// Drains the worker while it has a dispatch.
pub(in crate::remote::conformance) async fn by_the_node(run: &mut Run) -> CheckResult {
    run.need(Capability::Drain)?;
    let timeout = run.timeout;
    let dispatch = run.dispatch()?;
    let tokens = [dispatch.token.clone()];
    let mut stream = run.take_stream().await?;
    stream.dispatch(dispatch).await;
    let drain = v1::NodeDrain {
        grace: Some(duration_to_proto(timeout)),
    };
    stream.send(Message::Drain(drain)).await;
    let seen = match stream.answers(&tokens, timeout).await {
        Ok(true) => None,
        Ok(false) => Some(format!("no result within {} s", timeout.as_secs_f64())),
        Err(fault) => Some(fault.seen),
    };
    let stopping = Error::unavailable(reason::NODE_STOPPING, "the node is stopping");
    stream.end(status(&stopping)).await;
    if let Some(seen) = seen {
        let seen = format!("a dispatch before `drain` was not answered: {seen}");
        return Err(rules::DRAIN.broken(seen).into());
    }
    let dial = run.reconnects().await?;
    let stream = run.accept(dial, &[]).await?;
    run.set_stream(stream);
    Ok(None)
}
