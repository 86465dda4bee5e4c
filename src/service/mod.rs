//! The API for authors of services: handlers, extractors, outputs, contexts, hooks and the registry.

#[doc(hidden)]
pub mod assert_handler;
pub mod builtin;
mod call;
mod context;
mod definition;
mod extract;
mod handler;
mod handler_scope;
mod hooks;
mod layers;
mod output;
mod platform;
mod refusal;
mod registry;
mod response;
mod run;
pub mod runtime;
mod states;
mod worker_permit;

pub use self::call::{Caller, InvokeAsyncCall, InvokeCall, Service, ServiceHandle, Target};
pub(crate) use self::call::{
    Dispatch, HandlerNames, LocalHandlers, OutsideCaller, call_handlers, call_target,
    call_target_async, caller,
};
pub use self::context::{Answer, Context, FanOut, Group, Later, RetryingCall};
pub use self::definition::{Admitted, Definition, HandlerFuture, HandlerRequest, HandlerService};
pub use self::extract::{FromContext, FromInput, Input, State};
pub use self::handler::Handler;
pub use self::handler_scope::{HandlerScope, InvocationInfo};
pub use self::hooks::{ErasedHooks, Hooks};
pub(crate) use self::layers::Layers;
pub use self::output::IntoReply;
pub(crate) use self::output::output_invalid;
pub use self::platform::{BoxFuture, KnownService, Platform};
pub(crate) use self::refusal::{of_handler as error_of_handler, of_nested, refused_by};
pub use self::registry::Registry;
pub use self::response::Response;
pub use self::run::{CatchUnwind, run};
pub(crate) use self::run::{
    is_for_operator, location, log_attempt_failure, log_failure, log_message,
};
pub use self::states::{Requirements, States};
pub use self::worker_permit::{DispatchStatus, WorkerPermit};
