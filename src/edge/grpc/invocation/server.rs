//! `InvocationService` on the wire. `Invoke` may send its headers before its message; all other methods are those that
//! tonic generates.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tonic::body::Body as ResponseBody;
use tonic::codegen::BoxFuture as HttpFuture;
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Status, codegen::StdError};
use tower_service::Service;

use super::InvocationApi;
use crate::codec::proto::v1;
use crate::codec::proto::v1::invocation_service_server::InvocationServiceServer;
use crate::codec::wire::WireCodec;
use crate::edge::grpc::unary::UnaryResponse;
use crate::model::error::Result;
use crate::service::BoxFuture;

const INVOKE_PATH: &str = "/cidery.v1.InvocationService/Invoke";

/// The tower service of `InvocationService`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InvocationServer {
    api: InvocationApi,
    generated: InvocationServiceServer<InvocationApi>,
    message_bytes: usize,
}

impl InvocationServer {
    /// Serves an implementation, with requests of at most `message_bytes`.
    pub(in crate::edge::grpc) fn new(api: InvocationApi, message_bytes: usize) -> Self {
        let generated = InvocationServiceServer::new(api.clone())
            .max_decoding_message_size(message_bytes)
            // The size of responses is checked before they are encoded, which gives a failure with a reason.
            .max_encoding_message_size(usize::MAX);
        Self {
            api,
            generated,
            message_bytes,
        }
    }
}

impl NamedService for InvocationServer {
    const NAME: &'static str = <InvocationServiceServer<InvocationApi> as NamedService>::NAME;
}

impl<B> Service<Request<B>> for InvocationServer
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = HttpFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() != INVOKE_PATH {
            return self.generated.call(request);
        }
        let method = InvokeMethod(self.api.clone());
        let limit = self.message_bytes;
        Box::pin(async move {
            let mut grpc = Grpc::new(WireCodec::default())
                .apply_max_message_size_config(Some(limit), Some(usize::MAX));
            Ok(grpc.server_streaming(method, request).await)
        })
    }
}

/// The method `Invoke`.
struct InvokeMethod(InvocationApi);

impl ServerStreamingService<v1::InvokeRequest> for InvokeMethod {
    type Response = v1::InvokeResponse;
    type ResponseStream = UnaryResponse<v1::InvokeResponse>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<v1::InvokeRequest>) -> Self::Future {
        let api = self.0.clone();
        Box::pin(async move { api.respond(request).await })
    }
}
