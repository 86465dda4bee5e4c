//! The caller of a request, as the authentication of the port put it there.

use tonic::Extensions;

use crate::engine::Invoker;
use crate::model::access::Caller;

/// The invoker for the caller of a request.
pub(in crate::edge) fn on_behalf_of_caller(invoker: &Invoker, extensions: &Extensions) -> Invoker {
    invoker.on_behalf_of(caller(invoker, extensions))
}

/// The caller of a request. One that the port has not authenticated is trusted only where authentication is off.
fn caller(invoker: &Invoker, extensions: &Extensions) -> Caller {
    match extensions.get::<Caller>() {
        Some(caller) => caller.clone(),
        None if invoker.requires_authentication() => Caller::Unauthenticated,
        None => Caller::Trusted,
    }
}
