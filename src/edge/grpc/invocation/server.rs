//! `InvocationService` on the wire. `Invoke` and `InvokeAsync` are called most and have a path of their own; all other
//! methods are those that tonic generates.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tonic::body::Body as ResponseBody;
use tonic::codegen::{BoxFuture as HttpFuture, StdError};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tower_service::Service;

use super::InvocationApi;
use crate::codec::proto::v1::invocation_service_server::InvocationServiceServer;
use crate::edge::grpc::unary::{Answer, UnaryCall, UnaryMethod};
use crate::model::access::Caller;
use crate::model::error::Result;

const INVOKE_PATH: &str = "/cidery.v1.InvocationService/Invoke";
const INVOKE_ASYNC_PATH: &str = "/cidery.v1.InvocationService/InvokeAsync";

/// The tower service of `InvocationService`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InvocationServer {
    api: Arc<InvocationApi>,
    generated: InvocationServiceServer<InvocationApi>,
    message_bytes: usize,
}

impl InvocationServer {
    /// Serves an implementation, with requests of at most `message_bytes`.
    pub(in crate::edge::grpc) fn new(api: InvocationApi, message_bytes: usize) -> Self {
        let api = Arc::new(api);
        let generated = InvocationServiceServer::from_arc(Arc::clone(&api))
            .max_decoding_message_size(message_bytes)
            // The size of responses is checked before they are encoded, which gives a failure with a reason.
            .max_encoding_message_size(usize::MAX);
        Self {
            api,
            generated,
            message_bytes,
        }
    }

    /// Answers a request. `caller`: who the port has found out makes it; `None` where that is in the extensions, if
    /// anywhere. They take two allocations, which the methods that are called most do not need.
    pub(in crate::edge) fn respond<B>(
        &self,
        mut request: Request<B>,
        caller: Option<Caller>,
    ) -> InvocationFuture<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<StdError> + Send + 'static,
    {
        let method: fn(Arc<InvocationApi>, Caller) -> Method = match request.uri().path() {
            INVOKE_PATH => Method::Invoke,
            INVOKE_ASYNC_PATH => Method::InvokeAsync,
            _ => {
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                }
                let response = self.generated.clone().call(request);
                return InvocationFuture(Call::Generated(response));
            }
        };
        let caller = caller.unwrap_or_else(|| self.api.caller(request.extensions()));
        let method = method(Arc::clone(&self.api), caller);
        let call = UnaryCall::new(method, request, self.message_bytes);
        InvocationFuture(Call::Unary(call))
    }
}

impl NamedService for InvocationServer {
    const NAME: &'static str = <InvocationServiceServer<InvocationApi> as NamedService>::NAME;
}

impl<B> Service<Request<B>> for InvocationServer
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = InvocationFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.respond(request, None)
    }
}

/// A method of an implementation, for one caller.
enum Method {
    Invoke(Arc<InvocationApi>, Caller),
    InvokeAsync(Arc<InvocationApi>, Caller),
}

impl UnaryMethod for Method {
    fn call(self, transport: MetadataMap, message: Bytes) -> Answer {
        match self {
            Self::Invoke(api, caller) => api.respond(caller, &transport, message),
            Self::InvokeAsync(api, caller) => Box::pin(api.accept(caller, transport, message)),
        }
    }
}

/// The future of a response.
pub struct InvocationFuture<B>(Call<B>);

enum Call<B> {
    /// Of a method with a path of its own.
    Unary(UnaryCall<B, Method>),
    /// Of another method.
    Generated(HttpFuture<Response<ResponseBody>, Infallible>),
}

impl<B> std::fmt::Debug for InvocationFuture<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InvocationFuture")
    }
}

impl<B> Future for InvocationFuture<B>
where
    B: Body<Data = Bytes, Error: Into<StdError>> + Unpin,
{
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Call::Unary(call) => Pin::new(call).poll(cx).map(Ok),
            Call::Generated(response) => response.as_mut().poll(cx),
        }
    }
}
