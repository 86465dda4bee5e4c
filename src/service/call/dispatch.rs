//! What sends the calls that the builders make.

use super::names::HandlerNames;
use crate::model::call::{Accepted, Call};
use crate::model::error::Result;
use crate::service::platform::BoxFuture;
use crate::service::response::Response;

/// Sends the calls that the builders make.
pub trait Dispatch: Sync {
    /// Invokes a service and waits for its response.
    fn respond(&self, call: Call) -> BoxFuture<'_, Result<Response>>;

    /// Accepts an asynchronous invocation.
    fn accept(&self, call: Call) -> BoxFuture<'_, Result<Accepted>>;
}

/// A caller in the process of handlers, which can be called by their functions.
pub trait LocalHandlers: Dispatch {
    /// The names of the handlers of this process.
    fn handler_names(&self) -> &HandlerNames;
}

/// A caller whose calls begin invocations of their own, rather than being nested in another one.
pub trait OutsideCaller: Dispatch {}
