//! `InvokeBatch`: accepts a batch of asynchronous invocations.

use tonic::metadata::MetadataMap;

use crate::codec::convert::duration_from_proto;
use crate::codec::proto::v1;
use crate::edge::grpc::request::{self, parse_optional_cid};
use crate::engine::Invoker;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::Call;
use crate::model::error::{Error, Result, reason};
use crate::remote::hub::Workers;
use crate::remote::wire::{self, given};

/// Accepts a batch, of an external caller or of a worker's handler.
pub(super) async fn accept(
    invoker: &Invoker,
    workers: &Workers,
    message: v1::InvokeBatchRequest,
    transport: &MetadataMap,
) -> Result<AcceptedGroup> {
    invoker.check_batch_size(message.requests.len())?;
    let batch = Batch {
        cid: parse_optional_cid("cid", &message.cid)?,
        idempotency_key: given(message.idempotency_key),
        on_each: message.on_each,
        on_final: message.on_final,
        retention: duration_from_proto("/retention", message.retention)?,
        calls: calls(message.requests, transport)?,
    };
    match request::dispatch_token(transport) {
        None => invoker.invoke_batch(batch).await,
        Some(token) => workers.context(token)?.platform().invoke_batch(batch).await,
    }
}

/// Decodes the requests. Violations of all of them are collected.
fn calls(requests: Vec<v1::InvokeAsyncRequest>, transport: &MetadataMap) -> Result<Vec<Call>> {
    let (mut calls, mut violations) = (Vec::with_capacity(requests.len()), Vec::new());
    for (position, request) in requests.into_iter().enumerate() {
        match call(request, transport) {
            Ok(call) => calls.push(call),
            Err(error) => {
                let path = format!("/requests/{position}");
                violations.extend(error.violations_at(&path));
            }
        }
    }
    match violations.is_empty() {
        true => Ok(calls),
        false => Err(Error::violations(reason::REQUEST_INVALID, violations)),
    }
}

fn call(mut message: v1::InvokeAsyncRequest, transport: &MetadataMap) -> Result<Call> {
    let cid = parse_optional_cid("cid", &message.cid)?;
    let metadata = request::metadata(std::mem::take(&mut message.metadata), transport)?;
    wire::async_call(cid, message, metadata)
}
