//! Concurrency limits, permits, worker permits and CID reservations: what a call needs before it runs.

pub(in crate::engine) mod cid_reservations;
pub(in crate::engine) mod concurrency;
pub(in crate::engine) mod permits;
pub(in crate::engine) mod worker_pool;
