//! Call any service by name, now or in the background, over gRPC, from any language. Every call has a CID.
//!
//! **It is** a node (a binary, or a part of your program) on which services are registered by name. They are invoked
//! synchronously or in the background, and their outcomes are fetched, awaited or streamed by Correlation ID. **It is
//! not** a workflow engine, an API gateway or a message broker.
//!
//! ```no_run
//! use cidery::{Context, Input, Node, Result, dict};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct GetCustomer { cust_id: u64 }
//!
//! #[derive(serde::Serialize, schemars::JsonSchema)]
//! struct Customer { cust_name: String }
//!
//! async fn get_customer(ctx: Context, Input(req): Input<GetCustomer>) -> Result<Customer> {
//!     let found = ctx.invoke("crm.lookup", dict! { "id": req.cust_id }).await?;
//!     Ok(Customer { cust_name: found.at("my_response_elem.cust_name")? })
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     Node::builder().service("customer.get", get_customer).run().await
//! }
//! ```
//!
//! # Features
//!
//! | feature | default | enables |
//! |---|---|---|
//! | `cli` | yes | the command line, human-readable logs, signals: a program that embeds a node has its own |
//! | `sqlite` | yes | the embedded store: accepted invocations are on disk |
//!
//! # The eight modules
//!
//! Each module uses only those before it; `ARCHITECTURE.md` has the map.

// The examples that are compiled into the demo services name the crate `cidery`.
extern crate self as cidery;

/// The domain model: values, identifiers, errors, declarations, invocations. Pure.
pub mod model;

/// Encoding and decoding of the model.
pub mod codec;

/// The API for authors of services.
pub mod service;

/// The engine: admission, scheduling, execution, retries, results.
pub mod engine;

/// The stores: in memory and SQLite.
pub mod store;

/// Clients and workers in other processes.
pub mod remote;

/// The servers that callers connect to.
pub mod edge;

/// The process: node, command line, telemetry, test kit.
pub mod app;

pub use crate::app::{Node, NodeBuilder, NodeHandle, testing};
pub use crate::model::batch::Batch;
pub use crate::model::error::{Error, Kind, Result, Violation};
pub use crate::model::id::{Cid, ServiceName};
pub use crate::model::invocation::{Progress, RetryPolicy};
pub use crate::model::metadata::Metadata;
pub use crate::model::payload::{Format, Payload, Reply};
pub use crate::model::service_options::ServiceOptions;
pub use crate::model::sio::{self, Sio};
pub use crate::model::value::{Dict, Value, from_value, to_value};
pub use crate::remote::{Client, Worker, WorkerBuilder, WorkerHandle};
pub use crate::service::{
    Answer, Context, Definition, FromContext, Group, Handler, Hooks, Input, Later, Registry,
    Response, Service, State,
};

/// The README's code, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The code of the documentation of patterns, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/patterns.md")]
pub struct Patterns;

/// The code of the documentation of Simple IO, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/sio.md")]
pub struct SimpleIo;
