//! The caller of a request, as the authentication of the port put it there.

use tonic::Extensions;

use crate::engine::Invoker;
use crate::model::access::Caller;
use crate::model::error::Result;

/// The invoker for the caller of a request.
pub(in crate::edge) fn on_behalf_of_caller(invoker: &Invoker, extensions: &Extensions) -> Invoker {
    invoker.on_behalf_of(caller(invoker, extensions))
}

/// Whether the caller of a request administers the node.
///
/// # Errors
///
/// `PERMISSION_DENIED` / `NOT_PERMITTED`; `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`.
pub(in crate::edge) fn check_administrator(
    invoker: &Invoker,
    extensions: &Extensions,
) -> Result<()> {
    on_behalf_of_caller(invoker, extensions).check_administer()
}

/// The caller of a request. One that the port has not authenticated is trusted only where authentication is off.
pub(in crate::edge) fn caller(invoker: &Invoker, extensions: &Extensions) -> Caller {
    if !invoker.requires_authentication() {
        return Caller::Trusted;
    }
    let caller = extensions.get::<Caller>();
    caller.cloned().unwrap_or(Caller::Unauthenticated)
}
