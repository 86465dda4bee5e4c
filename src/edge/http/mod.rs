//! Plain HTTP: the paths of the node for clients without gRPC, such as `curl`, web hooks and probes.
//!
//! Requests come here behind the guard of browsers' requests. A route of the host at the same path replaces one of the
//! node. Callers are authenticated as those of gRPC are, and every answer has a `cidery-cid` header.

mod accept;
mod api;
mod body;
mod complete;
mod counted_body;
mod event_stream;
mod filter;
mod health;
mod invocations;
mod invoke;
mod media;
mod options;
mod page;
mod prefer;
mod problem;
mod query;
mod request;
mod respond;
mod route;
mod services;
#[cfg(feature = "console")]
mod session;
mod span;

pub(super) use self::api::HttpApi;
pub(super) use self::problem::Problem;
pub(super) use self::route::{Route, nearest};
