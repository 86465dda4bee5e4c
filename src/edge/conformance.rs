//! The connections of a conformance run: like those of a node, but the script of the run can cut them.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::future::RouteFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;

use crate::codec::proto::v1::worker_service_server::WorkerServiceServer;
use crate::codec::status::to_status;
use crate::model::error::{Error, reason};
use crate::remote::conformance::DialService;
use crate::service::runtime::Tasks;

/// The most connections at the same time.
const MAX_CONNECTIONS: usize = 64;
/// The largest message of the worker: four times the default of a node's payloads, as in a node.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// The interval of PINGs, shorter than that of a node so that a short run has some.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// How long the worker has to answer a PING, as in a node.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after an error of `accept`.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves the streams of workers on a listener. All connections end when the guard is dropped.
#[must_use = "the connections end when the guard is dropped"]
pub(crate) fn serve(listener: TcpListener, service: DialService, tasks: &Tasks) -> DropGuard {
    let stop = CancellationToken::new();
    let connections = Connections {
        router: router(service.clone()),
        service,
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    tasks.spawn("accept", connections.accept(listener));
    stop.drop_guard()
}

/// Worker streams alone. Every other call is refused: nothing is behind the port.
fn router(service: DialService) -> Router {
    let worker = WorkerServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let refuse = || async {
        let message = "`cidery check-worker` accepts worker streams only, and answers no calls";
        let error = Error::unimplemented(reason::NOT_SUPPORTED, message);
        to_status(&error).into_http::<axum::body::Body>()
    };
    let routes = Routes::new(worker).prepare().into_axum_router();
    routes.fallback(refuse)
}

struct Connections {
    router: Router,
    service: DialService,
    tasks: Tasks,
    stop: CancellationToken,
}

impl Connections {
    async fn accept(self, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accept = async {
                let permit = Arc::clone(&permits).acquire_owned().await.ok();
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = accept => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            };
            let (router, service) = (self.router.clone(), self.service.clone());
            let served = serve_connection(stream, router, service, self.stop.child_token());
            self.tasks.spawn("connection", async move {
                served.await;
                drop(permit);
            });
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    service: DialService,
    cut: CancellationToken,
) {
    // Only a delay of small messages is lost without it.
    let _ = stream.set_nodelay(true);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let cuttable = TowerToHyperService::new(WithCut {
        router,
        cut: cut.clone(),
    });
    let connection = builder.serve_connection(TokioIo::new(stream), cuttable);
    let served = tokio::select! {
        served = connection => served,
        () = cut.cancelled() => return,
    };
    if served.is_err_and(|error| error.is_timeout()) {
        service.record_missed_ping();
    }
}

/// Adds the token that cuts the connection to each request.
#[derive(Clone)]
struct WithCut {
    router: Router,
    cut: CancellationToken,
}

impl tower_service::Service<Request<Incoming>> for WithCut {
    type Response = http::Response<axum::body::Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.cut.clone());
        self.router.call(request)
    }
}
