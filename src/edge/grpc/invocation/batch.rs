//! `InvokeBatch`: accepts a batch of asynchronous invocations.

use tonic::metadata::MetadataMap;

use crate::codec::convert::{batch_from_proto, complete_retry_policy};
use crate::codec::proto::v1;
use crate::edge::grpc::request;
use crate::engine::Invoker;
use crate::model::batch::AcceptedGroup;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

/// Accepts a batch, of an external caller or of a worker's handler.
pub(super) async fn accept(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    mut message: v1::InvokeBatchRequest,
    transport: &MetadataMap,
) -> Result<AcceptedGroup> {
    invoker.check_batch_size(message.requests.len())?;
    let defaults = invoker.limits().retry_policy();
    let policies = message.requests.iter_mut();
    policies
        .filter_map(|request| request.retry_policy.as_mut())
        .for_each(|policy| complete_retry_policy(policy, &defaults));
    let batch = batch_from_proto(message, request::trace(transport))?;
    match request::dispatch_token(transport) {
        None => invoker.invoke_batch(batch).await,
        Some(token) => {
            let caller = workers.context(token, invoker.caller())?;
            caller.platform().invoke_batch(batch).await
        }
    }
}
