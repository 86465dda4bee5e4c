//! Calls of services: the same methods and builders in handlers, in clients and at a node.

mod caller;
mod dispatch;
mod invoke;
mod invoke_async;
mod names;
mod target;

pub use self::caller::Caller;
pub(crate) use self::caller::caller;
pub(crate) use self::dispatch::{Dispatch, OutsideCaller};
pub use self::invoke::{FromResponse, InvokeCall};
pub use self::invoke_async::InvokeAsyncCall;
pub(crate) use self::names::HandlerNames;
pub use self::target::{Service, Target};
