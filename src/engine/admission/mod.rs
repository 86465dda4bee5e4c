//! Admission: concurrency limits, quotas, permits, worker permits and CID reservations.

mod call_queue;
pub(in crate::engine) mod cid_reservations;
pub(in crate::engine) mod concurrency;
mod deadline_check;
mod handler_time;
pub(in crate::engine) mod permits;
pub(in crate::engine) mod quota;
pub(in crate::engine) mod worker_pool;
