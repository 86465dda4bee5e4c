//! The baseline: a minimal tonic unary echo of a `Struct`.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::net::TcpListener;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::metadata::MetadataValue;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_prost::ProstCodec;
use tower_service::Service;
use uuid::Uuid;

pub(crate) const PATH: &str = "/bench.Echo/Echo";

/// The same fields as `cidery.v1.InvokeRequest`, as far as the bench uses them.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) payload: Option<prost_types::Struct>,
}

#[derive(Clone)]
struct Echo;

impl UnaryService<Message> for Echo {
    type Response = Message;
    type Future = BoxFuture<tonic::Response<Message>, Status>;

    fn call(&mut self, request: tonic::Request<Message>) -> Self::Future {
        Box::pin(async move { Ok(tonic::Response::new(request.into_inner())) })
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

/// A service of one unary method, without generated code.
#[derive(Clone)]
struct Unary<T>(T);

impl<T: NamedService> NamedService for Unary<T> {
    const NAME: &'static str = T::NAME;
}

impl<T> Service<Request<Body>> for Unary<T>
where
    T: UnaryService<Message, Response: prost::Message + 'static> + Clone + Send + 'static,
    T::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = self.0.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<T::Response, Message>::default());
            Ok(grpc.unary(method, request).await)
        })
    }
}

pub(crate) fn serve() {
    serve_unary(Echo);
}

/// An echo that does what a node must: it makes a UUID and answers it in the header and in the message.
#[derive(Clone)]
struct EchoWithId;

impl UnaryService<Message> for EchoWithId {
    type Response = Message;
    type Future = BoxFuture<tonic::Response<Message>, Status>;

    fn call(&mut self, request: tonic::Request<Message>) -> Self::Future {
        Box::pin(async move {
            let id = Uuid::now_v7().to_string();
            let header = MetadataValue::try_from(id.as_str()).unwrap();
            let Message { payload, .. } = request.into_inner();
            let mut answer = tonic::Response::new(Message {
                service: id,
                payload,
            });
            answer.metadata_mut().insert("bench-id", header);
            Ok(answer)
        })
    }
}

impl NamedService for EchoWithId {
    const NAME: &'static str = "bench.Echo";
}

pub(crate) fn serve_with_id() {
    serve_unary(EchoWithId);
}

/// Serves a method on a free port and prints the address.
pub(crate) fn serve_unary<T>(method: T)
where
    T: UnaryService<Message, Response: prost::Message + 'static>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    T::Future: Send,
{
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        // `Server::serve` sets it; with a custom listener it must be set here.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(Unary(method));
        server.serve_with_incoming(incoming).await.unwrap();
    });
}
