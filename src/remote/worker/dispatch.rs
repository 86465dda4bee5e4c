//! One dispatch at a worker: its handler runs, and what it answers is told to the node.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::outcome::{Answered, result};
use super::platform::WorkerPlatform;
use super::session::Session;
use crate::codec::convert::{PayloadOneof as _, metadata_from_proto, progress_from_proto};
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::InReplyTo;
use crate::model::metadata::TRACEPARENT;
use crate::model::payload::Payload;
use crate::remote::wire;
use crate::service::{CatchUnwind, Context, InvocationInfo, Platform as _, run};

/// Runs the handler of a dispatch.
pub(super) fn handle(session: &Arc<Session>, channel: Channel, dispatch: Box<v1::Dispatch>) {
    // Otherwise it is one that was sent again though it had arrived.
    let Some(cancel) = session.begin(&dispatch.token) else {
        return;
    };
    let worker = Arc::clone(session);
    session.shared().tasks().spawn("dispatch", async move {
        let token = dispatch.token.clone();
        let outcome = answer(&worker, channel, dispatch, cancel).await;
        worker.end(Box::new(result(token, outcome)));
    });
}

async fn answer(
    session: &Arc<Session>,
    channel: Channel,
    dispatch: Box<v1::Dispatch>,
    cancel: CancellationToken,
) -> Result<Answered> {
    let shared = session.shared();
    let definition = shared.handlers.get(&dispatch.service).ok_or_else(|| {
        let message = format!("this worker does not serve `{}`", dispatch.service);
        Error::not_found(reason::SERVICE_UNKNOWN, message)
    })?;
    let token = dispatch.token.clone();
    let path = wire::given(dispatch.path.clone());
    let (facts, input) = read(*dispatch, definition.name())?;
    let input = definition.admit(input)?.input;
    let platform = WorkerPlatform::new(Arc::clone(session), channel, token, path, facts.deadline);
    let platform = Arc::new(platform);
    let span =
        tracing::info_span!("invocation", cid = %facts.cid, service.name = facts.service.as_str());
    let states = Arc::clone(&shared.states);
    let context = Context::new(facts, cancel, Arc::clone(&platform) as _, states);
    let (future, _) = run(definition, &shared.hooks, None, context, input);
    let handled = CatchUnwind(future).inspect_err(|error| {
        tracing::debug!(reason = error.reason(), trace = error.trace(), "{error}");
    });
    let reply = tracing::Instrument::instrument(handled, span).await?;
    Ok(match platform.answers_later() {
        Some(_) => Answered::Later,
        None => Answered::Now(
            definition.strip_response_elem(reply)?,
            platform.follow_ups(),
        ),
    })
}

fn read(dispatch: v1::Dispatch, service: &ServiceName) -> Result<(InvocationInfo, Payload)> {
    let format = wire::format_of_document(dispatch.data_format)?;
    let input = dispatch.input.and_then(|input| input.into_payload(format));
    let mut metadata = metadata_from_proto(dispatch.metadata)?;
    if !dispatch.traceparent.is_empty() && metadata.get(TRACEPARENT).is_none() {
        metadata.insert(TRACEPARENT, &dispatch.traceparent);
    }
    let cid: Cid = dispatch.cid.parse()?;
    let optional = |text: String| {
        wire::given(text)
            .map(|text| text.parse::<Cid>())
            .transpose()
    };
    let root = match dispatch.root_cid == dispatch.cid {
        true => None,
        false => optional(dispatch.root_cid)?,
    };
    let in_reply_to = match optional(dispatch.in_reply_to)? {
        None => None,
        Some(cid) => Some(InReplyTo {
            cid,
            service: ServiceName::from_record(&dispatch.in_reply_to_service)?,
            attempt: dispatch.in_reply_to_attempt,
        }),
    };
    let timeout = dispatch
        .timeout
        .and_then(|timeout| Duration::try_from(timeout).ok());
    let last_progress = dispatch
        .last_progress
        .map(progress_from_proto)
        .transpose()?;
    let facts = InvocationInfo {
        cid,
        service: service.clone(),
        attempt: dispatch.attempt,
        deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        metadata: Arc::new(metadata),
        parent: optional(dispatch.parent_cid)?,
        root: root.unwrap_or(cid),
        asynchronous: dispatch.asynchronous,
        last_progress,
        in_reply_to,
    };
    Ok((facts, input.unwrap_or(Payload::empty())))
}
