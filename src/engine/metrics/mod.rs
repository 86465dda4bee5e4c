//! What is counted of calls and attempts, always and for as long as the node runs: see `docs/metrics.md`.
//!
//! A call that succeeds costs three relaxed additions to cells that mostly one core writes. Failures take a short lock.

mod histogram;
mod outcomes;
mod service_metrics;
mod shard;

#[cfg(feature = "sqlite")]
pub(crate) use self::histogram::Bounds;
pub use self::histogram::HistogramSnapshot;
pub(crate) use self::histogram::{Histogram, SECONDS, SECONDS_UPPER};
pub use self::outcomes::{InvocationKind, OutcomeCount, OutcomeKind};
pub(in crate::engine) use self::service_metrics::{NameRoom, Run, ServiceMetrics};
pub(crate) use self::shard::{SHARDS, shard};
