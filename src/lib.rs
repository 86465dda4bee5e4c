//! Call any service by name, now or in the background, over gRPC, from any language. Every call has a Correlation ID
//! (CID).
//!
//! A *service* is an `async fn` with a name. Its types declare its input and output: JSON Schema, checks and a typed
//! gRPC method are derived from them.
//!
//! ```no_run
//! use cidery::{Context, Input, Node, Result, dict};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct GetCustomer { cust_id: u64 }
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Customer { cust_name: String }
//!
//! async fn get_customer(ctx: Context, Input(req): Input<GetCustomer>) -> Result<Customer> {
//!     let found = ctx.invoke("crm.lookup", dict! { "id": req.cust_id }).await?;
//!     Ok(Customer { cust_name: found.at("name")? })
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     // The details of failures are in the log, which needs a subscriber.
//!     tracing_subscriber::fmt().init();
//!     // Listens on 127.0.0.1:24337, and drains on SIGTERM.
//!     Node::builder().service("customer.get", get_customer).run().await
//! }
//! ```
//!
//! A doc comment of the function is not in the program: a service has the description that it is registered with, in
//! place of `.service(..)`:
//!
//! ```
//! # use cidery::{Definition, Node, Result};
//! # async fn get_customer() {}
//! # fn example() -> Result<()> {
//! let get_customer = Definition::new("customer.get", get_customer)?;
//! let node = Node::builder().register(get_customer.description("Returns a customer."));
//! # Ok(())
//! # }
//! ```
//!
//! A *node* runs services and accepts calls. It is part of a program, as above, or the program `cidery serve`. A
//! *worker* is another process that serves the same functions to a node:
//!
//! ```no_run
//! # async fn get_customer() {}
//! # async fn example() -> cidery::Result<()> {
//! use cidery::Worker;
//!
//! Worker::builder().service("customer.get", get_customer).run("127.0.0.1:24337").await
//! # }
//! ```
//!
//! A *client* invokes services, synchronously or in the background:
//!
//! ```no_run
//! # async fn example() -> cidery::Result<()> {
//! use cidery::{Client, Service, dict};
//! # #[derive(serde::Serialize)]
//! # struct GetCustomer { cust_id: u64 }
//! # #[derive(serde::Deserialize)]
//! # struct Customer { cust_name: String }
//!
//! const GET_CUSTOMER: Service<GetCustomer, Customer> = Service::new("customer.get");
//!
//! let client = Client::connect("127.0.0.1:24337").await?;
//! let customer = client.call(GET_CUSTOMER, GetCustomer { cust_id: 1 }).await?;
//!
//! // Returns once the request is stored. The CID identifies the invocation. Names and dicts do without types.
//! let cid = client.invoke_async("report.create", dict! { "year": 2026 }).await?;
//! let response = client.wait(cid).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Dependencies
//!
//! The program above needs this, beside a path or a version of `cidery`. (`docs/rust.md` in the repository goes on from
//! here: events, layers, tests, logs.)
//!
//! ```toml
//! [dependencies]
//! schemars = "1"
//! serde = { version = "1", features = ["derive"] }
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tracing-subscriber = "0.3"
//! ```
//!
//! Crates whose types are in the API are re-exported, so that their versions always match: `axum` (with the feature
//! `server`), [`bytes`], [`jiff`], [`schemars`], [`serde`], [`tokio_util`], [`tower_layer`] and [`tower_service`]. The
//! derive macros then are told where their crate is:
//!
//! ```
//! #[derive(cidery::serde::Deserialize, cidery::schemars::JsonSchema)]
//! #[serde(crate = "cidery::serde")]
//! #[schemars(crate = "cidery::schemars")]
//! struct GetCustomer { cust_id: u64 }
//! ```
//!
//! # Errors
//!
//! Every failure is an [`Error`], with a [`Kind`] (the status codes of gRPC) and a stable reason for programs, such as
//! `NOT_FOUND` / `SERVICE_UNKNOWN`. A service chooses kinds and reasons for its own failures, and its callers get them
//! unchanged. Methods list the reasons that they add; `docs/errors.md` in the repository explains all of them, with
//! what to do. [`Error`] also says which errors of other crates `?` converts.
//!
//! # Features
//!
//! | feature | default | enables |
//! |---|---|---|
//! | `server` | yes | a node in your program: [`Node`], [`MemoryStore`], and [`testing`] for tests of services |
//! | `console` | yes | the web console of a node, embedded in the program: [`ConsoleOptions`]. Implies `server` |
//! | `tls` | no | `https://`: `ClientTls`, and `ServerTls` of a node. Needs a C compiler, for `ring` |
//! | `sqlite` | no | `SqliteStore`: a node that stores invocations on disk. Implies `server`, needs a C compiler |
//! | `postgres` | no | `PostgresStore`: several nodes that share a PostgreSQL. Implies `server`, needs a C compiler |
//! | `cli` | no | the program `cidery`. Implies `postgres`, `sqlite` and `tls`; libraries do not need it |
//!
//! With `sqlite`, add the following lines to `.cargo/config.toml` of the program. SQLite then syncs with `fdatasync`,
//! which is faster on Linux:
//!
//! ```toml
//! [env]
//! LIBSQLITE3_FLAGS = "-DHAVE_FDATASYNC=1"
//! ```
//!
//! With `default-features = false` the crate has clients, workers and their services, without the dependencies of the
//! server.
//!
//! # Overview
//!
//! * **Write a service**: a [`Handler`] with [`Input`], [`State`] and other arguments that implement [`FromContext`]
//!   (which may add [`Requirements`]) or [`FromInput`], and a result that implements [`IntoReply`].
//!   [`assert_handler!`] explains why a function is no handler. [`Definition`], [`ServiceOptions`], [`Hooks`] and
//!   [`Registry`] describe services; tower layers wrap a [`HandlerService`] for each [`HandlerRequest`].
//! * **Call services**: every [`Caller`] has the same methods: `invoke` and `invoke_async` by name
//!   ([`IntoServiceName`]) with an input that implements [`IntoPayload`]; `call` and `call_async` by types, with a
//!   [`Service`] ([`ServiceHandle`]) or, within the process of handlers, a handler ([`Target`]). They return an
//!   [`InvokeCall`] or an [`InvokeAsyncCall`]. An `invoke` gives a [`Response`], which [`parse`](Response::parse) reads
//!   as a type; a `call` gives the output of the service; the others give a [`Cid`].
//! * **Call from a handler**: [`Context`], with [`InvocationInfo`] and [`InReplyTo`]; [`RetryingCall`], [`FanOut`] of
//!   calls ([`IntoCall`]) and its [`Group`]; [`Progress`], [`KnownService`]; [`Answer`] and [`Later`] for a response
//!   that is completed later.
//! * **Run a node**: [`Node`], [`NodeBuilder`], [`NodeHandle`], [`Limits`], [`Clock`], [`MemoryStore`],
//!   `SqliteStore`, `SqliteOptions`, `StoreKeys`, `PostgresStore`, `PostgresOptions`; `ServerTls`, and the
//!   [`PeerCertificate`] of a client; who may call it: [`AccessOptions`] with [`CertificateRule`] and `JwtOptions`, and
//!   [`Rights`] of a [`Principal`], which are [`NamePattern`]s and [`Scope`]s.
//! * **Run a worker**: [`Worker`], [`WorkerBuilder`], [`WorkerHandle`].
//! * **Call from another process**: [`Client`], `ClientTls`, with a [`ClientCredential`]; [`Call`], [`DurableOptions`],
//!   [`Start`], [`OnDeadline`], [`RetryPolicy`], [`OnExhausted`] and [`Metadata`]; [`Accepted`], [`Batch`] and
//!   [`AcceptedGroup`];
//!   [`Results`], which are [`Event`]s of an [`EventKind`]; [`Outcome`] and [`InvocationState`].
//! * **Values and Simple IO**: [`Value`], [`Dict`], [`dict!`], [`Digits`], [`Key`], [`IntoValue`], [`from_value`],
//!   [`to_value`]; [`Payload`], [`Format`] and [`Reply`]; [`Sio`] and the elements in [`sio`].
//! * **Identifiers and errors**: [`Cid`], [`ServiceName`], [`Principal`], [`Principals`], [`Result`], [`Error`],
//!   [`BoxError`], [`Kind`], [`Retry`], [`Violation`], [`Detail`].
//! * **Test services**: [`testing`].

#![cfg_attr(
    not(feature = "server"),
    allow(
        dead_code,
        unused_imports,
        reason = "the server also uses some code of clients and workers, and is left out"
    )
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

// The examples that are compiled into the demo services name the crate `cidery`.
extern crate self as cidery;

// The eight rooms. Each uses only those before it; `ARCHITECTURE.md` has the map. They are not part of the API: they
// are public for the tests, the benchmarks and the command line, and change at any time.

/// The domain model: values, identifiers, errors, declarations, invocations. Pure.
#[doc(hidden)]
pub mod model;

/// Encoding and decoding of the model.
#[doc(hidden)]
pub mod codec;

/// The API for authors of services.
#[doc(hidden)]
pub mod service;

/// The engine: admission, scheduling, execution, retries, results.
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod engine;

/// The stores: in memory and SQLite.
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod store;

/// Clients and workers in other processes.
#[doc(hidden)]
pub mod remote;

/// The servers that callers connect to.
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod edge;

/// The process: node, command line, telemetry, test kit.
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod app;

/// The engine of the fuzz targets, which the integration tests use as well.
#[path = "../tests/it/fuzz/engine.rs"]
#[cfg(test)]
mod fuzz_engine;

// The crates whose types are in the API.
#[cfg(feature = "server")]
#[doc(no_inline)]
pub use axum;
#[doc(no_inline)]
pub use {bytes, jiff, schemars, serde, tokio_util, tower_layer, tower_service};

// The API. Each group has a line in the overview above.

// Write a service.
#[doc(inline)]
pub use crate::model::service_options::ServiceOptions;
#[doc(inline)]
pub use crate::service::{
    Definition, FromContext, FromInput, Handler, HandlerRequest, HandlerService, Hooks, Input,
    IntoReply, Registry, Requirements, State,
};

// Call services, from a handler and from everywhere else.
#[doc(inline)]
pub use crate::model::into_call::{IntoCall, IntoServiceName};
#[doc(inline)]
pub use crate::model::into_payload::IntoPayload;
#[doc(inline)]
pub use crate::service::{
    Caller, InvokeAsyncCall, InvokeCall, Response, Service, ServiceHandle, Target,
};

// Call from a handler.
#[doc(inline)]
pub use crate::model::invocation::{InReplyTo, Progress};
#[doc(inline)]
pub use crate::service::{
    Answer, Context, FanOut, Group, InvocationInfo, KnownService, Later, RetryingCall,
};

// Run a node.
#[cfg(feature = "server")]
#[doc(inline)]
pub use crate::app::{Node, NodeBuilder, NodeHandle};
#[cfg(feature = "jwt")]
#[doc(inline)]
pub use crate::edge::auth::JwtOptions;
#[cfg(feature = "server")]
#[doc(inline)]
pub use crate::edge::auth::{AccessOptions, CertificateRule};
#[cfg(feature = "console")]
#[doc(inline)]
pub use crate::edge::console::ConsoleOptions;
#[cfg(all(feature = "server", feature = "tls"))]
#[doc(inline)]
pub use crate::edge::tls::ServerTls;
#[cfg(feature = "server")]
#[doc(inline)]
pub use crate::engine::Limits;
#[cfg(feature = "server")]
#[doc(inline)]
pub use crate::engine::clock::Clock;
#[cfg(feature = "server")]
#[doc(inline)]
pub use crate::model::peer_certificate::PeerCertificate;
#[cfg(feature = "server")]
#[doc(inline)]
pub use crate::store::MemoryStore;
#[cfg(feature = "postgres")]
#[doc(inline)]
pub use crate::store::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use crate::store::{SqliteOptions, SqliteStore, StoreKeys};

// Run a worker.
#[doc(inline)]
pub use crate::remote::{Worker, WorkerBuilder, WorkerHandle};

// Call from another process.
#[doc(inline)]
pub use crate::model::batch::{AcceptedGroup, Batch};
#[doc(inline)]
pub use crate::model::call::{Accepted, Call, DurableOptions, OnDeadline, Start};
#[doc(inline)]
pub use crate::model::invocation::{InvocationState, OnExhausted, Outcome, RetryPolicy};
#[doc(inline)]
pub use crate::model::metadata::Metadata;
#[cfg(feature = "tls")]
#[doc(inline)]
pub use crate::remote::ClientTls;
#[doc(inline)]
pub use crate::remote::{Client, ClientCredential, Event, EventKind, Results};

// Values and Simple IO.
#[doc(inline)]
pub use crate::model::payload::{Format, Payload, Reply};
#[doc(inline)]
pub use crate::model::sio::{self, Sio};
#[doc(inline)]
pub use crate::model::value::{Dict, Digits, IntoValue, Key, Value, from_value, to_value};

// Identifiers and errors.
#[doc(inline)]
pub use crate::model::access::{NamePattern, Principal, Principals, Rights, Scope};
#[doc(inline)]
pub use crate::model::error::{BoxError, Detail, Error, Kind, Result, Retry, Violation};
#[doc(inline)]
pub use crate::model::id::{Cid, ServiceName};

// Test services.
#[cfg(feature = "server")]
#[doc(inline)]
pub use crate::app::testing;

/// The README's code, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The code of the documentation of patterns, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/patterns.md")]
pub struct Patterns;

/// The code of the documentation of the dead-letter queue, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/dead-letters.md")]
pub struct DeadLetters;

/// The code of the documentation of TLS, compiled.
#[cfg(all(doctest, feature = "tls"))]
#[doc = include_str!("../docs/tls.md")]
pub struct Tls;

/// The code of the documentation of services in Rust, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/rust.md")]
pub struct Rust;

/// The code of the documentation of Simple IO, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/sio.md")]
pub struct SimpleIo;
