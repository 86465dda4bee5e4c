//! What is written into blobs: messages of the store's own, which neither the contract nor the model changes.
//!
//! A field is never given another meaning, and none is taken away: a store that was written by this version opens for
//! ever.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use prost::Message;

use crate::codec::{payload, struct_pb};
use crate::model::error::{Detail, Error, Kind, Result, Violation, reason};
use crate::model::id::{Cid, ServiceName, texts};
use crate::model::invocation::{
    Event, EventKind, Group, Grouping, InReplyTo, Member, Progress, ProgressRecord, Request,
    RetryPolicy, Terms,
};
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload, Reply};

#[derive(Clone, PartialEq, Message)]
struct DiskPair {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct DiskPayload {
    /// 1 a `Struct`, 2 a `Value`, 3 JSON, 4 CSV, 5 text.
    #[prost(uint32, tag = "1")]
    form: u32,
    #[prost(bytes = "bytes", tag = "2")]
    content: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct DiskRequest {
    #[prost(message, optional, tag = "1")]
    input: Option<DiskPayload>,
    /// 1 dict, 2 JSON, 3 CSV, 4 text; 0 none.
    #[prost(uint32, tag = "2")]
    response_format: u32,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<DiskPair>,
    /// Nanoseconds.
    #[prost(uint64, optional, tag = "4")]
    attempt_timeout: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "5")]
    parent: Option<Vec<u8>>,
    #[prost(bytes = "vec", tag = "6")]
    root: Vec<u8>,
    #[prost(sint64, tag = "7")]
    accept_time: i64,
    #[prost(sint64, optional, tag = "8")]
    expire_time: Option<i64>,
    #[prost(sint64, optional, tag = "9")]
    deadline: Option<i64>,
    #[prost(message, optional, tag = "10")]
    retry_policy: Option<DiskPolicy>,
    #[prost(bool, tag = "11")]
    hold: bool,
    #[prost(string, repeated, tag = "12")]
    callbacks: Vec<String>,
    #[prost(string, repeated, tag = "13")]
    failure_callbacks: Vec<String>,
    /// Nanoseconds.
    #[prost(uint64, optional, tag = "14")]
    retention: Option<u64>,
    #[prost(string, optional, tag = "15")]
    idempotency_key: Option<String>,
    #[prost(message, optional, tag = "16")]
    in_reply_to: Option<DiskReplyTo>,
    #[prost(bytes = "vec", optional, tag = "17")]
    retry_of: Option<Vec<u8>>,
    #[prost(string, optional, tag = "18")]
    concurrency_key: Option<String>,
    #[prost(sint64, optional, tag = "19")]
    start_time: Option<i64>,
    #[prost(bool, tag = "20")]
    at_most_once: bool,
    #[prost(message, optional, tag = "21")]
    grouping: Option<DiskGrouping>,
}

#[derive(Clone, PartialEq, Message)]
struct DiskGrouping {
    /// Of a member: its group. A group has none.
    #[prost(bytes = "vec", optional, tag = "1")]
    group: Option<Vec<u8>>,
    /// Of a member: its place. Of a group: how many members it has.
    #[prost(uint32, tag = "2")]
    number: u32,
    #[prost(string, repeated, tag = "3")]
    on_each: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct DiskPolicy {
    #[prost(uint32, tag = "1")]
    max_attempts: u32,
    /// Nanoseconds.
    #[prost(uint64, tag = "2")]
    initial_interval: u64,
    #[prost(double, tag = "3")]
    multiplier: f64,
    /// Nanoseconds.
    #[prost(uint64, tag = "4")]
    max_interval: u64,
}

#[derive(Clone, PartialEq, Message)]
struct DiskReplyTo {
    #[prost(bytes = "vec", tag = "1")]
    cid: Vec<u8>,
    #[prost(string, tag = "2")]
    service: String,
    #[prost(uint32, tag = "3")]
    attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
struct DiskFailure {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(bool, optional, tag = "4")]
    retryable: Option<bool>,
    /// Nanoseconds.
    #[prost(uint64, optional, tag = "5")]
    retry_after: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "6")]
    cid: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "7")]
    violations: Vec<DiskViolation>,
    #[prost(message, repeated, tag = "8")]
    facts: Vec<DiskPair>,
    #[prost(message, repeated, tag = "9")]
    details: Vec<DiskDetail>,
    #[prost(string, optional, tag = "10")]
    trace: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct DiskViolation {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    code: String,
    #[prost(string, tag = "3")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct DiskDetail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct DiskEvent {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(uint32, tag = "2")]
    attempt: u32,
    #[prost(sint64, tag = "3")]
    time: i64,
    /// 1 started, 2 item, 3 retry scheduled, 4 succeeded, 5 failed, 6 cancelled, 7 expired.
    #[prost(uint32, tag = "4")]
    kind: u32,
    /// Of items and responses.
    #[prost(message, optional, tag = "5")]
    payload: Option<DiskPayload>,
    /// Of responses.
    #[prost(message, repeated, tag = "6")]
    metadata: Vec<DiskPair>,
    #[prost(message, optional, tag = "7")]
    failure: Option<DiskFailure>,
    /// Of retries.
    #[prost(sint64, tag = "8")]
    due: i64,
    /// Of starts.
    #[prost(string, tag = "9")]
    worker: String,
}

#[derive(Clone, PartialEq, Message)]
struct DiskProgress {
    #[prost(double, optional, tag = "1")]
    fraction: Option<f64>,
    #[prost(string, tag = "2")]
    message: String,
    /// A `google.protobuf.Value`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    value: Option<Bytes>,
    #[prost(uint32, tag = "4")]
    attempt: u32,
    #[prost(uint64, tag = "5")]
    number: u64,
    #[prost(sint64, tag = "6")]
    time: i64,
}

/// What cannot be read of a store.
fn damaged(what: impl std::fmt::Display) -> Error {
    let message = format!("the store holds what cannot be read: {what}");
    Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message)
}

/// An instant as a number.
pub(super) fn nanos(time: Timestamp) -> i64 {
    let nanos = time.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// An instant from a number.
pub(super) fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::MAX)
}

fn duration_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A CID from its bytes.
pub(super) fn cid(bytes: &[u8]) -> Result<Cid> {
    <[u8; 16]>::try_from(bytes)
        .map(Cid::from_bytes)
        .map_err(|_| damaged("a CID"))
}

fn pairs(metadata: &Metadata) -> Vec<DiskPair> {
    let pair = |(key, value): (&str, &str)| DiskPair {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    metadata.iter().map(pair).collect()
}

fn metadata(pairs: Vec<DiskPair>) -> Metadata {
    pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect()
}

fn to_payload(payload: &Payload) -> Result<DiskPayload> {
    let encoded = match payload {
        Payload::Value(_) => payload::encode(payload.clone(), Format::Dict)?,
        encoded => encoded.clone(),
    };
    let (form, content) = match encoded {
        Payload::Struct(bytes) => (1, bytes),
        Payload::Any(bytes) => (2, bytes),
        Payload::Document(bytes, Format::Csv) => (4, bytes),
        Payload::Document(bytes, Format::Text) => (5, bytes),
        Payload::Document(bytes, Format::Json | Format::Dict) => (3, bytes),
        Payload::Value(_) => return Err(damaged("a value that was not encoded")),
    };
    Ok(DiskPayload { form, content })
}

fn from_payload(payload: Option<DiskPayload>) -> Result<Payload> {
    let DiskPayload { form, content } = payload.ok_or_else(|| damaged("no payload"))?;
    Ok(match form {
        1 => Payload::Struct(content),
        2 => Payload::Any(content),
        3 => Payload::Document(content, Format::Json),
        4 => Payload::Document(content, Format::Csv),
        5 => Payload::Document(content, Format::Text),
        other => return Err(damaged(format_args!("a payload of form {other}"))),
    })
}

/// Encodes a request.
pub(super) fn encode_request(request: &Request) -> Result<Vec<u8>> {
    let message = DiskRequest {
        input: Some(to_payload(&request.input)?),
        response_format: match request.response_format {
            None => 0,
            Some(Format::Dict) => 1,
            Some(Format::Json) => 2,
            Some(Format::Csv) => 3,
            Some(Format::Text) => 4,
        },
        metadata: pairs(&request.metadata),
        attempt_timeout: request.attempt_timeout.map(duration_nanos),
        parent: request.parent.map(|cid| cid.as_bytes().to_vec()),
        root: request.root.as_bytes().to_vec(),
        accept_time: nanos(request.accept_time),
        start_time: request.terms.start_time.map(nanos),
        expire_time: request.terms.expire_time.map(nanos),
        deadline: request.terms.deadline.map(nanos),
        retry_policy: request.terms.retry_policy.as_ref().map(to_policy),
        hold: request.terms.hold,
        callbacks: texts(&request.terms.callbacks),
        failure_callbacks: texts(&request.terms.failure_callbacks),
        retention: request.terms.retention.map(duration_nanos),
        idempotency_key: request.terms.idempotency_key.clone(),
        in_reply_to: request.terms.in_reply_to.as_ref().map(|reply| DiskReplyTo {
            cid: reply.cid.as_bytes().to_vec(),
            service: reply.service.to_string(),
            attempt: reply.attempt,
        }),
        retry_of: request.terms.retry_of.map(|cid| cid.as_bytes().to_vec()),
        concurrency_key: request.terms.concurrency_key.clone(),
        at_most_once: request.terms.at_most_once,
        grouping: request.grouping.as_ref().map(to_grouping),
    };
    Ok(message.encode_to_vec())
}

/// Decodes a request.
pub(super) fn decode_request(named: Cid, service: ServiceName, blob: &[u8]) -> Result<Request> {
    let message = DiskRequest::decode(blob).map_err(damaged)?;
    Ok(Request {
        cid: named,
        service,
        input: from_payload(message.input)?,
        response_format: match message.response_format {
            1 => Some(Format::Dict),
            2 => Some(Format::Json),
            3 => Some(Format::Csv),
            4 => Some(Format::Text),
            _ => None,
        },
        metadata: metadata(message.metadata),
        attempt_timeout: message.attempt_timeout.map(Duration::from_nanos),
        parent: message.parent.as_deref().map(cid).transpose()?,
        root: cid(&message.root)?,
        accept_time: timestamp(message.accept_time),
        terms: Terms {
            start_time: message.start_time.map(timestamp),
            expire_time: message.expire_time.map(timestamp),
            deadline: message.deadline.map(timestamp),
            retry_policy: message.retry_policy.map(from_policy),
            hold: message.hold,
            callbacks: names(&message.callbacks)?,
            failure_callbacks: names(&message.failure_callbacks)?,
            retention: message.retention.map(Duration::from_nanos),
            idempotency_key: message.idempotency_key,
            in_reply_to: message.in_reply_to.as_ref().map(in_reply_to).transpose()?,
            retry_of: message.retry_of.as_deref().map(cid).transpose()?,
            concurrency_key: message.concurrency_key,
            at_most_once: message.at_most_once,
        },
        grouping: message.grouping.map(from_grouping).transpose()?,
    })
}

fn to_grouping(grouping: &Grouping) -> DiskGrouping {
    match grouping {
        Grouping::Group(group) => DiskGrouping {
            group: None,
            number: group.members,
            on_each: texts(&group.on_each),
        },
        Grouping::Member(member) => DiskGrouping {
            group: Some(member.group.as_bytes().to_vec()),
            number: member.position,
            on_each: texts(&member.on_each),
        },
    }
}

fn from_grouping(grouping: DiskGrouping) -> Result<Grouping> {
    let on_each = names(&grouping.on_each)?;
    Ok(match grouping.group {
        None => Grouping::Group(Group {
            members: grouping.number,
            on_each,
        }),
        Some(group) => Grouping::Member(Member {
            group: cid(&group)?,
            position: grouping.number,
            on_each,
        }),
    })
}

fn names(names: &[String]) -> Result<Vec<ServiceName>> {
    names.iter().map(|name| ServiceName::parse(name)).collect()
}

fn to_policy(policy: &RetryPolicy) -> DiskPolicy {
    DiskPolicy {
        max_attempts: policy.max_attempts,
        initial_interval: duration_nanos(policy.initial_interval),
        multiplier: policy.multiplier,
        max_interval: duration_nanos(policy.max_interval),
    }
}

fn from_policy(policy: DiskPolicy) -> RetryPolicy {
    RetryPolicy {
        max_attempts: policy.max_attempts,
        initial_interval: Duration::from_nanos(policy.initial_interval),
        multiplier: policy.multiplier,
        max_interval: Duration::from_nanos(policy.max_interval),
    }
}

fn in_reply_to(reply: &DiskReplyTo) -> Result<InReplyTo> {
    Ok(InReplyTo {
        cid: cid(&reply.cid)?,
        service: ServiceName::from_record(&reply.service)?,
        attempt: reply.attempt,
    })
}

fn to_failure(error: &Error) -> DiskFailure {
    let violation = |violation: &Violation| DiskViolation {
        path: violation.path.clone(),
        code: violation.code.to_string(),
        message: violation.message.clone(),
    };
    let detail = |detail: &Detail| DiskDetail {
        type_url: detail.type_url.clone(),
        value: detail.value.clone(),
    };
    let fact = |(key, value): &(std::borrow::Cow<'static, str>, String)| DiskPair {
        key: key.to_string(),
        value: value.clone(),
    };
    DiskFailure {
        code: error.kind().grpc_code().into(),
        reason: error.reason().to_owned(),
        message: error.truncated_message().into_owned(),
        retryable: error.retryable_override(),
        retry_after: error.retry_after().map(duration_nanos),
        cid: error.cid().map(|cid| cid.as_bytes().to_vec()),
        violations: error.field_violations().iter().map(violation).collect(),
        facts: error.info().iter().map(fact).collect(),
        details: error.details().iter().map(detail).collect(),
        trace: error.trace(),
    }
}

fn from_failure(failure: Option<DiskFailure>) -> Result<Error> {
    let failure = failure.ok_or_else(|| damaged("no failure"))?;
    let code = i32::try_from(failure.code).unwrap_or_default();
    let kind = Kind::from_grpc_code(code).unwrap_or(Kind::Unknown);
    let mut error =
        Error::new(kind, failure.reason, failure.message).with_retryable(failure.retryable);
    if let Some(delay) = failure.retry_after {
        error = error.with_retry_after(Duration::from_nanos(delay));
    }
    if let Some(bytes) = failure.cid {
        error = error.with_cid(cid(&bytes)?);
    }
    for violation in failure.violations {
        error = error.with_violation(Violation::new(
            violation.path,
            violation.code,
            violation.message,
        ));
    }
    for fact in failure.facts {
        error = error.with_info(fact.key, fact.value);
    }
    for DiskDetail { type_url, value } in failure.details {
        error = error.with_detail(Detail { type_url, value });
    }
    Ok(match failure.trace {
        Some(trace) => error.with_trace(trace),
        None => error,
    })
}

/// Encodes why an attempt failed.
pub(super) fn encode_failure(error: &Error) -> Vec<u8> {
    to_failure(error).encode_to_vec()
}

/// Decodes why an attempt failed.
pub(super) fn decode_failure(blob: &[u8]) -> Result<Error> {
    from_failure(Some(DiskFailure::decode(blob).map_err(damaged)?))
}

/// Appends events to a blob, each with its length in front. `Accepted` is not written: the row says it all.
pub(super) fn append_events(blob: &mut Vec<u8>, events: &[Arc<Event>]) -> Result<()> {
    for event in events {
        let mut message = DiskEvent {
            sequence: event.sequence,
            attempt: event.attempt,
            time: nanos(event.time),
            ..DiskEvent::default()
        };
        match &event.kind {
            EventKind::Accepted { .. } => continue,
            EventKind::Started { worker } => {
                message.kind = 1;
                message.worker.clone_from(worker);
            }
            EventKind::Item(item) => {
                message.kind = 2;
                message.payload = Some(to_payload(item)?);
            }
            EventKind::RetryScheduled { failure, due } => {
                message.kind = 3;
                message.failure = Some(to_failure(failure));
                message.due = nanos(*due);
            }
            EventKind::Succeeded(reply) => {
                message.kind = 4;
                message.payload = Some(to_payload(&reply.payload)?);
                message.metadata = pairs(&reply.metadata);
            }
            EventKind::Failed(error) => {
                (message.kind, message.failure) = (5, Some(to_failure(error)))
            }
            EventKind::Cancelled(error) => {
                (message.kind, message.failure) = (6, Some(to_failure(error)))
            }
            EventKind::Expired(error) => {
                (message.kind, message.failure) = (7, Some(to_failure(error)))
            }
        }
        message.encode_length_delimited(blob).map_err(damaged)?;
    }
    Ok(())
}

/// Decodes the events of a blob.
pub(super) fn decode_events(mut blob: &[u8]) -> Result<Vec<Arc<Event>>> {
    let mut events = Vec::new();
    while !blob.is_empty() {
        let message = DiskEvent::decode_length_delimited(&mut blob).map_err(damaged)?;
        let kind = match message.kind {
            1 => EventKind::Started {
                worker: message.worker,
            },
            2 => EventKind::Item(from_payload(message.payload)?),
            3 => EventKind::RetryScheduled {
                failure: from_failure(message.failure)?,
                due: timestamp(message.due),
            },
            4 => EventKind::Succeeded(Reply {
                payload: from_payload(message.payload)?,
                metadata: metadata(message.metadata),
            }),
            5 => EventKind::Failed(from_failure(message.failure)?),
            6 => EventKind::Cancelled(from_failure(message.failure)?),
            7 => EventKind::Expired(from_failure(message.failure)?),
            other => return Err(damaged(format_args!("an event of kind {other}"))),
        };
        events.push(Arc::new(Event {
            sequence: message.sequence,
            attempt: message.attempt,
            time: timestamp(message.time),
            kind,
        }));
    }
    Ok(events)
}

/// Encodes progress.
pub(super) fn encode_progress(shown: &ProgressRecord) -> Result<Vec<u8>> {
    let message = DiskProgress {
        fraction: shown.progress.fraction,
        message: shown.progress.message.clone(),
        value: shown
            .progress
            .value
            .as_ref()
            .map(struct_pb::encode_value)
            .transpose()?,
        attempt: shown.attempt,
        number: shown.number,
        time: nanos(shown.time),
    };
    Ok(message.encode_to_vec())
}

/// Decodes progress.
pub(super) fn decode_progress(blob: &[u8]) -> Result<ProgressRecord> {
    let message = DiskProgress::decode(blob).map_err(damaged)?;
    let value = message
        .value
        .map(|bytes| struct_pb::decode_value(&bytes))
        .transpose()?;
    Ok(ProgressRecord {
        progress: Progress {
            fraction: message.fraction,
            message: message.message,
            value,
        },
        attempt: message.attempt,
        number: message.number,
        time: timestamp(message.time),
    })
}
