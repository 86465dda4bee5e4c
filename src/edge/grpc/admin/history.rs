//! `GetHistory`: the last hour of a service, or of the node.

use crate::codec::convert::{duration_to_proto, optional_timestamp_from_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::engine::{HISTORY_INTERVAL, HistoryPage, Invoker, Sample};
use crate::model::error::Result;

/// The samples.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a time that is none.
pub(super) fn get(
    invoker: &Invoker,
    request: &v1::GetHistoryRequest,
) -> Result<v1::GetHistoryResponse> {
    let after = optional_timestamp_from_proto("/from_time", request.from_time)?;
    let service = Some(request.service.as_str()).filter(|name| !name.is_empty());
    let HistoryPage {
        samples,
        time,
        start_time,
    } = invoker.history(service, after)?;
    Ok(v1::GetHistoryResponse {
        samples: samples.iter().map(to_proto).collect(),
        interval: Some(duration_to_proto(HISTORY_INTERVAL)),
        observe_time: Some(timestamp_to_proto(time)),
        start_time: Some(timestamp_to_proto(start_time)),
    })
}

fn to_proto(sample: &Sample) -> v1::HistorySample {
    v1::HistorySample {
        time: Some(timestamp_to_proto(sample.time)),
        succeeded: sample.succeeded,
        failed: sample.failed,
        cancelled: sample.cancelled,
        expired: sample.expired,
        refused: sample.refused,
        duration_p50: sample.duration_p50.map(|it| it.as_secs_f64()),
        duration_p99: sample.duration_p99.map(|it| it.as_secs_f64()),
        running: sample.running,
        queued: sample.queued,
        pending: sample.pending,
        oldest_due_age: sample.oldest_due_age.map(|it| it.as_secs_f64()),
    }
}
