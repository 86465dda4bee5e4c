//! The port of the scripted node: accepts connections, which the script can cut, and passes the streams of the worker
//! to the script.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::{Response, Status, Streaming};

use crate::codec::proto::v1;
use crate::codec::proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use crate::codec::status::to_status;
use crate::engine::tasks::Tasks;
use crate::model::error::{Error, reason};
use crate::remote::protocol::messages::Outbound;

/// The most connections at the same time.
const MAX_CONNECTIONS: usize = 64;
/// The most streams that wait for the script.
const MAX_DIALS: usize = 64;
/// The largest message of the worker: four times the default of a node's payloads, as in a node.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// The interval of PINGs, shorter than that of a node so that a short run has some.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// How long the worker has to answer a PING, as in a node.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the worker has to send its hello, as in a node.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after an error of `accept`.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A stream that the worker has opened, and that the script accepts or refuses.
#[derive(Debug)]
pub(super) struct Dial {
    /// The first message, or what came instead.
    pub(super) first: Result<v1::ServeRequest, String>,
    pub(super) inbound: Streaming<v1::ServeRequest>,
    /// Cuts the connection of the stream.
    pub(super) cut: CancellationToken,
    pub(super) answer: oneshot::Sender<Result<mpsc::Receiver<Outbound>, Status>>,
}

/// The port. Its connections end when it is dropped.
#[derive(Debug)]
pub(super) struct Port {
    dials: mpsc::Receiver<Dial>,
    missed_pings: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl Port {
    pub(super) fn open(listener: TcpListener, tasks: &Tasks) -> Self {
        let (to_script, dials) = mpsc::channel(MAX_DIALS);
        let stop = CancellationToken::new();
        let missed_pings = Arc::<AtomicUsize>::default();
        let connections = Connections {
            router: router(to_script),
            tasks: tasks.clone(),
            stop: stop.clone(),
            missed_pings: Arc::clone(&missed_pings),
        };
        tasks.spawn("accept", connections.accept(listener));
        Self {
            dials,
            missed_pings,
            _stop: stop.drop_guard(),
        }
    }

    /// Waits for the next stream; `None` where none is opened in time.
    pub(super) async fn next_dial(&mut self, timeout: Duration) -> Option<Dial> {
        let next = async {
            while let Some(dial) = self.dials.recv().await {
                // The worker may have given up already.
                if !dial.answer.is_closed() {
                    return Some(dial);
                }
            }
            None
        };
        tokio::time::timeout(timeout, next).await.ok().flatten()
    }

    /// The number of connections that ended because a PING was not answered.
    pub(super) fn missed_pings(&self) -> usize {
        self.missed_pings.load(Ordering::Acquire)
    }
}

/// The services of the port: worker streams. Every other call is refused: nothing is behind the port.
fn router(dials: mpsc::Sender<Dial>) -> Router {
    let worker = WorkerServiceServer::new(Dials(dials));
    let worker = worker.max_decoding_message_size(MAX_MESSAGE_BYTES);
    let refuse = || async {
        let message = "`cidery check-worker` takes worker streams alone, and answers no calls";
        let error = Error::unimplemented(reason::NOT_SUPPORTED, message);
        to_status(&error).into_http::<axum::body::Body>()
    };
    let routes = Routes::new(worker).prepare().into_axum_router();
    routes.fallback(refuse)
}

/// Passes streams to the script.
#[derive(Debug)]
struct Dials(mpsc::Sender<Dial>);

#[tonic::async_trait]
impl WorkerService for Dials {
    type ServeStream = ReceiverStream<Outbound>;

    /// Like a node, it answers only once the hello has arrived.
    async fn serve(
        &self,
        request: tonic::Request<Streaming<v1::ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        let cut = request.extensions().get::<CancellationToken>().cloned();
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(HELLO_TIMEOUT, inbound.message()).await;
        let first = match first {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err("the stream ended without a message".to_owned()),
            Ok(Err(status)) => Err(format!("the stream broke: {}", status.message())),
            Err(_) => Err(format!("no message within {} s", HELLO_TIMEOUT.as_secs())),
        };
        let (answer, answered) = oneshot::channel();
        let dial = Dial {
            first,
            inbound,
            cut: cut.unwrap_or_default(),
            answer,
        };
        let ended = |_| Status::unavailable("the run has ended");
        self.0.try_send(dial).map_err(|_| ended(()))?;
        let outbound = answered.await.map_err(|_| ended(()))??;
        Ok(Response::new(ReceiverStream::new(outbound)))
    }
}

/// Serves the connections of the port.
struct Connections {
    router: Router,
    tasks: Tasks,
    stop: CancellationToken,
    missed_pings: Arc<AtomicUsize>,
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
            let (cut, missed) = (self.stop.child_token(), Arc::clone(&self.missed_pings));
            let served = serve_connection(stream, self.router.clone(), cut, missed);
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
    cut: CancellationToken,
    missed_pings: Arc<AtomicUsize>,
) {
    let _ = stream.set_nodelay(true);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let service = WithCut {
        router,
        cut: cut.clone(),
    };
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let served = tokio::select! {
        served = connection => served,
        () = cut.cancelled() => return,
    };
    if served.is_err_and(|error| error.is_timeout()) {
        missed_pings.fetch_add(1, Ordering::AcqRel);
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
