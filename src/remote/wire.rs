//! Requests, options and declarations, between the contract and the model: nodes, clients and workers read and write
//! them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::Response;

use crate::codec::convert::{
    PayloadOneof, duration_from_proto, duration_to_proto, format_from_proto, format_to_proto,
    metadata_to_proto, sio_from_proto, sio_to_proto, timestamp_from_proto, timestamp_to_proto,
};
use crate::codec::payload;
use crate::codec::proto::v1;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call, DurableOptions, OnDeadline, Start};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::RetryPolicy;
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload};
use crate::model::service_options::ServiceOptions;
use crate::model::sio::{IGNORED_KEY, Ignored};
use crate::service::Definition;

/// Checks that a number is one of an enum's: what is not known must not pass for the default.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
pub fn known<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E> {
    E::try_from(number).map_err(|_| {
        let violation = Violation::new(field, "UNKNOWN_VALUE", format!("{number} is not known"));
        Error::violations(reason::REQUEST_INVALID, vec![violation])
    })
}

/// The input of a request. The invoker checks it.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID`.
pub fn input<O: PayloadOneof>(input: Option<O>, data_format: i32) -> Result<Payload> {
    let format = format_from_proto("/data_format", data_format)?;
    let payload = input
        .and_then(|input| input.into_payload(format.unwrap_or(Format::Json)))
        .unwrap_or(Payload::empty());
    let fits = match (&payload, format) {
        (Payload::Document(..), Some(Format::Dict)) => {
            Some("a document is JSON, CSV or text; a dict is sent as `payload`")
        }
        (Payload::Struct(_) | Payload::Any(_), Some(Format::Csv | Format::Text)) => {
            Some("CSV and text are sent as `document`")
        }
        _ => None,
    };
    if let Some(message) = fits {
        let violation = Violation::new("/data_format", reason::FORMAT_INVALID, message);
        return Err(Error::violations(reason::FORMAT_INVALID, vec![violation]));
    }
    Ok(payload)
}

/// The call that a request to run something in the background asks for. `metadata` is what is sent along.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` or `FORMAT_INVALID`.
pub fn async_call(
    cid: Option<Cid>,
    message: v1::InvokeAsyncRequest,
    metadata: Option<Arc<Metadata>>,
) -> Result<Call> {
    let on_exhausted: v1::OnExhausted = known("/on_exhausted", message.on_exhausted)?;
    let background = DurableOptions {
        start: start_from_proto(message.start)?,
        expiration: duration_from_proto("/expiration", message.expiration)?,
        deadline: instant_from_proto("/deadline", message.deadline)?,
        retry_policy: message.retry_policy.map(policy_from_proto).transpose()?,
        hold: on_exhausted == v1::OnExhausted::Hold,
        callbacks: message.callbacks,
        failure_callbacks: message.failure_callbacks,
        retention: duration_from_proto("/retention", message.retention)?,
        concurrency_key: given(message.concurrency_key),
        idempotency_key: given(message.idempotency_key),
        ..DurableOptions::default()
    };
    Ok(Call {
        service: message.service.into(),
        input: input(message.input, message.data_format)?,
        cid,
        timeout: duration_from_proto("/timeout", message.timeout)?,
        metadata,
        response_format: format_from_proto("/response_format", message.response_format)?,
        durable: asked_for(background),
    })
}

/// A request to run a call in the background.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be carried.
pub fn async_request(call: Call) -> Result<v1::InvokeAsyncRequest> {
    let (input, data_format) = input_to_proto(call.input)?;
    let asked = call.durable.map(|asked| *asked).unwrap_or_default();
    Ok(v1::InvokeAsyncRequest {
        start: asked.start.map(start_to_proto),
        expiration: asked.expiration.map(duration_to_proto),
        deadline: asked.deadline.map(timestamp_to_proto),
        retry_policy: asked.retry_policy.as_ref().map(policy_to_proto),
        on_exhausted: match asked.hold {
            true => v1::OnExhausted::Hold,
            false => v1::OnExhausted::Unspecified,
        }
        .into(),
        callbacks: asked.callbacks,
        failure_callbacks: asked.failure_callbacks,
        retention: asked.retention.map(duration_to_proto),
        idempotency_key: asked.idempotency_key.unwrap_or_default(),
        concurrency_key: asked.concurrency_key.unwrap_or_default(),
        service: call.service.into_owned(),
        input: Some(input),
        data_format,
        response_format: format(call.response_format),
        timeout: call.timeout.map(duration_to_proto),
        metadata: metadata(call.metadata.as_deref()),
        cid: cid(call.cid),
    })
}

/// A request to run many calls in the background.
///
/// # Errors
///
/// As for [`async_request`].
pub fn batch_request(batch: Batch) -> Result<v1::InvokeBatchRequest> {
    let requests = batch.calls.into_iter().map(async_request);
    Ok(v1::InvokeBatchRequest {
        requests: requests.collect::<Result<_>>()?,
        cid: cid(batch.cid),
        idempotency_key: batch.idempotency_key.unwrap_or_default(),
        on_each: batch.on_each,
        on_final: batch.on_final,
        retention: batch.retention.map(duration_to_proto),
    })
}

/// The call that was accepted. `ours` is its CID where whoever said it made that up: that it was accepted before is
/// then by an earlier try of the same call, and new to its caller.
///
/// # Errors
///
/// Where the node answers with what is no CID.
pub fn accepted(
    response: &Response<v1::InvokeAsyncResponse>,
    ours: Option<&str>,
) -> Result<Accepted> {
    let ignored = ignored(response);
    let response = response.get_ref();
    Ok(Accepted {
        ignored,
        cid: Cid::parse(&response.cid)?,
        already_accepted: response.already_accepted && ours != Some(&response.cid),
    })
}

/// The group that was accepted; `ours` as for [`accepted`].
///
/// # Errors
///
/// Where the node answers with what is no CID.
pub fn accepted_group(
    response: Response<v1::InvokeBatchResponse>,
    ours: Option<&str>,
) -> Result<AcceptedGroup> {
    let ignored = ignored(&response);
    let response = response.into_inner();
    let members = response.member_cids.iter().map(|cid| Cid::parse(cid));
    Ok(AcceptedGroup {
        cid: Cid::parse(&response.cid)?,
        members: members.collect::<Result<_>>()?,
        already_accepted: response.already_accepted && ours != Some(&response.cid),
        ignored,
    })
}

/// The keys of the input that the node says it dropped.
pub fn ignored<T>(response: &Response<T>) -> Ignored {
    let names = response.metadata().get(IGNORED_KEY);
    let names = names.and_then(|names| names.to_str().ok());
    names.map(Ignored::from_text).unwrap_or_default()
}

/// A request to run a call and wait for it.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be carried.
pub fn request(call: Call) -> Result<v1::InvokeRequest> {
    let (input, data_format) = input_to_proto(call.input)?;
    let asked = call.durable.map(|asked| *asked).unwrap_or_default();
    Ok(v1::InvokeRequest {
        service: call.service.into_owned(),
        input: Some(input),
        data_format,
        response_format: format(call.response_format),
        timeout: call.timeout.map(duration_to_proto),
        metadata: metadata(call.metadata.as_deref()),
        cid: cid(call.cid),
        idempotency_key: asked.idempotency_key.unwrap_or_default(),
        on_deadline: match asked.on_deadline {
            OnDeadline::Cancel => v1::OnDeadline::Unspecified,
            OnDeadline::Continue => v1::OnDeadline::Continue,
        }
        .into(),
    })
}

/// What is asked for beyond the input, if anything is.
#[must_use]
pub fn asked_for(background: DurableOptions) -> Option<Box<DurableOptions>> {
    (background != DurableOptions::default()).then(|| Box::new(background))
}

/// A text that is set.
#[must_use]
pub fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn start_from_proto(start: Option<v1::invoke_async_request::Start>) -> Result<Option<Start>> {
    use v1::invoke_async_request::Start as Asked;
    Ok(match start {
        None => None,
        Some(Asked::Delay(delay)) => duration_from_proto("/delay", Some(delay))?.map(Start::After),
        Some(Asked::StartTime(time)) => {
            instant_from_proto("/start_time", Some(time))?.map(Start::At)
        }
    })
}

fn instant_from_proto(
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Result<Option<jiff::Timestamp>> {
    time.map(|time| {
        timestamp_from_proto(&time).ok_or_else(|| {
            let violation = Violation::new(field, "OUT_OF_RANGE", "is no instant");
            Error::violations(reason::REQUEST_INVALID, vec![violation])
        })
    })
    .transpose()
}

/// Reads a policy: what is left out of it is as by default.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
pub fn policy_from_proto(policy: v1::RetryPolicy) -> Result<RetryPolicy> {
    let default = RetryPolicy::default();
    let interval = |field: &str, interval| duration_from_proto(field, interval);
    let multiplier = match policy.multiplier {
        0.0 => default.multiplier,
        given if given.is_finite() && given >= 1.0 => given,
        _ => {
            let message = "is a number of at least 1";
            let violation = Violation::new("/retry_policy/multiplier", "OUT_OF_RANGE", message);
            return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
        }
    };
    Ok(RetryPolicy {
        max_attempts: match policy.max_attempts {
            0 => default.max_attempts,
            given if given <= RetryPolicy::MAX_ATTEMPTS => given,
            _ => {
                let message = format!("is at most {}", RetryPolicy::MAX_ATTEMPTS);
                let field = "/retry_policy/max_attempts";
                let violation = Violation::new(field, "OUT_OF_RANGE", message);
                return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
            }
        },
        initial_interval: interval("/retry_policy/initial_interval", policy.initial_interval)?
            .unwrap_or(default.initial_interval),
        multiplier,
        max_interval: interval("/retry_policy/max_interval", policy.max_interval)?
            .unwrap_or(default.max_interval),
    })
}

/// A policy, as the contract writes it.
#[must_use]
pub fn policy_to_proto(policy: &RetryPolicy) -> v1::RetryPolicy {
    v1::RetryPolicy {
        max_attempts: policy.max_attempts,
        initial_interval: Some(duration_to_proto(policy.initial_interval)),
        multiplier: policy.multiplier,
        max_interval: Some(duration_to_proto(policy.max_interval)),
    }
}

fn start_to_proto(start: Start) -> v1::invoke_async_request::Start {
    use v1::invoke_async_request::Start as Asked;
    match start {
        Start::After(delay) => Asked::Delay(duration_to_proto(delay)),
        Start::At(time) => Asked::StartTime(timestamp_to_proto(time)),
    }
}

fn metadata(metadata: Option<&Metadata>) -> HashMap<String, String> {
    metadata.map(metadata_to_proto).unwrap_or_default()
}

fn cid(cid: Option<Cid>) -> String {
    cid.map(|cid| cid.to_string()).unwrap_or_default()
}

fn format(format: Option<Format>) -> i32 {
    format
        .map_or(v1::DataFormat::Unspecified, format_to_proto)
        .into()
}

/// The `oneof` of a message and the format of its document.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for what cannot be carried.
pub fn input_to_proto<O: PayloadOneof>(input: Payload) -> Result<(O, i32)> {
    let data_format = match &input {
        Payload::Document(_, format) => format_to_proto(*format),
        Payload::Value(_) | Payload::Struct(_) | Payload::Any(_) => v1::DataFormat::Unspecified,
    };
    let encoded = match input {
        Payload::Value(_) => payload::encode(input, Format::Dict)?,
        encoded => encoded,
    };
    Ok((O::from_payload(encoded)?, data_format.into()))
}

/// The format of a document: JSON, unless it says another one.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID`.
pub fn format_of_document(data_format: i32) -> Result<Format> {
    let format = format_from_proto("/data_format", data_format)?;
    Ok(format.unwrap_or(Format::Json))
}

/// Names a declaration: whoever declares the same has the same.
#[must_use]
pub fn declaration_hash(declaration: &v1::ServiceDeclaration) -> String {
    const BYTES: usize = 8;
    let digest = Sha256::digest(declaration.encode_to_vec());
    let mut hash = String::new();
    for byte in digest.iter().take(BYTES) {
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

/// What a service declares, as the contract writes it.
#[must_use]
pub fn declaration_to_proto(definition: &Definition) -> v1::ServiceDeclaration {
    let options = definition.service_options();
    v1::ServiceDeclaration {
        name: definition.name().to_string(),
        description: options.description.clone(),
        sio: Some(sio_to_proto(definition.declaration())),
        options: Some(options_to_proto(options)),
    }
}

/// A service that is handled elsewhere, as it is declared there.
///
/// # Errors
///
/// `INVALID_ARGUMENT` with everything that is wrong with it.
pub fn declaration_from_proto(declaration: v1::ServiceDeclaration) -> Result<Definition> {
    let name = ServiceName::parse(&declaration.name)?;
    let mut options = options_from_proto(declaration.options.unwrap_or_default())?;
    options.description = declaration.description;
    let sio = sio_from_proto(declaration.sio.unwrap_or_default())?;
    Definition::served_by_workers(name, sio, options).prepared()
}

/// Options, as the contract writes them.
#[must_use]
pub fn options_to_proto(options: &ServiceOptions) -> v1::ServiceOptions {
    let small = |n: Option<usize>| n.map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX));
    v1::ServiceOptions {
        idempotent: options.idempotent,
        timeout: options.timeout.map(duration_to_proto),
        attempt_timeout: options.attempt_timeout.map(duration_to_proto),
        retry_policy: options.retry_policy.as_ref().map(policy_to_proto),
        concurrency: small(options.concurrency),
        queue_length: small(options.queue_length),
        retention: options.retention.map(duration_to_proto),
        failure_retention: options.failure_retention.map(duration_to_proto),
        pending_limit: options
            .pending_limit
            .map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX)),
    }
}

fn options_from_proto(options: v1::ServiceOptions) -> Result<ServiceOptions> {
    let duration = |field: &str, time| -> Result<Option<Duration>> {
        duration_from_proto(&format!("/options/{field}"), time)
    };
    let number = |n: u32| (n > 0).then(|| usize::try_from(n).unwrap_or(usize::MAX));
    Ok(ServiceOptions {
        description: String::new(),
        idempotent: options.idempotent,
        timeout: duration("timeout", options.timeout)?,
        attempt_timeout: duration("attempt_timeout", options.attempt_timeout)?,
        retry_policy: options.retry_policy.map(policy_from_proto).transpose()?,
        concurrency: number(options.concurrency),
        queue_length: number(options.queue_length),
        retention: duration("retention", options.retention)?,
        failure_retention: duration("failure_retention", options.failure_retention)?,
        pending_limit: (options.pending_limit > 0)
            .then(|| usize::try_from(options.pending_limit).unwrap_or(usize::MAX)),
    })
}
