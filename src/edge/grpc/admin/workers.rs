//! `ListWorkers`: the connected workers, page by page.

use crate::codec::convert::{page_size_from_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::edge::grpc::request::malformed_page_token;
use crate::engine::WorkerStatus;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

/// One page.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the size of the page and its token.
pub(super) fn list(
    workers: &WorkerRegistry,
    request: &v1::ListWorkersRequest,
) -> Result<v1::ListWorkersResponse> {
    let size = page_size_from_proto(request.page_size, DEFAULT_PAGE, MAX_PAGE)?;
    let service = Some(request.service.as_str()).filter(|service| !service.is_empty());
    // The token is the key of the last worker of the previous page: it stays valid while workers connect and
    // disconnect.
    let after = request.page_token.rsplit_once('/');
    if after.is_none() && !request.page_token.is_empty() {
        return Err(malformed_page_token());
    }
    let (page, has_more) = workers.list(service, after, size);
    let last = page.last().filter(|_| has_more);
    let next_page_token = last.map(|last| format!("{}/{}", last.name, last.id));
    Ok(v1::ListWorkersResponse {
        workers: page.into_iter().map(to_proto).collect(),
        next_page_token: next_page_token.unwrap_or_default(),
    })
}

/// Converts a worker to its message.
pub(super) fn to_proto(worker: WorkerStatus) -> v1::Worker {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    v1::Worker {
        services: worker.services.iter().map(ToString::to_string).collect(),
        in_flight: small(worker.in_flight),
        max_in_flight: small(worker.max_in_flight),
        connect_time: Some(timestamp_to_proto(worker.connect_time)),
        id: worker.id,
        name: worker.name,
        build_id: worker.build_id,
        capabilities: worker.capabilities,
        peer: worker.peer,
        draining: worker.draining,
        away: worker.away,
    }
}
