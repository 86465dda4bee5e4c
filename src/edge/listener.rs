//! The one connection loop: accepts connections and serves HTTP/1 and HTTP/2 on them, everything on one port.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::tasks::Tasks;
use crate::model::error::{Error, Result, reason};

/// The streams of workers.
const WORKER_STREAM: &str = "/cidery.v1.WorkerService/Serve";
/// Larger than our own limit on metadata (8 KiB), which we can answer with a reason; above this it is HTTP 431.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
/// Calls at once on one connection.
const MAX_STREAMS: u32 = 10_000;
/// What may be under way towards us: large messages on few streams need more than the protocol's default of 64 KiB.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// How long a caller has to begin to speak, and how often to look whether the rest of a preface has come.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(30);
const PREFACE_PAUSE: Duration = Duration::from_millis(10);
/// How long a caller that has connected has to begin to speak once no more are accepted: whoever has is told that its
/// call is not taken, and repeats it elsewhere; whoever is cut off cannot know.
const LAST_MOMENT: Duration = Duration::from_millis(500);
/// How many connections the system may have accepted by then.
const BACKLOG: usize = 4_096;
/// How long to wait before accepting again after the system refused to (too many open files, for one).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds an address.
///
/// # Errors
///
/// `UNAVAILABLE` / `BIND_FAILED` with what the system says.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("cannot listen on {address}: {error}");
        Error::unavailable(reason::BIND_FAILED, message).with_source(error)
    })
}

/// When connections end.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// No more are accepted, and then `stop` fires. Whoever waits for a connection finds the next node.
    pub close: CancellationToken,
    /// Those there are finish their calls; those of workers stay until `rest`. Not before the socket is closed: whoever
    /// is told to go connects again at once, and would be cut off with it.
    pub stop: CancellationToken,
    /// Those of workers finish their calls as well.
    pub rest: CancellationToken,
    /// Counts those of callers, so that somebody can wait until they have heard of it.
    pub callers: TaskTracker,
    /// Those there are end at once.
    pub sever: CancellationToken,
}

/// What connections are served under.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// How many at once, at most.
    pub at_once: usize,
    /// HTTP/2 PING: how often, and how long the answer may take. A process that is frozen is lost like a dead one.
    pub ping_interval: Duration,
}

/// Serves connections until told to stop. Returns once no more are accepted.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    tasks: Tasks,
    connections: Connections,
    ends: Ends,
) where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let places = Arc::new(Semaphore::new(
        connections.at_once.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let begin = |place, stream, peer| {
        let ping = connections.ping_interval;
        let connection = connection(stream, peer, service.clone(), ping, ends.clone());
        tasks.spawn("connection", async move {
            connection.await;
            drop::<Option<OwnedSemaphorePermit>>(place);
        });
    };
    loop {
        let accepted = tokio::select! {
            () = ends.close.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((place, stream, peer)) => begin(place, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Those that the system has accepted already would be cut off with it, and the runtime may not have heard of them.
    if let Ok(listener) = listener.into_std() {
        let accepted = std::iter::from_fn(|| listener.accept().ok()).take(BACKLOG);
        for (stream, peer) in accepted {
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                begin(None, stream, peer);
            }
        }
    }
    ends.stop.cancel();
}

/// Waits for a place first: those who wait beyond it wait in the system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(Option<OwnedSemaphorePermit>, TcpStream, SocketAddr)> {
    let place = Arc::clone(places).acquire_owned().await.ok();
    let (stream, peer) = listener.accept().await?;
    Ok((place, stream, peer))
}

/// Whether a caller has begun to speak in time: hyper would wait for ever for the rest of an HTTP/2 preface.
async fn has_begun(stream: &TcpStream) -> bool {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut seen = [0; PREFACE.len()];
    let begun = async {
        loop {
            match stream.peek(&mut seen).await {
                Ok(0) | Err(_) => return false,
                Ok(n) if n == PREFACE.len() => return true,
                Ok(n) if !PREFACE.starts_with(seen.get(..n).unwrap_or_default()) => return true,
                // Half a preface stays readable: looking at it again at once would show the same.
                Ok(_) => tokio::time::sleep(PREFACE_PAUSE).await,
            }
        }
    };
    tokio::time::timeout(PREFACE_TIMEOUT, begun)
        .await
        .unwrap_or(false)
}

/// Tells worker streams where they come from, and the connection that it has one. All other requests go without.
#[derive(Clone)]
struct Peered<S> {
    service: S,
    peer: SocketAddr,
    has_worker: Arc<AtomicBool>,
}

impl<S> tower_service::Service<Request<Incoming>> for Peered<S>
where
    S: tower_service::Service<Request<Incoming>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> S::Future {
        if request.uri().path() == WORKER_STREAM {
            request.extensions_mut().insert(self.peer);
            self.has_worker.store(true, Ordering::Release);
        }
        self.service.call(request)
    }
}

async fn connection<S, B>(
    stream: TcpStream,
    peer: SocketAddr,
    service: S,
    ping: Duration,
    ends: Ends,
) where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut caller = Some(ends.callers.token());
    let begun = tokio::select! {
        begun = has_begun(&stream) => begun,
        () = async {
            ends.stop.cancelled().await;
            tokio::time::sleep(LAST_MOMENT).await;
        } => false,
    };
    if !begun {
        tracing::debug!(%peer, "connection ended before it began");
        return;
    }
    // Small answers must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ping)
        .keep_alive_timeout(ping)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder.http1().timer(TokioTimer::new());
    let has_worker = Arc::new(AtomicBool::new(false));
    let service = TowerToHyperService::new(Peered {
        service,
        peer,
        has_worker: Arc::clone(&has_worker),
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let finished = async {
        tokio::select! {
            biased;
            served = connection.as_mut() => return served,
            () = ends.stop.cancelled() => {}
        }
        // What a worker's handlers invoke comes on the connection of its stream: on another one it may come to another
        // node, which knows nothing of the dispatch.
        if has_worker.load(Ordering::Acquire) {
            drop(caller.take());
            tokio::select! {
                biased;
                served = connection.as_mut() => return served,
                () = ends.rest.cancelled() => {}
            }
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    let served = tokio::select! {
        biased;
        served = finished => served,
        () = ends.sever.cancelled() => return,
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "connection ended");
    }
}
