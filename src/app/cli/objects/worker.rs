//! The object of a connected worker.

use crate::app::cli::names::{text_value, time_value};
use crate::codec::proto::v1;
use crate::dict;
use crate::model::value::Value;

/// `worker` in the schema.
pub(in crate::app::cli) fn worker(worker: &v1::Worker) -> Value {
    dict! {
        "id": worker.id.as_str(),
        "name": worker.name.as_str(),
        "build_id": text_value(&worker.build_id),
        "services": worker.services.clone(),
        "in_flight": worker.in_flight,
        "max_in_flight": worker.max_in_flight,
        "connect_time": time_value(worker.connect_time.as_ref()),
        "peer": text_value(&worker.peer),
        "draining": worker.draining,
        "away": worker.away,
    }
    .into()
}
