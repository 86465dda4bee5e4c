//! Requests to run a batch of calls in the background, and their acknowledgement.

use super::request::{async_call_from_proto, async_call_to_proto, optional_cid};
use crate::codec::convert::field::{FieldErrors, parse_optional_cid, text_from_proto};
use crate::codec::convert::metadata::TraceHeaders;
use crate::codec::convert::time::{duration_from_proto, duration_to_proto};
use crate::codec::proto::v1;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::Call;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::sio::Ignored;

/// Converts a batch. `trace` is that of the transport.
///
/// # Errors
///
/// `INVALID_ARGUMENT` with the violations of all members.
pub fn batch_from_proto(message: v1::InvokeBatchRequest, trace: TraceHeaders<'_>) -> Result<Batch> {
    let mut errors = FieldErrors::default();
    let batch = Batch {
        cid: errors.take(parse_optional_cid("cid", &message.cid)),
        idempotency_key: text_from_proto(message.idempotency_key),
        on_each: message.on_each,
        on_final: message.on_final,
        retention: errors.take(duration_from_proto("/retention", message.retention)),
        calls: errors.take(calls_from_proto(message.requests, trace)),
    };
    errors.finish()?;
    Ok(batch)
}

fn calls_from_proto(
    requests: Vec<v1::InvokeAsyncRequest>,
    trace: TraceHeaders<'_>,
) -> Result<Vec<Call>> {
    let (mut calls, mut violations) = (Vec::with_capacity(requests.len()), Vec::new());
    for (position, request) in requests.into_iter().enumerate() {
        let cid = parse_optional_cid("cid", &request.cid);
        match async_call_from_proto(cid, request, trace) {
            Ok(call) => calls.push(call),
            Err(error) => violations.extend(error.violations_at(&format!("/requests/{position}"))),
        }
    }
    Error::reject(reason::REQUEST_INVALID, violations)?;
    Ok(calls)
}

/// Converts a batch to the contract's form.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be encoded.
pub fn batch_to_proto(batch: Batch) -> Result<v1::InvokeBatchRequest> {
    let requests = batch.calls.into_iter().map(async_call_to_proto);
    Ok(v1::InvokeBatchRequest {
        requests: requests.collect::<Result<_>>()?,
        cid: optional_cid(batch.cid),
        idempotency_key: batch.idempotency_key.unwrap_or_default(),
        on_each: batch.on_each,
        on_final: batch.on_final,
        retention: batch.retention.map(duration_to_proto),
    })
}

/// Converts the acknowledgement of a batch; `generated_cid` as for
/// [`accepted_from_proto`](crate::codec::convert::accepted_from_proto).
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `CID_INVALID` where the node answers with a malformed CID.
pub fn accepted_group_from_proto(
    response: &v1::InvokeBatchResponse,
    ignored: Ignored,
    generated_cid: Option<&str>,
) -> Result<AcceptedGroup> {
    let members = response.member_cids.iter().map(|cid| Cid::parse(cid));
    Ok(AcceptedGroup {
        cid: Cid::parse(&response.cid)?,
        members: members.collect::<Result<_>>()?,
        already_accepted: response.already_accepted && generated_cid != Some(&response.cid),
        ignored,
    })
}
