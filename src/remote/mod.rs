//! Other processes: clients of a node, and workers, on either side of their streams.

pub mod client;
#[cfg(feature = "otlp")]
#[cfg_attr(
    not(feature = "cli"),
    allow(dead_code, unused_imports, reason = "the command configures it")
)]
pub(crate) mod collector;
#[cfg(feature = "cli")]
pub(crate) mod conformance;
pub(crate) mod protocol;
pub mod worker;
#[cfg(feature = "server")]
pub(crate) mod worker_registry;

pub use self::client::{Client, Event, EventKind, Results};
pub use self::protocol::credential::ClientCredential;
#[cfg(feature = "tls")]
pub use self::protocol::tls::ClientTls;
pub use self::worker::{Worker, WorkerBuilder, WorkerHandle};
