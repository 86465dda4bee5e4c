//! The conversion of what callers pass to a call: the name of a service, and a call of many.

use std::borrow::Cow;

use crate::model::call::Call;
use crate::model::error::Result;
use crate::model::into_payload::IntoPayload;

/// The name of a service, as callers pass it: a `&'static str`, a `String` or a `&ServiceName`.
///
/// Implemented for every type that converts to `Cow<'static, str>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the name of a service",
    label = "expected a name, such as `\"customer.get\"`",
    note = "to call a service by its types, use `call`: `call(SERVICE, input)` with a `cidery::Service<In, Out>`, or \
            `call(handler, input)` with a function that is registered in this process"
)]
pub trait IntoServiceName {
    /// Converts it to the name, which is checked when the call is made.
    fn into_service_name(self) -> Cow<'static, str>;
}

#[diagnostic::do_not_recommend]
impl<T: Into<Cow<'static, str>>> IntoServiceName for T {
    #[inline]
    fn into_service_name(self) -> Cow<'static, str> {
        self.into()
    }
}

/// One call of many: a pair of a name and an input, or a call with options.
///
/// [`Context::fan_out`](crate::Context::fan_out) and [`Batch::of`](crate::Batch::of) take them. A call with options is
/// the builder that `invoke_async` or `call_async` returns, or a [`Call`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a call",
    label = "expected a pair of a name and an input",
    note = "a call is a pair, such as `(\"pages.fetch\", &input)`, or has options: `ctx.invoke_async(\"pages.fetch\", \
            &input).delay(..)`"
)]
pub trait IntoCall {
    /// Converts it to a call.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be serialized.
    fn into_call(self) -> Result<Call>;
}

impl IntoCall for Call {
    fn into_call(self) -> Result<Call> {
        Ok(self)
    }
}

impl<S: IntoServiceName, I: IntoPayload> IntoCall for (S, I) {
    fn into_call(self) -> Result<Call> {
        let (service, input) = self;
        Ok(Call::new(
            service.into_service_name(),
            input.into_payload()?,
        ))
    }
}
