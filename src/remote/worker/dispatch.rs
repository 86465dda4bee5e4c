//! Runs the handler of a dispatch, and sends its result to the node.

use std::sync::Arc;
use std::time::Duration;

use crate::remote::protocol::credential::NodeChannel;
use futures_util::TryFutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::platform::WorkerPlatform;
use super::session::NodeSession;
use crate::codec::convert::{
    HandlerAnswer, PayloadOneof as _, dispatch_result_to_proto, document_format_from_proto,
    metadata_from_proto, progress_from_proto, text_from_proto,
};
use crate::codec::proto::v1;
use crate::model::access::{Principal, Principals};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{InReplyTo, RetryPolicy};
use crate::model::metadata::{TRACEPARENT, TRACESTATE};
use crate::model::payload::Payload;
use crate::service::{
    CatchUnwind, Context, Definition, HandlerFuture, HandlerScope, InvocationInfo, Platform as _,
    error_of_handler, log_attempt_failure, run,
};

/// Runs a dispatch in a task, unless it was received before on an earlier stream.
pub(super) fn spawn(
    session: &Arc<NodeSession>,
    channel: &Arc<NodeChannel>,
    dispatch: Box<v1::Dispatch>,
) {
    let Some(cancel) = session.start(&dispatch.token) else {
        return;
    };
    let (session, channel) = (Arc::clone(session), Arc::clone(channel));
    let tasks = session.shared().tasks().clone();
    tasks.spawn("dispatch", async move {
        let token = dispatch.token.clone();
        let answer = match Running::start(&session, channel, dispatch, cancel) {
            Ok(running) => running.answer().await,
            Err(error) => Err(error),
        };
        session.end(Box::new(dispatch_result_to_proto(token, answer)));
    });
}

/// A handler that runs while its answer is awaited.
struct Running {
    definition: Arc<Definition>,
    platform: Arc<WorkerPlatform>,
    handler: HandlerFuture,
    span: Span,
    has_attempts_left: bool,
}

impl Running {
    /// Starts the handler of a dispatch. A function of its own: a future would keep all that is made here.
    fn start(
        session: &Arc<NodeSession>,
        channel: Arc<NodeChannel>,
        dispatch: Box<v1::Dispatch>,
        cancel: CancellationToken,
    ) -> Result<Self> {
        let shared = session.shared();
        let definition = shared.handlers.get(&dispatch.service).ok_or_else(|| {
            let message = format!("this worker does not serve `{}`", dispatch.service);
            Error::not_found(reason::SERVICE_UNKNOWN, message)
        })?;
        let token = dispatch.token.clone();
        let path = text_from_proto(dispatch.path.clone());
        let (info, input) = read(*dispatch, definition.name())?;
        let input = definition.admit(input)?.input;
        let has_attempts_left = info.asynchronous && attempts_left(definition, info.attempt);
        let span = invocation_span(&info);
        let scope = HandlerScope {
            info,
            cancelled: cancel,
            states: Arc::clone(&shared.states),
        };
        let platform = WorkerPlatform::new(Arc::clone(session), channel, token, path, scope);
        let platform = Arc::new(platform);
        let context = Context::new(Arc::clone(&platform) as _);
        let (handler, _) = run(definition, &shared.hooks, None, context, input);
        Ok(Self {
            definition: Arc::clone(definition),
            platform,
            handler,
            span,
            has_attempts_left,
        })
    }

    async fn answer(self) -> Result<HandlerAnswer> {
        let Self {
            definition,
            platform,
            handler,
            span,
            has_attempts_left,
        } = self;
        let reply = CatchUnwind(handler)
            .map_err(|error| error_of_handler(error, definition.name().as_str()))
            .inspect_err(|error| log_attempt_failure(error, has_attempts_left));
        let reply = tracing::Instrument::instrument(reply, span).await?;
        Ok(match platform.answers_later() {
            Some(_) => HandlerAnswer::Later,
            None => HandlerAnswer::Now(
                definition.strip_response_elem(reply)?,
                platform.take_follow_ups(),
            ),
        })
    }
}

/// The span of the log lines of a handler.
fn invocation_span(info: &InvocationInfo) -> Span {
    let trace = info.metadata.trace();
    tracing::error_span!(
        "invocation",
        cid = %info.cid,
        service.name = info.service.as_str(),
        attempt = info.attempt,
        trace_id = trace.map(|trace| tracing::field::display(trace.trace())),
        span_id = trace.map(|trace| tracing::field::display(trace.span())),
    )
}

/// Whether another attempt may follow, as far as the policy of the service says: the node knows that of the call.
fn attempts_left(definition: &Definition, attempt: u32) -> bool {
    let policy = definition.service_options().retry_policy.as_ref();
    let default = || RetryPolicy::default().max_attempts;
    attempt < policy.map_or_else(default, |policy| policy.max_attempts)
}

fn read(dispatch: v1::Dispatch, service: &ServiceName) -> Result<(InvocationInfo, Payload)> {
    let format = document_format_from_proto(dispatch.data_format)?;
    let input = dispatch.input.and_then(|input| input.into_payload(format));
    let mut metadata = metadata_from_proto(dispatch.metadata)?;
    if !dispatch.traceparent.is_empty() && metadata.get(TRACEPARENT).is_none() {
        metadata.insert(TRACEPARENT, &dispatch.traceparent);
        if !dispatch.tracestate.is_empty() {
            metadata.insert(TRACESTATE, &dispatch.tracestate);
        }
    }
    let cid: Cid = dispatch.cid.parse()?;
    let optional_cid = |text: String| {
        let text = text_from_proto(text);
        text.map(|text| text.parse::<Cid>()).transpose()
    };
    let root = match dispatch.root_cid == dispatch.cid {
        true => None,
        false => optional_cid(dispatch.root_cid)?,
    };
    let in_reply_to = match optional_cid(dispatch.in_reply_to)? {
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
    let known = |name: String| text_from_proto(name).map(|name| Principal::known(&name));
    let principals = Principals {
        principal: known(dispatch.principal),
        acting_principal: known(dispatch.acting_principal),
        acting_group: None,
    };
    let principals = (!principals.is_empty()).then(|| Arc::new(principals));
    let info = InvocationInfo {
        cid,
        service: service.clone(),
        attempt: dispatch.attempt,
        deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        metadata: Arc::new(metadata),
        parent: optional_cid(dispatch.parent_cid)?,
        root: root.unwrap_or(cid),
        asynchronous: dispatch.asynchronous,
        last_progress,
        in_reply_to,
        principals,
        caller: None,
    };
    Ok((info, input.unwrap_or(Payload::empty())))
}
