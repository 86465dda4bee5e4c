//! The node's side of workers: who is connected, who serves what, and which declaration of a service is in force.
//!
//! ```text
//!  WorkerService.Serve ─▶ Session ─▶ PoolMember ─▶ ServicePool (the engine's WorkerPool) ─▶ InFlightDispatch
//! ```

mod connection;
mod declarations;
mod dispatch;
mod dispatch_message;
mod dispatch_table;
mod hello;
mod in_flight;
mod lease;
mod member;
mod pool;
mod registry;
mod results;
mod session;
mod worker_info;

pub(crate) use self::registry::{WorkerRegistry, WorkerStream};
pub(crate) use self::session::{ItemReceipt, Session};
