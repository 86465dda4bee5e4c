//! What a handler's output becomes.

use std::any::Any;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::error::{Error, Result, reason};
use crate::model::payload::{Payload, Reply};
use crate::model::sio::{Elements, rust};
use crate::model::value::{Dict, Value, to_value};

/// Something a handler can answer with.
///
/// `Shape` keeps the implementations apart for the compiler; nobody names it.
#[diagnostic::on_unimplemented(
    message = "a handler cannot answer with `{Self}`",
    note = "it answers with anything that derives `serde::Serialize` and `schemars::JsonSchema`, with a `Value`, a \
            `Payload` or a `Reply`, or with a `Result` of these"
)]
pub trait IntoReply<Shape> {
    /// Makes the reply.
    ///
    /// # Errors
    ///
    /// The handler's own failure, or `INTERNAL` / `OUTPUT_INVALID` where the output cannot be carried.
    fn into_reply(self) -> Result<Reply>;

    /// What it declares of the output. `None`: any value.
    fn declares() -> Option<Elements>;
}

/// Marks outputs that are replies already.
#[derive(Debug)]
pub struct AsReply;

/// Marks outputs that are serialized.
#[derive(Debug)]
pub struct AsSerialized;

/// Marks outputs that may be failures.
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
        // Values are moved, not serialized again: the compiler drops all branches but one for each type.
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

/// What cannot be carried of an output is the handler's fault, not its caller's.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn output_invalid(error: Error) -> Error {
    let message = format!("the service answered with what cannot be carried: {error}");
    let violations = error.field_violations().iter().cloned();
    // The same code would answer so again.
    let broken = Error::internal(reason::OUTPUT_INVALID, message).with_retryable(false);
    violations.fold(broken, Error::with_violation)
}
