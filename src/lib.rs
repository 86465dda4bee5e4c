//! Call any service by name, now or in the background, over gRPC, from any language. Every call has a CID.
//!
//! **It is** a node (one binary, or part of a program of yours) on which services are registered by name; they are
//! invoked synchronously or in the background, and their outcomes are fetched, awaited or streamed by Correlation ID.
//! **It is not** a workflow engine, an API gateway or a message broker.
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
//! | feature | default | what it brings |
//! |---|---|---|
//! | `cli` | yes | the command line, logs for people, signals: what a host that embeds a node brings itself |
//! | `sqlite` | yes | the embedded store: what is accepted is on disk |
//!
//! # The eight rooms
//!
//! Each uses only those before it; `ARCHITECTURE.md` has the map.

// What the examples that are part of the demo call this crate.
extern crate self as cidery;

/// What things are: values, names, errors, states. Pure.
pub mod model;

/// Bytes to model and back.
pub mod codec;

/// What a service's author sees.
pub mod service;

/// What happens.
pub mod engine;

/// What lasts.
pub mod store;

/// Other processes.
pub mod remote;

/// How callers come in.
pub mod edge;

/// The process.
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
