//! Calls of services: the same methods and builders in handlers, in clients and at a node.

mod caller;
mod dispatch;
mod invoke;
mod invoke_async;
mod names;
mod target;

pub use self::caller::Caller;
pub(crate) use self::caller::{call_handlers, call_target, call_target_async, caller, target_call};
pub(crate) use self::dispatch::{Dispatch, LocalHandlers, OutsideCaller};
pub use self::invoke::InvokeCall;
pub use self::invoke_async::InvokeAsyncCall;
pub(crate) use self::names::HandlerNames;
pub use self::target::{Service, ServiceHandle, Target};
