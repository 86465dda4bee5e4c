//! The message of a dispatch: its context and its encoded input.

use jiff::Timestamp;
use prost::Message as _;

use crate::codec::convert::{
    duration_to_proto, metadata_to_proto, payload_to_proto, progress_to_proto, timestamp_to_proto,
};
use crate::codec::proto::v1;
use crate::engine::trace::Tracer;
use crate::model::access::Principal;
use crate::model::error::{Error, Result, reason};
use crate::model::metadata::{TRACEPARENT, TRACESTATE};
use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::service::Context;

/// The most bytes of a message around its input, metadata aside.
const ENVELOPE_BYTES: usize = 1024;

/// An encoded input. Cheap to clone: clones share the bytes.
#[derive(Clone, Debug)]
pub(super) struct EncodedInput {
    input: Option<v1::dispatch::Input>,
    data_format: i32,
}

impl EncodedInput {
    /// Encodes an input.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `VALUE_INVALID`.
    pub(super) fn encode(input: Payload) -> Result<Self> {
        let (input, data_format) = payload_to_proto(input)?;
        Ok(Self {
            input: Some(input),
            data_format,
        })
    }

    /// The input of a message.
    pub(super) fn from_message(dispatch: &v1::Dispatch) -> Self {
        Self {
            input: dispatch.input.clone(),
            data_format: dispatch.data_format,
        }
    }
}

/// Builds the message of a dispatch.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for progress that cannot be encoded.
pub(super) fn dispatch_to_proto(
    token: Token,
    context: &Context,
    EncodedInput { input, data_format }: EncodedInput,
    now: Timestamp,
    tracer: &Tracer,
) -> Result<Box<v1::Dispatch>> {
    let info = context.info();
    let reply = info.in_reply_to.as_ref();
    let principals = info.principals.as_deref();
    let name =
        |principal: Option<&Principal>| principal.map(ToString::to_string).unwrap_or_default();
    let timeout = context.time_left();
    let deadline = timeout.and_then(|timeout| now.checked_add(timeout).ok());
    let traceparent = match info.metadata.get(TRACEPARENT) {
        Some(traceparent) => traceparent.to_owned(),
        // The node has decided that the trace is not recorded.
        None => tracer
            .not_recorded()
            .map(|context| context.to_string())
            .unwrap_or_default(),
    };
    let tracestate = info.metadata.get(TRACESTATE).unwrap_or_default();
    let cid = info.cid.to_string();
    let root_cid = match info.root == info.cid {
        true => cid.clone(),
        false => info.root.to_string(),
    };
    Ok(Box::new(v1::Dispatch {
        token: token.to_string(),
        cid,
        service: info.service.as_str().to_owned(),
        attempt: info.attempt,
        input,
        data_format,
        metadata: metadata_to_proto(&info.metadata),
        timeout: timeout.map(duration_to_proto),
        deadline: deadline.map(timestamp_to_proto),
        traceparent,
        tracestate: tracestate.to_owned(),
        parent_cid: info.parent.map(|cid| cid.to_string()).unwrap_or_default(),
        root_cid,
        in_reply_to: reply.map(|reply| reply.cid.to_string()).unwrap_or_default(),
        in_reply_to_service: reply
            .map(|reply| reply.service.to_string())
            .unwrap_or_default(),
        in_reply_to_attempt: reply.map_or(0, |reply| reply.attempt),
        asynchronous: info.asynchronous,
        last_progress: context.last_progress().map(progress_to_proto).transpose()?,
        principal: name(principals.and_then(|it| it.principal.as_ref())),
        acting_principal: name(principals.and_then(|it| it.acting_principal.as_ref())),
        path: context.platform().path().unwrap_or_default(),
    }))
}

/// Checks that a worker takes a message. A message above its limit would end its whole stream.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE`.
pub(super) fn check_size(dispatch: &v1::Dispatch, max_message_bytes: usize) -> Result<()> {
    if dispatch.encoded_len() + ENVELOPE_BYTES <= max_message_bytes {
        return Ok(());
    }
    let message = format!(
        "the input exceeds the {max_message_bytes} bytes that the worker takes in one message"
    );
    Err(
        Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
            .with_retryable(false)
            .with_info("message_bytes", max_message_bytes),
    )
}
