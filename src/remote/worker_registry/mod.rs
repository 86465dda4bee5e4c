//! The registry of a node's workers: their sessions, the pools of the services that they serve, and the declaration of
//! each service that is in force.
//!
//! ```text
//!  WorkerService.Serve ─▶ WorkerSession ─▶ PoolMember ─▶ ServicePool (the engine's WorkerPool) ─▶ CreditPermit
//! ```

mod credit_permit;
mod declarations;
mod dispatch_message;
mod dispatch_table;
mod hello;
mod in_flight;
mod lease;
mod member;
mod pool;
mod refusal_counts;
mod refusals;
mod registry;
mod results;
mod session;
mod worker_info;

#[cfg(feature = "cli")]
pub(in crate::remote) use self::hello::definitions_of;
pub(crate) use self::hello::validate_message;
pub(crate) use self::refusals::protocol_error;
pub(crate) use self::registry::{RegisteredStream, WorkerRegistry};
pub(crate) use self::session::{ItemReceipt, WorkerSession};
