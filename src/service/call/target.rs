//! What a typed call names: a service elsewhere, or a handler of this process.

use std::any::{TypeId, type_name};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use super::dispatch::LocalHandlers;
use crate::model::error::{Error, Result, reason};
use crate::service::handler::Handler;

/// A service handle: the name of a service, with the types of its input and its output.
///
/// Pass it to `call` or `call_async`, to call a service that this or another process serves. The types are those of the
/// caller: the service checks the input against its own declaration.
///
/// ```no_run
/// use cidery::{Client, Result, Service};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize)]
/// struct Place { item: String }
///
/// #[derive(Deserialize)]
/// struct Order { id: u64 }
///
/// const PLACE: Service<Place, Order> = Service::new("order.place");
///
/// # async fn example() -> Result<()> {
/// let client = Client::connect("127.0.0.1:24337").await?;
/// let order = client.call(PLACE, Place { item: "pen".to_owned() }).await?;
/// println!("order {}", order.id);
/// # Ok(())
/// # }
/// ```
pub struct Service<In, Out> {
    name: &'static str,
    types: PhantomData<fn(In) -> Out>,
}

impl<In, Out> Service<In, Out> {
    /// Names a service. An invalid name is an error of the call.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            types: PhantomData,
        }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<In, Out> Clone for Service<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for Service<In, Out> {}

impl<In, Out> fmt::Debug for Service<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.name).finish()
    }
}

/// What a [`Client`](crate::Client) and every other [`Caller`](crate::Caller) can call by its types: a [`Service`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service handle",
    label = "expected a `cidery::Service<In, Out>`",
    note = "a client does not know the names of functions. Name the service, and call the handle: \
            `const GET: cidery::Service<In, Out> = cidery::Service::new(\"customer.get\");`, `call(GET, input)`",
    note = "to call a service by its name, use `invoke(\"customer.get\", &input)`"
)]
pub trait ServiceHandle {
    /// The input, as the caller passes it.
    type Input;
    /// The output, as the caller gets it.
    type Output;

    /// The name of the service.
    #[doc(hidden)]
    fn service_name(&self) -> &'static str;
}

impl<In, Out> ServiceHandle for Service<In, Out> {
    type Input = In;
    type Output = Out;

    fn service_name(&self) -> &'static str {
        self.name
    }
}

/// What a [`Context`](crate::Context) and a [`NodeHandle`](crate::NodeHandle) can call by its types: a [`Service`], or
/// a handler function that is registered in this process.
///
/// `Via` disambiguates the two for the compiler; user code never names it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a service handle nor a handler",
    label = "expected a `cidery::Service<In, Out>` or a handler function",
    note = "to call a service by its name, use `invoke(\"customer.get\", &input)`",
    note = "to see why a function is not a handler, write `cidery::assert_handler!(name_of_the_function);` next to it"
)]
pub trait Target<Via> {
    /// The input, as the caller passes it.
    type Input;
    /// The output, as the caller gets it.
    type Output;

    /// The name of the service.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `HANDLER_UNKNOWN` or `HANDLER_AMBIGUOUS`.
    #[doc(hidden)]
    fn resolve(&self, caller: &impl LocalHandlers) -> Result<Cow<'static, str>>;
}

/// Marks service handles.
#[derive(Debug)]
pub struct AsHandle;

/// Marks handlers.
#[derive(Debug)]
pub struct AsHandler<Args>(PhantomData<Args>);

impl<In, Out> Target<AsHandle> for Service<In, Out> {
    type Input = In;
    type Output = Out;

    fn resolve(&self, _: &impl LocalHandlers) -> Result<Cow<'static, str>> {
        Ok(Cow::Borrowed(self.name))
    }
}

#[diagnostic::do_not_recommend]
impl<H: Handler<Args>, Args> Target<AsHandler<Args>> for H {
    type Input = H::Input;
    type Output = H::Output;

    fn resolve(&self, caller: &impl LocalHandlers) -> Result<Cow<'static, str>> {
        let handler = type_name::<H>();
        match caller.handler_names().of(TypeId::of::<H>()) {
            [name] => Ok(Cow::Owned(name.to_string())),
            [first, rest @ ..] => {
                let message = format!(
                    "`{handler}` is registered as `{first}` and {} more: call it by `Service::new(..)` with a name",
                    rest.len()
                );
                Err(Error::failed_precondition(
                    reason::HANDLER_AMBIGUOUS,
                    message,
                ))
            }
            [] => {
                let message = format!(
                    "`{handler}` is not registered in this process: add it as a service, or call it by \
                     `Service::new(..)` with its name"
                );
                Err(Error::failed_precondition(reason::HANDLER_UNKNOWN, message))
            }
        }
    }
}
