//! Requests: what the caller asked for; written once and never changed.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;

use super::payload::{PayloadBlob, from_payload, to_payload};
use super::scalars::{
    PairBlob, cid, damaged, duration_nanos, metadata, names, nanos, pairs, timestamp,
};
use crate::model::access::{Principal, Principals};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName, texts};
use crate::model::invocation::{
    Group, Grouping, InReplyTo, Member, OnExhausted, Request, RetryPolicy, Terms,
};
use crate::model::metadata::Metadata;
use crate::model::payload::Format;
use crate::store::cipher::{BlobCipher, Column, Place};

#[derive(Clone, PartialEq, Message)]
struct RequestBlob {
    #[prost(message, optional, tag = "1")]
    input: Option<PayloadBlob>,
    /// 1 dict, 2 JSON, 3 CSV, 4 text; 0 none.
    #[prost(uint32, tag = "2")]
    response_format: u32,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<PairBlob>,
    /// Nanoseconds.
    #[prost(uint64, optional, tag = "4")]
    attempt_timeout: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "5")]
    parent: Option<Vec<u8>>,
    /// Empty if the invocation is the first of its call chain.
    #[prost(bytes = "vec", tag = "6")]
    root: Vec<u8>,
    // 7, the time of acceptance, is a column of the row. Formats before 5 have it here as well.
    #[prost(sint64, optional, tag = "8")]
    expire_time: Option<i64>,
    #[prost(sint64, optional, tag = "9")]
    deadline: Option<i64>,
    #[prost(message, optional, tag = "10")]
    retry_policy: Option<RetryPolicyBlob>,
    /// 0 as the service declares, 1 hold, 2 fail.
    #[prost(uint32, tag = "11")]
    on_exhausted: u32,
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
    in_reply_to: Option<InReplyToBlob>,
    #[prost(bytes = "vec", optional, tag = "17")]
    retry_of: Option<Vec<u8>>,
    #[prost(string, optional, tag = "18")]
    concurrency_key: Option<String>,
    #[prost(sint64, optional, tag = "19")]
    start_time: Option<i64>,
    #[prost(bool, tag = "20")]
    at_most_once: bool,
    #[prost(message, optional, tag = "21")]
    grouping: Option<GroupingBlob>,
    /// Of a sealed request: its service, so that the row cannot be given to another one.
    #[prost(string, optional, tag = "22")]
    sealed_for: Option<String>,
    #[prost(message, optional, tag = "23")]
    principals: Option<PrincipalsBlob>,
}

#[derive(Clone, PartialEq, Message)]
struct PrincipalsBlob {
    /// Who asked.
    #[prost(string, optional, tag = "1")]
    principal: Option<String>,
    /// Who acts, and its group.
    #[prost(string, optional, tag = "2")]
    acting_principal: Option<String>,
    #[prost(string, optional, tag = "3")]
    acting_group: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct GroupingBlob {
    /// A member: its group. Unset for a group.
    #[prost(bytes = "vec", optional, tag = "1")]
    group: Option<Vec<u8>>,
    /// A member: its position. A group: the number of its members.
    #[prost(uint32, tag = "2")]
    number: u32,
    #[prost(string, repeated, tag = "3")]
    on_each: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct RetryPolicyBlob {
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
struct InReplyToBlob {
    #[prost(bytes = "vec", tag = "1")]
    cid: Vec<u8>,
    #[prost(string, tag = "2")]
    service: String,
    #[prost(uint32, tag = "3")]
    attempt: u32,
}

/// Encodes and seals a request.
pub(in crate::store) fn encode_request(request: &Request, cipher: &BlobCipher) -> Result<Vec<u8>> {
    let message = RequestBlob {
        input: Some(to_payload(&request.input)?),
        response_format: match request.response_format {
            None => 0,
            Some(Format::Dict) => 1,
            Some(Format::Json) => 2,
            Some(Format::Csv) => 3,
            Some(Format::Text) => 4,
            Some(Format::Form) => 5,
        },
        metadata: pairs(&request.metadata),
        attempt_timeout: request.attempt_timeout.map(duration_nanos),
        parent: request.parent.map(|cid| cid.as_bytes().to_vec()),
        root: match request.root == request.cid {
            true => Vec::new(),
            false => request.root.as_bytes().to_vec(),
        },
        start_time: request.terms.start_time.map(nanos),
        expire_time: request.terms.expire_time.map(nanos),
        deadline: request.terms.deadline.map(nanos),
        retry_policy: request.terms.retry_policy.as_ref().map(to_policy),
        on_exhausted: match request.terms.on_exhausted {
            None => 0,
            Some(OnExhausted::Hold) => 1,
            Some(OnExhausted::Fail) => 2,
        },
        callbacks: texts(&request.terms.callbacks),
        failure_callbacks: texts(&request.terms.failure_callbacks),
        retention: request.terms.retention.map(duration_nanos),
        idempotency_key: request.terms.idempotency_key.clone(),
        in_reply_to: request
            .terms
            .in_reply_to
            .as_ref()
            .map(|reply| InReplyToBlob {
                cid: reply.cid.as_bytes().to_vec(),
                service: reply.service.to_string(),
                attempt: reply.attempt,
            }),
        retry_of: request.terms.retry_of.map(|cid| cid.as_bytes().to_vec()),
        concurrency_key: request.terms.concurrency_key.clone(),
        at_most_once: request.terms.at_most_once,
        grouping: request.grouping.as_ref().map(to_grouping),
        principals: request.principals.as_deref().map(to_principals),
        sealed_for: cipher.is_on().then(|| request.service.to_string()),
    };
    cipher.seal(place(request.cid), message.encode_to_vec())
}

fn place(cid: Cid) -> Place {
    Place::of(cid, Column::Request)
}

/// Decodes a request. `accept_time`: the column of its row.
pub(in crate::store) fn decode_request(
    named: Cid,
    service: ServiceName,
    accept_time: i64,
    blob: &[u8],
    cipher: &BlobCipher,
) -> Result<Request> {
    let blob = cipher.open(place(named), blob)?;
    let message = RequestBlob::decode(&*blob).map_err(damaged)?;
    if message
        .sealed_for
        .is_some_and(|name| name != service.as_str())
    {
        return Err(damaged("a request that was sealed for another service"));
    }
    Ok(Request {
        cid: named,
        service,
        input: from_payload(message.input)?,
        response_format: match message.response_format {
            1 => Some(Format::Dict),
            2 => Some(Format::Json),
            3 => Some(Format::Csv),
            4 => Some(Format::Text),
            5 => Some(Format::Form),
            _ => None,
        },
        metadata: metadata(message.metadata),
        attempt_timeout: message.attempt_timeout.map(Duration::from_nanos),
        parent: message.parent.as_deref().map(cid).transpose()?,
        root: match message.root.as_slice() {
            [] => named,
            root => cid(root)?,
        },
        accept_time: timestamp(accept_time),
        terms: Terms {
            start_time: message.start_time.map(timestamp),
            expire_time: message.expire_time.map(timestamp),
            deadline: message.deadline.map(timestamp),
            retry_policy: message.retry_policy.map(from_policy),
            on_exhausted: match message.on_exhausted {
                1 => Some(OnExhausted::Hold),
                2 => Some(OnExhausted::Fail),
                _ => None,
            },
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
        principals: message.principals.as_ref().map(from_principals),
    })
}

/// The one field of a request that only a callback has: the rest is skipped, not decoded.
#[derive(Clone, PartialEq, Message)]
struct CallbackBlob {
    #[prost(message, optional, tag = "16")]
    in_reply_to: Option<InReplyToBlob>,
}

/// Whether a request is a callback.
pub(in crate::store) fn decode_is_callback(
    cid: Cid,
    blob: &[u8],
    cipher: &BlobCipher,
) -> Result<bool> {
    let blob = cipher.open(place(cid), blob)?;
    let message = CallbackBlob::decode(&*blob).map_err(damaged)?;
    Ok(message.in_reply_to.is_some())
}

/// The one field of a request that a filter reads: the rest is skipped, not decoded.
#[derive(Clone, PartialEq, Message)]
struct MetadataBlob {
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<PairBlob>,
}

/// Decodes the metadata of a request.
pub(in crate::store) fn decode_metadata(
    cid: Cid,
    blob: &[u8],
    cipher: &BlobCipher,
) -> Result<Metadata> {
    let blob = cipher.open(place(cid), blob)?;
    let message = MetadataBlob::decode(&*blob).map_err(damaged)?;
    Ok(metadata(message.metadata))
}

fn to_grouping(grouping: &Grouping) -> GroupingBlob {
    match grouping {
        Grouping::Group(group) => GroupingBlob {
            group: None,
            number: group.members,
            on_each: texts(&group.on_each),
        },
        Grouping::Member(member) => GroupingBlob {
            group: Some(member.group.as_bytes().to_vec()),
            number: member.position,
            on_each: texts(&member.on_each),
        },
    }
}

fn from_grouping(grouping: GroupingBlob) -> Result<Grouping> {
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

fn to_principals(principals: &Principals) -> PrincipalsBlob {
    let name = |name: &Option<Principal>| name.as_ref().map(ToString::to_string);
    PrincipalsBlob {
        principal: name(&principals.principal),
        acting_principal: name(&principals.acting_principal),
        acting_group: name(&principals.acting_group),
    }
}

fn from_principals(blob: &PrincipalsBlob) -> Arc<Principals> {
    let name = |name: &Option<String>| name.as_deref().map(Principal::known);
    Arc::new(Principals {
        principal: name(&blob.principal),
        acting_principal: name(&blob.acting_principal),
        acting_group: name(&blob.acting_group),
    })
}

fn to_policy(policy: &RetryPolicy) -> RetryPolicyBlob {
    RetryPolicyBlob {
        max_attempts: policy.max_attempts,
        initial_interval: duration_nanos(policy.initial_interval),
        multiplier: policy.multiplier,
        max_interval: duration_nanos(policy.max_interval),
    }
}

fn from_policy(policy: RetryPolicyBlob) -> RetryPolicy {
    RetryPolicy {
        max_attempts: policy.max_attempts,
        initial_interval: Duration::from_nanos(policy.initial_interval),
        multiplier: policy.multiplier,
        max_interval: Duration::from_nanos(policy.max_interval),
    }
}

fn in_reply_to(reply: &InReplyToBlob) -> Result<InReplyTo> {
    Ok(InReplyTo {
        cid: cid(&reply.cid)?,
        service: ServiceName::from_record(&reply.service)?,
        attempt: reply.attempt,
    })
}
