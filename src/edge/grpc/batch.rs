//! `InvokeBatch`: many invocations at once.

use tonic::metadata::MetadataMap;

use super::request::{self, brought_cid};
use crate::codec::convert::duration_from_proto;
use crate::codec::proto::v1;
use crate::engine::Invoker;
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::Call;
use crate::model::error::{Error, Result, reason};
use crate::remote::hub::Workers;
use crate::remote::wire::{self, given};

/// Accepts a batch, for a caller from outside or for the handler of a worker.
pub(super) async fn accept(
    invoker: &Invoker,
    workers: &Workers,
    message: v1::InvokeBatchRequest,
    transport: &MetadataMap,
) -> Result<AcceptedGroup> {
    invoker.check_batch_size(message.requests.len())?;
    let batch = Batch {
        cid: brought_cid("cid", &message.cid)?,
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

/// Reads the requests, with what is wrong with all of them.
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
    let cid = brought_cid("cid", &message.cid)?;
    let sent = request::metadata(std::mem::take(&mut message.metadata), transport)?;
    wire::async_call(cid, message, sent)
}
