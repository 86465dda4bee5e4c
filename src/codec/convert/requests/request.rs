//! Requests to invoke one service, synchronously or in the background, and the acknowledgement of the latter.

use std::collections::HashMap;

use super::options::{
    on_exhausted_from_proto, on_exhausted_to_proto, retry_policy_from_proto, retry_policy_to_proto,
    start_from_proto, start_to_proto,
};
use crate::codec::convert::field::{FieldErrors, enum_from_proto, text_from_proto};
use crate::codec::convert::metadata::{TraceHeaders, metadata_to_proto, request_metadata};
use crate::codec::convert::payload::{
    format_from_proto, format_to_proto, input_from_proto, payload_to_proto,
};
use crate::codec::convert::time::{
    duration_from_proto, duration_to_proto, optional_timestamp_from_proto, timestamp_to_proto,
};
use crate::codec::proto::v1;
use crate::model::call::{Accepted, Call, DurableOptions, OnDeadline};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;

/// Converts a synchronous request. `cid` is that of the message, which the caller may leave out; `trace` is that
/// of the transport.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations; where only one field is invalid, also `CID_INVALID`,
/// `FORMAT_INVALID` or `METADATA_TOO_LARGE`.
pub fn call_from_proto(
    cid: Result<Option<Cid>>,
    message: v1::InvokeRequest,
    trace: TraceHeaders<'_>,
) -> Result<Call> {
    let mut errors = FieldErrors::default();
    let cid = errors.take(cid);
    let on_deadline = errors.take(enum_from_proto("/on_deadline", message.on_deadline));
    let on_deadline = match on_deadline {
        v1::OnDeadline::Unspecified | v1::OnDeadline::Cancel => OnDeadline::Cancel,
        v1::OnDeadline::Continue => OnDeadline::Continue,
    };
    let input = input_from_proto(message.input, message.data_format);
    let input = errors.take(input.map(Some));
    let response_format = format_from_proto("/response_format", message.response_format);
    let response_format = errors.take(response_format);
    let timeout = errors.take(duration_from_proto("/timeout", message.timeout));
    let metadata = errors.take(request_metadata(message.metadata, trace));
    errors.finish()?;
    let input = input.unwrap_or(Payload::empty());
    let idempotency_key = text_from_proto(message.idempotency_key);
    let has_options = idempotency_key.is_some() || on_deadline != OnDeadline::Cancel;
    let durable = has_options.then(|| {
        Box::new(DurableOptions {
            idempotency_key,
            on_deadline,
            ..DurableOptions::default()
        })
    });
    Ok(Call {
        service: message.service.into(),
        input,
        cid,
        timeout,
        metadata,
        response_format,
        durable,
    })
}

/// Converts a call to a synchronous request.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be encoded.
pub fn call_to_proto(call: Call) -> Result<v1::InvokeRequest> {
    let (input, data_format) = payload_to_proto(call.input)?;
    let options = call.durable.map(|options| *options).unwrap_or_default();
    Ok(v1::InvokeRequest {
        service: call.service.into_owned(),
        input: Some(input),
        data_format,
        response_format: optional_format(call.response_format),
        timeout: call.timeout.map(duration_to_proto),
        metadata: optional_metadata(call.metadata.as_deref()),
        cid: optional_cid(call.cid),
        idempotency_key: options.idempotency_key.unwrap_or_default(),
        on_deadline: match options.on_deadline {
            OnDeadline::Cancel => v1::OnDeadline::Unspecified,
            OnDeadline::Continue => v1::OnDeadline::Continue,
        }
        .into(),
    })
}

/// Converts a request to run a service in the background. `cid` and `trace` as for [`call_from_proto`].
///
/// # Errors
///
/// As for [`call_from_proto`].
pub fn async_call_from_proto(
    cid: Result<Option<Cid>>,
    message: v1::InvokeAsyncRequest,
    trace: TraceHeaders<'_>,
) -> Result<Call> {
    let mut errors = FieldErrors::default();
    let cid = errors.take(cid);
    let metadata = errors.take(request_metadata(message.metadata, trace));
    let retry_policy = message.retry_policy.map(retry_policy_from_proto);
    let durable = DurableOptions {
        start: errors.take(start_from_proto(message.start)),
        expiration: errors.take(duration_from_proto("/expiration", message.expiration)),
        deadline: errors.take(optional_timestamp_from_proto("/deadline", message.deadline)),
        retry_policy: errors.take(retry_policy.transpose()),
        on_exhausted: errors.take(on_exhausted_from_proto(message.on_exhausted)),
        callbacks: message.callbacks,
        failure_callbacks: message.failure_callbacks,
        retention: errors.take(duration_from_proto("/retention", message.retention)),
        concurrency_key: text_from_proto(message.concurrency_key),
        idempotency_key: text_from_proto(message.idempotency_key),
        ..DurableOptions::default()
    };
    let response_format = format_from_proto("/response_format", message.response_format);
    let input = input_from_proto(message.input, message.data_format);
    let call = Call {
        service: message.service.into(),
        input: errors.take(input.map(Some)).unwrap_or(Payload::empty()),
        cid,
        timeout: errors.take(duration_from_proto("/timeout", message.timeout)),
        metadata,
        response_format: errors.take(response_format),
        durable: Some(Box::new(durable)),
    };
    errors.finish()?;
    Ok(call)
}

/// Converts a call to a request to run it in the background.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be encoded.
pub fn async_call_to_proto(call: Call) -> Result<v1::InvokeAsyncRequest> {
    let (input, data_format) = payload_to_proto(call.input)?;
    let options = call.durable.map(|options| *options).unwrap_or_default();
    Ok(v1::InvokeAsyncRequest {
        start: options.start.map(start_to_proto),
        expiration: options.expiration.map(duration_to_proto),
        deadline: options.deadline.map(timestamp_to_proto),
        retry_policy: options.retry_policy.as_ref().map(retry_policy_to_proto),
        on_exhausted: on_exhausted_to_proto(options.on_exhausted).into(),
        callbacks: options.callbacks,
        failure_callbacks: options.failure_callbacks,
        retention: options.retention.map(duration_to_proto),
        idempotency_key: options.idempotency_key.unwrap_or_default(),
        concurrency_key: options.concurrency_key.unwrap_or_default(),
        service: call.service.into_owned(),
        input: Some(input),
        data_format,
        response_format: optional_format(call.response_format),
        timeout: call.timeout.map(duration_to_proto),
        metadata: optional_metadata(call.metadata.as_deref()),
        cid: optional_cid(call.cid),
    })
}

/// Converts the acknowledgement of an asynchronous request.
///
/// `generated_cid` is the CID of the request where the client generated it rather than its caller: if the node already
/// knows it, an earlier attempt of the same request was accepted, and the caller sees a first acceptance.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `CID_INVALID` where the node answers with a malformed CID.
pub fn accepted_from_proto(
    response: &v1::InvokeAsyncResponse,
    ignored: Ignored,
    generated_cid: Option<&str>,
) -> Result<Accepted> {
    Ok(Accepted {
        ignored,
        cid: Cid::parse(&response.cid)?,
        already_accepted: response.already_accepted && generated_cid != Some(&response.cid),
    })
}

pub(super) fn optional_cid(cid: Option<Cid>) -> String {
    cid.map(|cid| cid.to_string()).unwrap_or_default()
}

fn optional_metadata(metadata: Option<&Metadata>) -> HashMap<String, String> {
    metadata.map(metadata_to_proto).unwrap_or_default()
}

fn optional_format(format: Option<Format>) -> i32 {
    format
        .map_or(v1::DataFormat::Unspecified, format_to_proto)
        .into()
}
