//! Outputs of handlers and their conversion to replies.

use std::any::Any;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::error::{Error, Result, reason};
use crate::model::payload::{Payload, Reply};
use crate::model::sio::{Elements, rust};
use crate::model::value::{Dict, Value, to_value};

/// A type that a handler can return.
///
/// `Shape` disambiguates the implementations for the compiler; user code never names it.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "it returns anything that derives `serde::Serialize` and `schemars::JsonSchema`, with a `Value`, a \
            `Payload` or a `Reply`, or with a `Result` of these"
)]
pub trait IntoReply<Shape> {
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

/// Marks outputs that are results.
#[derive(Debug)]
pub struct AsResult<Shape>(std::marker::PhantomData<Shape>);

impl IntoReply<AsReply> for Reply {
    fn into_reply(self) -> Result<Reply> {
        Ok(self)
    }

    fn declares() -> Option<Elements> {
        None
    }
}

impl IntoReply<AsReply> for Payload {
    fn into_reply(self) -> Result<Reply> {
        Ok(self.into())
    }

    fn declares() -> Option<Elements> {
        None
    }
}

impl<T, E, Shape> IntoReply<AsResult<Shape>> for Result<T, E>
where
    T: IntoReply<Shape>,
    E: Into<Error>,
{
    fn into_reply(self) -> Result<Reply> {
        self.map_err(Into::into)?.into_reply()
    }

    fn declares() -> Option<Elements> {
        T::declares()
    }
}

impl<T: Serialize + JsonSchema + 'static> IntoReply<AsSerialized> for T {
    fn into_reply(self) -> Result<Reply> {
        // Values are moved, not serialized: the compiler removes all branches but one for each type.
        let mut output = Some(self);
        let any: &mut dyn Any = &mut output;
        if let Some(value) = any.downcast_mut::<Option<Value>>() {
            return Ok(Payload::Value(value.take().unwrap_or_default()).into());
        }
        if let Some(dict) = any.downcast_mut::<Option<Dict>>() {
            return Ok(Payload::from(dict.take().unwrap_or_default()).into());
        }
        if any.is::<Option<()>>() {
            return Ok(Payload::empty().into());
        }
        let value = to_value(&output).map_err(output_invalid)?;
        Ok(Payload::Value(value).into())
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
    violations.fold(broken, Error::with_violation)
}
