//! Calls of other services: `ctx.invoke("crm.lookup", dict! { "id": 1 }).timeout(..).await`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload};
use crate::model::sio::Ignored;
use crate::service::context::Context;
use crate::service::invoke::BoxFuture;
use crate::service::response::Response;

/// What a caller asks for, whoever the caller is.
#[derive(Clone, Debug)]
pub struct Call {
    /// The name of the service.
    pub service: Cow<'static, str>,
    /// What it gets.
    pub input: Payload,
    /// The CID the caller brings. Default: the platform makes one.
    pub cid: Option<Cid>,
    /// How long to wait, or how long one attempt may last. Default: the service's, then the node's.
    pub timeout: Option<Duration>,
    /// What is sent along. `None`: for a nested call what its caller got, otherwise nothing.
    pub metadata: Option<Arc<Metadata>>,
    /// The format the response is wanted in. Default: that of the input.
    pub response_format: Option<Format>,
}

impl Call {
    /// Makes a call with nothing but a name and an input.
    pub fn new(service: impl Into<Cow<'static, str>>, input: impl Into<Payload>) -> Self {
        Self {
            service: service.into(),
            input: input.into(),
            cid: None,
            timeout: None,
            metadata: None,
            response_format: None,
        }
    }
}

/// The platform's promise to run an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Names the invocation: the first one, where it had been accepted before.
    pub cid: Cid,
    /// Whether it had been accepted before.
    pub already_accepted: bool,
    /// The keys of the input that are not declared and are dropped.
    pub ignored: Ignored,
}

/// A synchronous call under construction. Await it.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeCall<'a> {
    pub(super) context: &'a Context,
    pub(super) call: Call,
}

/// An asynchronous call under construction. Await it.
#[derive(Debug)]
#[must_use = "nothing is invoked before this is awaited"]
pub struct InvokeAsyncCall<'a> {
    pub(super) context: &'a Context,
    pub(super) call: Call,
}

macro_rules! options {
    ($builder:ident) => {
        impl $builder<'_> {
            /// Adds a key to the metadata of the call; what this handler got itself is no longer handed on.
            pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                let metadata = self.call.metadata.get_or_insert_default();
                Arc::make_mut(metadata).insert(key, value);
                self
            }

            /// Asks for the response in a format.
            pub fn response_format(mut self, format: Format) -> Self {
                self.call.response_format = Some(format);
                self
            }

            /// Says how to read an input that is text or bytes. An input that is a dict stays one.
            pub fn data_format(mut self, format: Format) -> Self {
                self.call.input = as_document(self.call.input, format);
                self
            }
        }
    };
}

options!(InvokeCall);
options!(InvokeAsyncCall);

impl InvokeCall<'_> {
    /// Waits at most this long. A nested call never outlives its caller's deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }
}

impl InvokeAsyncCall<'_> {
    /// How long one attempt may last since its last sign of life. Default: the service's, then 15 min.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// Brings the CID instead of having one made.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.call.cid = Some(cid);
        self
    }
}

fn as_document(input: Payload, format: Format) -> Payload {
    use crate::model::value::Value;
    match input {
        Payload::Value(Value::Text(text)) => Payload::Document(text.into(), format),
        Payload::Value(Value::Bytes(bytes)) => Payload::Document(bytes, format),
        other => other,
    }
}

impl<'a> IntoFuture for InvokeCall<'a> {
    type Output = Result<Response>;
    type IntoFuture = BoxFuture<'a, Result<Response>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { context, call } = self;
        Box::pin(async move {
            let reply = context.platform().invoke(call).await?;
            Response::new(context.cid(), reply)
        })
    }
}

impl<'a> IntoFuture for InvokeAsyncCall<'a> {
    type Output = Result<Cid>;
    type IntoFuture = BoxFuture<'a, Result<Cid>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { context, call } = self;
        Box::pin(async move { Ok(context.platform().invoke_async(call).await?.cid) })
    }
}
