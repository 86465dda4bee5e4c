//! The methods of callers: the same in handlers, in clients and at a node.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::dispatch::{Dispatch, LocalHandlers};
use super::invoke::InvokeCall;
use super::invoke_async::InvokeAsyncCall;
use super::target::{ServiceHandle, Target};
use crate::model::call::Call;
use crate::model::error::{Error, Result};
use crate::model::into_call::IntoServiceName;
use crate::model::into_payload::IntoPayload;
use crate::model::payload::Payload;
use crate::service::refusal::refused_by;

/// What invokes services: a [`Context`](crate::Context), a [`Client`](crate::Client) or a
/// [`NodeHandle`](crate::NodeHandle).
///
/// The three have these methods themselves, with documentation. The trait is for code that works with any of them. It
/// cannot be implemented for other types.
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
        service: impl IntoServiceName,
        input: impl IntoPayload,
    ) -> InvokeCall<'_, Self> {
        let (call, fault) = named(service.into_service_name(), input.into_payload());
        InvokeCall::new(self, call, fault)
    }

    /// Invokes a service by name in the background, and returns the CID once the invocation is stored.
    fn invoke_async(
        &self,
        service: impl IntoServiceName,
        input: impl IntoPayload,
    ) -> InvokeAsyncCall<'_, Self> {
        let (call, fault) = named(service.into_service_name(), input.into_payload());
        InvokeAsyncCall::new(self, call, fault)
    }

    /// Calls a service by its types and waits for its output.
    fn call<S: ServiceHandle>(&self, service: S, input: S::Input) -> InvokeCall<'_, Self, S::Output>
    where
        S::Input: Serialize + 'static,
        S::Output: DeserializeOwned + 'static,
    {
        let (call, fault) = typed(Ok(service.service_name().into()), input);
        InvokeCall::typed(self, call, fault)
    }

    /// Calls a service by its types in the background, and returns the CID once the invocation is stored.
    fn call_async<S: ServiceHandle>(&self, service: S, input: S::Input) -> InvokeAsyncCall<'_, Self>
    where
        S::Input: Serialize + 'static,
    {
        let (call, fault) = typed(Ok(service.service_name().into()), input);
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

/// A call by the types of a handle or of a handler.
#[inline]
pub(crate) fn call_target<'a, C: LocalHandlers, T: Target<Via>, Via>(
    caller: &'a C,
    service: &T,
    input: T::Input,
) -> InvokeCall<'a, C, T::Output>
where
    T::Input: Serialize + 'static,
    T::Output: DeserializeOwned + 'static,
{
    let (call, fault) = typed(service.resolve(caller), input);
    InvokeCall::typed(caller, call, fault)
}

/// An asynchronous call by the types of a handle or of a handler.
#[inline]
pub(crate) fn call_target_async<'a, C: LocalHandlers, T: Target<Via>, Via>(
    caller: &'a C,
    service: &T,
    input: T::Input,
) -> InvokeAsyncCall<'a, C>
where
    T::Input: Serialize + 'static,
{
    let (call, fault) = typed(service.resolve(caller), input);
    InvokeAsyncCall::new(caller, call, fault)
}

/// The call that a builder of its own makes, by the types of a handle or of a handler.
pub(crate) fn target_call<C: LocalHandlers, T: Target<Via>, Via>(
    caller: &C,
    service: &T,
    input: T::Input,
) -> Result<Call>
where
    T::Input: Serialize + 'static,
{
    match typed(service.resolve(caller), input) {
        (call, None) => Ok(call),
        (_, Some(fault)) => Err(fault),
    }
}

/// A call by types, and the error that its caller gets instead, where there is one.
fn typed<T: Serialize + 'static>(
    service: Result<Cow<'static, str>>,
    input: T,
) -> (Call, Option<Error>) {
    match service {
        Ok(name) => named(name, Payload::serialize(input)),
        Err(error) => (Call::new("", Payload::empty()), Some(error)),
    }
}

/// Gives a type the methods of [`Caller`], so that its users need not import the trait. `$ctx` is its name in examples;
/// `$limits` says how long its calls take, and what is retried.
macro_rules! caller {
    ($caller:ty, $ctx:literal, $limits:literal, $async_limits:literal) => {
        impl $crate::service::Caller for $caller {}

        impl $caller {
            /// Invokes a service by name and waits for its response.
            ///
            /// ```
            #[doc = concat!("# async fn example(", $ctx, ": &cidery::", stringify!($caller), ")")]
            /// #     -> cidery::Result<()>
            /// # {
            /// use std::time::Duration;
            ///
            /// use cidery::dict;
            ///
            #[doc = concat!("let response = ", $ctx, ".invoke(\"customer.get\", dict! { \"cust_id\": 1 }).await?;")]
            /// let name: String = response.at("cust_name")?;
            ///
            /// #[derive(serde::Serialize)]
            /// struct GetCustomer { cust_id: u64 }
            ///
            #[doc = concat!("let call = ", $ctx, ".invoke(\"customer.get\", &GetCustomer { cust_id: 2 });")]
            /// let response = call.timeout(Duration::from_secs(5)).await?;
            /// # let _ = (name, response);
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// The input is a [`Dict`](crate::Dict), a reference to a type that implements `serde::Serialize`, or
            /// another [`IntoPayload`](crate::IntoPayload). The [`Response`](crate::Response) is read by key, by path,
            /// or as a type. [`InvokeCall`](crate::InvokeCall) has the options of the call, such as its timeout.
            ///
            #[doc = $limits]
            ///
            /// # Errors
            ///
            /// The error of the service itself, whose reason the service chooses; or an error with one of the
            /// [reasons of Cidery](crate#errors):
            ///
            /// * `NOT_FOUND` / `SERVICE_UNKNOWN`: no service with this name was ever announced;
            /// * `INVALID_ARGUMENT` / `INPUT_INVALID`: the input does not match the declaration of the service, with
            ///   all violations; `VALUE_INVALID`: the input cannot be serialized;
            /// * `DEADLINE_EXCEEDED`: the timeout elapsed before the service responded;
            /// * `UNAVAILABLE` / `NO_WORKER`: no connected worker serves it;
            /// * `RESOURCE_EXHAUSTED` / `QUEUE_FULL` or `OVERLOADED`, or the error of another limit;
            /// * `INTERNAL` / `HANDLER_FAILED` or `HANDLER_PANICKED`: the handler failed with an error that is not a
            ///   [`cidery::Error`](crate::Error);
            /// * `UNKNOWN` / `WORKER_LOST`, and for a [`Client`](crate::Client) `UNKNOWN` / `TRANSPORT`: a connection
            ///   was lost, and the service may or may not have run;
            /// * for a [`Client`](crate::Client), `UNAVAILABLE` / `CONNECT_FAILED` or `TRANSPORT`: the node cannot be
            ///   reached, and the service has not run.
            ///
            /// # Cancel safety
            ///
            /// Dropping the call cancels the invocation; its hooks run. A call that continues after its deadline, or
            /// has an idempotency key, is not cancelled.
            pub fn invoke(
                &self,
                service: impl $crate::model::into_call::IntoServiceName,
                input: impl $crate::model::into_payload::IntoPayload,
            ) -> $crate::service::InvokeCall<'_, Self> {
                $crate::service::Caller::invoke(self, service, input)
            }

            /// Invokes a service by name in the background, and returns the CID of the invocation once it is stored.
            ///
            /// ```
            #[doc = concat!("# async fn example(", $ctx, ": &cidery::", stringify!($caller), ")")]
            /// #     -> cidery::Result<()>
            /// # {
            /// use std::time::Duration;
            ///
            /// use cidery::dict;
            ///
            #[doc = concat!("let call = ", $ctx, ".invoke_async(\"report.create\", dict! { \"year\": 2026 });")]
            /// let cid = call.delay(Duration::from_secs(60)).callback("report.created").await?;
            /// # let _ = cid;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// The invocation runs at least once, also where the node or a worker restarts, and has exactly one
            /// outcome. [`InvokeAsyncCall`](crate::InvokeAsyncCall) has the options of the call: when it starts and
            /// expires, its retries, callbacks and keys. The input is as for [`invoke`](Self::invoke).
            ///
            #[doc = $async_limits]
            ///
            /// # Errors
            ///
            /// What is wrong with the request. The failure of the invocation itself is its outcome.
            ///
            /// * `NOT_FOUND` / `SERVICE_UNKNOWN`: no service with this name was ever announced, here or of a callback;
            /// * `INVALID_ARGUMENT` / `INPUT_INVALID`, `VALUE_INVALID` or `REQUEST_INVALID`: the input or an option is
            ///   invalid;
            /// * `ALREADY_EXISTS` / `IDEMPOTENCY_MISMATCH`: the CID or the key was used for another request;
            /// * `RESOURCE_EXHAUSTED` / `PENDING_LIMIT` or `STORE_FULL`, or the error of another limit;
            /// * for a [`Client`](crate::Client), `UNAVAILABLE` or `UNKNOWN`: the
            ///   [connection](crate::Client#lost-connections) is lost.
            pub fn invoke_async(
                &self,
                service: impl $crate::model::into_call::IntoServiceName,
                input: impl $crate::model::into_payload::IntoPayload,
            ) -> $crate::service::InvokeAsyncCall<'_, Self> {
                $crate::service::Caller::invoke_async(self, service, input)
            }
        }
    };
}

/// Gives a caller in the process of handlers the methods that call a service or a handler by its types. They take
/// precedence over those of [`Caller`], which know service handles only.
macro_rules! call_handlers {
    ($caller:ty, $ctx:literal) => {
        impl $caller {
            /// Calls a service by its types and waits for its output.
            ///
            /// The service is a [`Service`](crate::Service) handle, or the handler function itself, if it is
            /// registered in this process under one name.
            ///
            /// ```
            /// use cidery::{Input, Result, Service};
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
            /// /// A service of this process, which is registered with `.service("order.cancel", cancel)`.
            /// async fn cancel(Input(order): Input<Order>) -> Result<()> {
            ///     println!("cancelled {}", order.id);
            ///     Ok(())
            /// }
            ///
            #[doc = concat!("# async fn example(", $ctx, ": &cidery::", stringify!($caller), ") -> Result<()> {")]
            #[doc = concat!("let order = ", $ctx, ".call(PLACE, Place { item: \"pen\".to_owned() }).await?;")]
            #[doc = concat!($ctx, ".call(cancel, order).await?;")]
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// Deadline, retries and cancellation are as for [`invoke`](Self::invoke).
            ///
            /// # Errors
            ///
            /// As for [`invoke`](Self::invoke), and:
            ///
            /// * `INTERNAL` / `RESPONSE_MISMATCH`: the response is not of the type of the output;
            /// * `FAILED_PRECONDITION` / `HANDLER_UNKNOWN` or `HANDLER_AMBIGUOUS`: the handler is registered in this
            ///   process under no name, or under several.
            pub fn call<T: $crate::service::Target<Via>, Via>(
                &self,
                service: T,
                input: T::Input,
            ) -> $crate::service::InvokeCall<'_, Self, T::Output>
            where
                T::Input: serde::Serialize + 'static,
                T::Output: serde::de::DeserializeOwned + 'static,
            {
                $crate::service::call_target(self, &service, input)
            }

            /// Calls a service by its types in the background, and returns the CID of the invocation once it is
            /// stored.
            ///
            /// The service is as for [`call`](Self::call), everything else as for
            /// [`invoke_async`](Self::invoke_async).
            ///
            /// # Errors
            ///
            /// As for [`invoke_async`](Self::invoke_async), and `FAILED_PRECONDITION` / `HANDLER_UNKNOWN` or
            /// `HANDLER_AMBIGUOUS` where the handler is registered in this process under no name, or under several.
            pub fn call_async<T: $crate::service::Target<Via>, Via>(
                &self,
                service: T,
                input: T::Input,
            ) -> $crate::service::InvokeAsyncCall<'_, Self>
            where
                T::Input: serde::Serialize + 'static,
            {
                $crate::service::call_target_async(self, &service, input)
            }
        }
    };
}

pub(crate) use {call_handlers, caller};
