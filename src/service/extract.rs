//! Extractors: handler arguments from the context and the input.

use std::any::type_name;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::codec::payload;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::metadata::Metadata;
use crate::model::payload::Payload;
use crate::model::sio::{Elements, rust};
use crate::model::value::{Dict, Value, from_value};
use crate::service::context::Context;
use crate::service::states::Requirements;

/// An argument that is extracted from the context, at any position of a handler's signature.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler",
    label = "only the last argument may be the input; all others come from the context",
    note = "arguments are `Context`, `Cid`, `State<T>`, `Metadata`, and last the input: `Input<T>`, `Dict`, `Value` \
            or `Payload`"
)]
pub trait FromContext: Sized + Send + 'static {
    /// Extracts the argument.
    ///
    /// # Errors
    ///
    /// The invocation fails with the returned error.
    fn from_context(context: &Context) -> Result<Self>;

    /// Adds required states, so that a node without them does not start.
    fn requires(_requirements: &mut Requirements) {}
}

/// The last argument of a handler, which is extracted from the input or from the context.
///
/// `Via` disambiguates the two for the compiler; user code never names it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the last argument of a handler",
    label = "neither the input nor extracted from the context",
    note = "for a type of your own: `Input<{Self}>`, where `{Self}` derives `serde::Deserialize` and \
            `schemars::JsonSchema`"
)]
pub trait FromInput<Via>: Sized + Send + 'static {
    /// The input, as a typed call passes it.
    type Input;

    /// Whether it decodes and thereby checks the input.
    const DECODES: bool;

    /// The declared elements of the input. `None`: any value.
    fn declares() -> Option<Elements>;

    /// Extracts the argument.
    ///
    /// # Errors
    ///
    /// The invocation fails with the returned error, before the handler runs.
    fn from_input(context: &Context, input: Payload) -> Result<Self>;

    /// Adds required states, so that a node without them does not start.
    fn requires(_requirements: &mut Requirements) {}
}

/// Marks arguments that are extracted from the context.
#[derive(Debug)]
pub struct ViaContext;

/// Marks arguments that are extracted from the input.
#[derive(Debug)]
pub struct ViaInput;

impl<T: FromContext> FromInput<ViaContext> for T {
    type Input = ();

    const DECODES: bool = false;

    /// The input is not read: no element is declared, and all keys of the input are reported as ignored.
    fn declares() -> Option<Elements> {
        Some(Elements::default())
    }

    fn from_input(context: &Context, _: Payload) -> Result<Self> {
        T::from_context(context)
    }

    fn requires(requirements: &mut Requirements) {
        T::requires(requirements);
    }
}

impl FromContext for Context {
    fn from_context(context: &Context) -> Result<Self> {
        Ok(context.clone())
    }
}

impl FromContext for Cid {
    fn from_context(context: &Context) -> Result<Self> {
        Ok(context.cid())
    }
}

impl FromContext for Metadata {
    fn from_context(context: &Context) -> Result<Self> {
        Ok(context.metadata().clone())
    }
}

/// The input, converted to a type. The type is also the declaration: see [`sio::rust`](crate::model::sio::rust).
///
/// ```
/// use cidery::{Input, Result};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct GetCustomer { cust_id: u64 }
///
/// async fn get_customer(Input(req): Input<GetCustomer>) -> Result<String> {
///     Ok(format!("customer {}", req.cust_id))
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Input<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> FromInput<ViaInput> for Input<T> {
    type Input = T;

    const DECODES: bool = true;

    fn declares() -> Option<Elements> {
        rust::input_of::<T>()
    }

    fn from_input(_: &Context, input: Payload) -> Result<Self> {
        from_value(payload::decode(input)?).map(Self)
    }
}

impl FromInput<ViaInput> for Value {
    type Input = Self;

    const DECODES: bool = true;

    fn declares() -> Option<Elements> {
        None
    }

    fn from_input(_: &Context, input: Payload) -> Result<Self> {
        payload::decode(input)
    }
}

impl FromInput<ViaInput> for Dict {
    type Input = Self;

    const DECODES: bool = true;

    fn declares() -> Option<Elements> {
        None
    }

    fn from_input(_: &Context, input: Payload) -> Result<Self> {
        match payload::decode(input)? {
            Value::Dict(dict) => Ok(dict),
            other => {
                let message = format!("the input is {}, not a dict", other.kind_name());
                let violation = Violation::new("", "WRONG_TYPE", message);
                Err(Error::violations(reason::INPUT_INVALID, vec![violation]))
            }
        }
    }
}

/// The input in the form in which it arrived, not decoded.
impl FromInput<ViaInput> for Payload {
    type Input = Value;

    const DECODES: bool = false;

    fn declares() -> Option<Elements> {
        None
    }

    fn from_input(_: &Context, input: Payload) -> Result<Self> {
        Ok(input)
    }
}

/// Application state of the node: `Node::builder().state(..)`.
#[derive(Clone, Copy, Debug)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromContext for State<T> {
    fn from_context(context: &Context) -> Result<Self> {
        context.states().get().map(Self).ok_or_else(|| {
            let message = format!("the node has no state of type `{}`", type_name::<T>());
            Error::internal(reason::STATE_MISSING, message)
        })
    }

    fn requires(requirements: &mut Requirements) {
        requirements.add::<T>();
    }
}
