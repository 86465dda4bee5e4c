//! Outputs of handlers and their conversion to replies.

use std::any::Any;
use std::error;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::error::{BoxError, Error, Result, reason};
use crate::model::payload::{Payload, Reply};
use crate::model::sio::{Elements, rust};
use crate::model::value::Value;

/// A type that a handler can return.
///
/// `Shape` disambiguates the implementations for the compiler; user code never names it.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "it returns anything that derives `serde::Serialize` and `schemars::JsonSchema`, or a `Value`, a \
            `Payload` or a `Reply`, or a `Result` of these",
    note = "the error of a `Result` is a `cidery::Error`, an `anyhow::Error` or another error that is `Send` and `Sync`"
)]
pub trait IntoReply<Shape> {
    /// The output of a handler that succeeds, as a typed call returns it.
    type Output;

    /// Converts it to a reply.
    ///
    /// # Errors
    ///
    /// The handler's own failure, or `INTERNAL` / `OUTPUT_INVALID` where the output cannot be encoded.
    fn into_reply(self) -> Result<Reply>;

    /// The declared elements of the output. `None`: any value.
    fn declares() -> Option<Elements>;
}

/// Marks outputs that are replies.
#[derive(Debug)]
pub struct AsReply;

/// Marks outputs that are serialized.
#[derive(Debug)]
pub struct AsSerialized;

/// Marks outputs that are results whose error implements [`std::error::Error`].
#[derive(Debug)]
pub struct AsResult<Shape>(std::marker::PhantomData<Shape>);

/// Marks outputs that are results whose error holds any other error, such as `anyhow::Error` or a box.
#[derive(Debug)]
pub struct AsDynResult<Shape>(std::marker::PhantomData<Shape>);

impl IntoReply<AsReply> for Reply {
    type Output = Value;

    fn into_reply(self) -> Result<Reply> {
        Ok(self)
    }

    fn declares() -> Option<Elements> {
        None
    }
}

impl IntoReply<AsReply> for Payload {
    type Output = Value;

    fn into_reply(self) -> Result<Reply> {
        Ok(self.into())
    }

    fn declares() -> Option<Elements> {
        None
    }
}

/// The error of a handler is an [`Error`], or `INTERNAL` / `HANDLER_FAILED` with its text in the log only: see
/// [`Error::of_handler`].
impl<T, E, Shape> IntoReply<AsResult<Shape>> for Result<T, E>
where
    T: IntoReply<Shape>,
    E: error::Error + Send + Sync + 'static,
{
    type Output = T::Output;

    fn into_reply(self) -> Result<Reply> {
        self.map_err(of_handler)?.into_reply()
    }

    fn declares() -> Option<Elements> {
        T::declares()
    }
}

/// Keeps an [`Error`] as it is: the compiler removes all branches but one for each type.
fn of_handler<E: error::Error + Send + Sync + 'static>(error: E) -> Error {
    let mut error = Some(error);
    let any: &mut dyn Any = &mut error;
    let known = any.downcast_mut::<Option<Error>>().and_then(Option::take);
    let unknown = || error.map(|error| Error::of_handler(error.into()));
    known.or_else(unknown).unwrap_or_else(|| {
        let message = "a handler failed without an error";
        Error::internal(reason::HANDLER_FAILED, message)
    })
}

/// As for [`AsResult`]. An [`Error`] is also found where the conversion to a box would hide it.
impl<T, E, Shape> IntoReply<AsDynResult<Shape>> for Result<T, E>
where
    T: IntoReply<Shape>,
    E: Deref<Target = dyn error::Error + Send + Sync> + Into<BoxError>,
{
    type Output = T::Output;

    fn into_reply(self) -> Result<Reply> {
        let failed = |error: E| {
            Error::among_causes(&*error).unwrap_or_else(|| Error::of_handler(error.into()))
        };
        self.map_err(failed)?.into_reply()
    }

    fn declares() -> Option<Elements> {
        T::declares()
    }
}

/// Marks results whose error is no error: it can be serialized, and does not implement [`std::error::Error`].
#[derive(Debug)]
pub struct ErrorMustImplementStdError(());

/// Makes such a result ambiguous, so that the compiler rejects it. It would be serialized as the response otherwise, as
/// a success with an `Err` inside.
impl<T, E> IntoReply<ErrorMustImplementStdError> for Result<T, E>
where
    T: Serialize + JsonSchema + 'static,
    E: Serialize + JsonSchema + 'static,
{
    type Output = T;

    fn into_reply(self) -> Result<Reply> {
        let message = "the error of the handler does not implement `std::error::Error`";
        Err(Error::internal(reason::OUTPUT_INVALID, message))
    }

    fn declares() -> Option<Elements> {
        None
    }
}

impl<T: Serialize + JsonSchema + 'static> IntoReply<AsSerialized> for T {
    type Output = T;

    fn into_reply(self) -> Result<Reply> {
        Ok(Payload::serialize(self).map_err(output_invalid)?.into())
    }

    fn declares() -> Option<Elements> {
        rust::output_of::<T>()
    }
}

/// The error of an output that cannot be encoded, which is a failure of the handler, not of its caller.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn output_invalid(error: Error) -> Error {
    let message = format!("the output of the service cannot be encoded: {error}");
    let violations = error.field_violations().iter().cloned();
    // A retry runs the same code.
    let broken = Error::internal(reason::OUTPUT_INVALID, message).with_retryable(false);
    let broken = violations.fold(broken, Error::with_violation);
    let info = error.info().iter().cloned();
    info.fold(broken, |broken, (name, value)| {
        broken.with_info(name, value)
    })
}
