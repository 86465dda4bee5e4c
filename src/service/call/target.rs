//! What a typed call names: a service elsewhere, or a handler of this process.

use std::any::{TypeId, type_name};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use super::names::HandlerNames;
use crate::model::error::{Error, Result, reason};
use crate::service::handler::Handler;

/// A service by name, with the types of its input and its output.
///
/// Use it to call services that other processes serve. The types are those of the caller: the service checks the input
/// against its own declaration.
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

/// What can be invoked by its types: a [`Service`] handle, or a handler function.
///
/// `Via` disambiguates the two for the compiler; user code never names it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a service handle nor a handler",
    note = "call a handler that is registered in this process, or a `cidery::Service<In, Out>`"
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
    fn resolve(&self, names: Option<&HandlerNames>) -> Result<Cow<'static, str>>;
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

    fn resolve(&self, _: Option<&HandlerNames>) -> Result<Cow<'static, str>> {
        Ok(Cow::Borrowed(self.name))
    }
}

impl<H: Handler<Args>, Args> Target<AsHandler<Args>> for H {
    type Input = H::Input;
    type Output = H::Output;

    fn resolve(&self, names: Option<&HandlerNames>) -> Result<Cow<'static, str>> {
        let handler = type_name::<H>();
        match names.map(|names| names.of(TypeId::of::<H>())) {
            Some([name]) => Ok(Cow::Owned(name.to_string())),
            Some([first, rest @ ..]) => {
                let message = format!(
                    "`{handler}` is registered as `{first}` and {} more: call it by `Service::new(..)` with a name",
                    rest.len()
                );
                Err(Error::failed_precondition(
                    reason::HANDLER_AMBIGUOUS,
                    message,
                ))
            }
            Some([]) => {
                let message = format!(
                    "`{handler}` is not registered in this process: add it as a service, or call it by \
                     `Service::new(..)` with its name"
                );
                Err(Error::failed_precondition(reason::HANDLER_UNKNOWN, message))
            }
            None => {
                let message = format!(
                    "a client does not know the name of `{handler}`: call it by `Service::new(..)` with its name"
                );
                Err(Error::failed_precondition(reason::HANDLER_UNKNOWN, message))
            }
        }
    }
}
