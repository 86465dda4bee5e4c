//! Call any service by name, now or in the background, over gRPC, from any language.

extern crate self as cidery;

pub mod app;
pub mod codec;
pub mod edge;
pub mod engine;
pub mod model;
pub mod remote;
pub mod service;
pub mod store;

pub use crate::app::{Node, NodeBuilder, NodeHandle};
pub use crate::model::error::{Error, Kind, Result, Violation};
pub use crate::model::id::{Cid, ServiceName};
pub use crate::model::invocation::{Progress, RetryPolicy};
pub use crate::model::metadata::Metadata;
pub use crate::model::payload::{Format, Payload, Reply};
pub use crate::model::value::{Dict, Value, from_value, to_value};
pub use crate::remote::Client;
pub use crate::service::{
    Context, Definition, FromContext, Handler, Hooks, Input, Registry, Response, Service,
    ServiceOptions, State,
};
