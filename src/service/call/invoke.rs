//! The builder of a synchronous call: `ctx.invoke("crm.lookup", &request).timeout(..).await`.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::dispatch::{Dispatch, OutsideCaller};
use crate::model::call::{Call, OnDeadline};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::payload::{Format, Payload};
use crate::model::value::Value;
use crate::service::platform::BoxFuture;
use crate::service::response::Response;

/// The builder of a synchronous call, which `invoke` and `call` return. Await it to invoke.
///
/// A call by name then gives a [`Response`], which [`parse`](Response::parse) reads as a type; a call by types gives
/// the output of the service.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeCall<'a, C, Out = Response> {
    caller: &'a C,
    call: Call,
    /// The error that it fails with, instead of being sent.
    fault: Option<Error>,
    /// Reads the response as the output. Not a bound of its future: the compiler would report a missing implementation
    /// twice.
    read: ReadResponse<'a, Out>,
}

type ReadResponse<'a, Out> = fn(BoxFuture<'a, Result<Response>>) -> BoxFuture<'a, Result<Out>>;

impl<'a, C: Dispatch> InvokeCall<'a, C> {
    /// A call that gives the response as it is.
    #[inline]
    pub(super) fn new(caller: &'a C, call: Call, fault: Option<Error>) -> Self {
        Self {
            caller,
            call,
            fault,
            read: std::convert::identity,
        }
    }
}

impl<'a, C: Dispatch, Out: DeserializeOwned + 'static> InvokeCall<'a, C, Out> {
    /// A call that gives the output of a service by its types.
    #[inline]
    pub(super) fn typed(caller: &'a C, call: Call, fault: Option<Error>) -> Self {
        Self {
            caller,
            call,
            fault,
            read: |response| Box::pin(async { response.await?.parse() }),
        }
    }
}

impl<C: Dispatch, Out> InvokeCall<'_, C, Out> {
    /// Sets the timeout. Default: the service's, then 30 s. A nested call never outlives its caller's deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// Adds a key to the metadata of the call. A nested call then no longer inherits that of its caller.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        add_metadata(&mut self.call, key, value);
        self
    }
}

impl<C: OutsideCaller, Out> InvokeCall<'_, C, Out> {
    /// Sets the CID of the invocation. Default: a generated one.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.call.cid = Some(cid);
        self
    }

    /// Sets the idempotency key, at most 255 bytes: a retry with the same key returns the response of the first call.
    /// The call is stored before it is dispatched.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.call.durable().idempotency_key = Some(key.into());
        self
    }

    /// Sets what happens when the deadline passes or the caller disconnects. Default: the invocation is cancelled.
    pub fn on_deadline(mut self, action: OnDeadline) -> Self {
        self.call.durable().on_deadline = action;
        self
    }
}

impl<C: Dispatch> InvokeCall<'_, C> {
    /// Sets the format of the response. Default: that of the input.
    pub fn response_format(mut self, format: Format) -> Self {
        self.call.response_format = Some(format);
        self
    }

    /// Sets the format of an input that is text or bytes. Any other input is unaffected.
    pub fn data_format(mut self, format: Format) -> Self {
        set_format(&mut self.call, format);
        self
    }
}

impl<'a, C: Dispatch, Out: 'a> IntoFuture for InvokeCall<'a, C, Out> {
    type Output = Result<Out>;
    type IntoFuture = BoxFuture<'a, Result<Out>>;

    fn into_future(self) -> Self::IntoFuture {
        match self.fault {
            None => (self.read)(self.caller.respond(self.call)),
            Some(fault) => Box::pin(async { Err(fault) }),
        }
    }
}

pub(super) fn add_metadata(call: &mut Call, key: impl Into<String>, value: impl Into<String>) {
    let metadata = call.metadata.get_or_insert_default();
    Arc::make_mut(metadata).insert(key, value);
}

pub(super) fn set_format(call: &mut Call, format: Format) {
    let input = std::mem::replace(&mut call.input, Payload::empty());
    call.input = match input {
        Payload::Value(Value::Text(text)) => Payload::Document(text.into(), format),
        Payload::Value(Value::Bytes(bytes)) => Payload::Document(bytes, format),
        other => other,
    };
}
