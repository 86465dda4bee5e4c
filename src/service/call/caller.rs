//! The methods of callers: the same in handlers, in clients and at a node.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::dispatch::Dispatch;
use super::invoke::InvokeCall;
use super::invoke_async::InvokeAsyncCall;
use super::target::Target;
use crate::model::call::Call;
use crate::model::error::{Error, Result};
use crate::model::into_payload::IntoPayload;
use crate::model::payload::Payload;
use crate::service::refusal::refused_by;

/// What invokes services: a [`Context`](crate::Context), a [`Client`](crate::Client) or a
/// [`NodeHandle`](crate::NodeHandle).
///
/// The three have these methods themselves. The trait is for code that works with any of them, and cannot be
/// implemented.
///
/// ```
/// use cidery::{Caller, Result, dict};
///
/// async fn customer_name(caller: &impl Caller, id: u64) -> Result<String> {
///     let customer = caller.invoke("customer.get", dict! { "cust_id": id }).await?;
///     customer.at("cust_name")
/// }
/// ```
pub trait Caller: Dispatch + Sized {
    /// Invokes a service by name and waits for its response.
    fn invoke(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl IntoPayload,
    ) -> InvokeCall<'_, Self> {
        let (call, fault) = named(service.into(), input.into_payload());
        InvokeCall::new(self, call, fault)
    }

    /// Invokes a service by name asynchronously, and returns the CID once the invocation is stored.
    fn invoke_async(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl IntoPayload,
    ) -> InvokeAsyncCall<'_, Self> {
        let (call, fault) = named(service.into(), input.into_payload());
        InvokeAsyncCall::new(self, call, fault)
    }

    /// Invokes a service by its types, and waits for its output.
    fn call<T: Target<Via>, Via>(
        &self,
        service: T,
        input: T::Input,
    ) -> InvokeCall<'_, Self, T::Output>
    where
        T::Input: Serialize + 'static,
        T::Output: DeserializeOwned,
    {
        let (call, fault) = typed(self, &service, input);
        InvokeCall::new(self, call, fault)
    }

    /// Invokes a service by its types asynchronously, and returns the CID once the invocation is stored.
    fn call_async<T: Target<Via>, Via>(
        &self,
        service: T,
        input: T::Input,
    ) -> InvokeAsyncCall<'_, Self>
    where
        T::Input: Serialize + 'static,
    {
        let (call, fault) = typed(self, &service, input);
        InvokeAsyncCall::new(self, call, fault)
    }
}

/// A call by name, and the error that its caller gets instead, where there is one.
#[inline]
fn named(service: Cow<'static, str>, input: Result<Payload>) -> (Call, Option<Error>) {
    match input {
        Ok(input) => (Call::new(service, input), None),
        Err(error) => {
            let error = refused_by(error, &service);
            (Call::new(service, Payload::empty()), Some(error))
        }
    }
}

/// A call by types, and the error that its caller gets instead, where there is one.
fn typed<T: Target<Via>, Via>(
    caller: &impl Dispatch,
    service: &T,
    input: T::Input,
) -> (Call, Option<Error>)
where
    T::Input: Serialize + 'static,
{
    match service.resolve(caller.handler_names()) {
        Ok(name) => named(name, Payload::serialize(input)),
        Err(error) => (Call::new("", Payload::empty()), Some(error)),
    }
}

/// Gives a type the methods of [`Caller`], so that its users need not import the trait.
macro_rules! caller {
    ($caller:ty) => {
        impl $crate::service::Caller for $caller {}

        impl $caller {
            /// Invokes a service by name and waits for its response.
            ///
            /// The input is a reference to anything that implements `serde::Serialize`, or a `Dict` or another
            /// [`IntoPayload`](crate::IntoPayload). A nested call shares the CID and the deadline of its caller.
            ///
            /// ```
            /// # use cidery::{Caller, Result, dict};
            /// # async fn example(ctx: &impl Caller) -> Result<String> {
            /// let response = ctx.invoke("crm.lookup", dict! { "cust_id": 1 }).await?;
            /// response.at("my_response_elem.cust_name")
            /// # }
            /// ```
            ///
            /// # Errors
            ///
            /// The error of the service, `NOT_FOUND` / `SERVICE_UNKNOWN`, `DEADLINE_EXCEEDED`, `INVALID_ARGUMENT` /
            /// `VALUE_INVALID` where the input cannot be serialized, or the error of a limit; from a client also
            /// `UNAVAILABLE` where the connection is lost.
            ///
            /// # Cancel safety
            ///
            /// Dropping the call cancels the invocation; its hooks run. A call that continues after its deadline, or
            /// has an idempotency key, is not cancelled.
            pub fn invoke(
                &self,
                service: impl Into<std::borrow::Cow<'static, str>>,
                input: impl $crate::model::into_payload::IntoPayload,
            ) -> $crate::service::InvokeCall<'_, Self> {
                $crate::service::Caller::invoke(self, service, input)
            }

            /// Invokes a service by name asynchronously, under a CID of its own, which is returned once the request is
            /// stored.
            ///
            /// # Errors
            ///
            /// `NOT_FOUND` / `SERVICE_UNKNOWN`, an invalid input, or the error of a limit; from a client also
            /// `UNAVAILABLE` where the connection is lost.
            pub fn invoke_async(
                &self,
                service: impl Into<std::borrow::Cow<'static, str>>,
                input: impl $crate::model::into_payload::IntoPayload,
            ) -> $crate::service::InvokeAsyncCall<'_, Self> {
                $crate::service::Caller::invoke_async(self, service, input)
            }

            /// Invokes a service by its types and waits for its output.
            ///
            /// The service is a [`Service`](crate::Service) handle, or the handler function itself, if it is
            /// registered in this process under one name.
            ///
            /// ```
            /// use cidery::{Context, Input, Result, Service};
            /// use schemars::JsonSchema;
            /// use serde::{Deserialize, Serialize};
            ///
            /// #[derive(Deserialize, JsonSchema, Serialize)]
            /// struct Place { item: String }
            ///
            /// #[derive(Deserialize, JsonSchema, Serialize)]
            /// struct Order { id: u64 }
            ///
            /// /// A service of another process.
            /// const PLACE: Service<Place, Order> = Service::new("order.place");
            ///
            /// /// A service of this process.
            /// async fn cancel(Input(order): Input<Order>) -> Result<()> {
            ///     println!("cancelled {}", order.id);
            ///     Ok(())
            /// }
            ///
            /// async fn handler(ctx: Context) -> Result<()> {
            ///     let order = ctx.call(PLACE, Place { item: "pen".to_owned() }).await?;
            ///     ctx.call(cancel, order).await
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// As for [`invoke`](Self::invoke); `FAILED_PRECONDITION` / `HANDLER_UNKNOWN` or `HANDLER_AMBIGUOUS` where
            /// a handler is registered under no name, or under several.
            pub fn call<T: $crate::service::Target<Via>, Via>(
                &self,
                service: T,
                input: T::Input,
            ) -> $crate::service::InvokeCall<'_, Self, T::Output>
            where
                T::Input: serde::Serialize + 'static,
                T::Output: serde::de::DeserializeOwned,
            {
                $crate::service::Caller::call(self, service, input)
            }

            /// Invokes a service by its types asynchronously, under a CID of its own, which is returned once the
            /// request is stored.
            ///
            /// # Errors
            ///
            /// As for [`invoke_async`](Self::invoke_async), and for the name of a handler as for [`call`](Self::call).
            pub fn call_async<T: $crate::service::Target<Via>, Via>(
                &self,
                service: T,
                input: T::Input,
            ) -> $crate::service::InvokeAsyncCall<'_, Self>
            where
                T::Input: serde::Serialize + 'static,
            {
                $crate::service::Caller::call_async(self, service, input)
            }
        }
    };
}

pub(crate) use caller;
