//! Other processes: clients of a node, and workers.

mod again;
pub mod client;
mod dispatched;
mod handed;
pub mod hub;
mod introduced;
mod offer;
mod outcomes;
mod sent;
pub mod session;
pub mod several;
pub mod wire;
pub mod worker;

pub use self::client::Client;
pub use self::worker::{Worker, WorkerBuilder, WorkerHandle};
