//! The listener: accepts connections up to a limit, with TLS or without, serves HTTP/1 and HTTP/2 on them, checks them
//! with keep-alive (HTTP/2 PING heartbeat), and drains them at shutdown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::edge::connection::{Connection, NodeMemory};
pub use crate::edge::connection_age::ConnectionAge;
use crate::edge::connection_task::ConnectionTask;
use crate::edge::control_frames::ControlFrames;
use crate::edge::metrics::PortMetrics;
use crate::edge::peer_connections::{PeerConnections, PeerPermit};
use crate::edge::socket::Transport;
use crate::edge::stream_task::StreamExecutor;
use crate::edge::write_timeout::WriteTimeout;
use crate::engine::log_limit::LogLimit;
use crate::model::error::{Error, Result, reason};
use crate::service::runtime::Tasks;

/// How long a connected client has to send its first bytes once the node drains. A client that has sent a request gets
/// a refusal and retries on another node; one that is cut off cannot know whether the request was handled.
const DRAIN_FIRST_BYTES: Duration = Duration::from_millis(500);
/// How many connections the system's accept queue may hold when the listener closes.
const ACCEPT_QUEUE: usize = 4_096;
/// How long to wait before the next accept after an error (too many open files, for example).
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Binds an address.
///
/// # Errors
///
/// `UNAVAILABLE` / `BIND_FAILED` with the error of the system.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        // Without the number that the text of a system's error has: `address in use`.
        let cause = match error.raw_os_error() {
            Some(_) => error.kind().to_string(),
            None => error.to_string(),
        };
        let message = format!("cannot listen on {address}: {cause}");
        Error::unavailable(reason::BIND_FAILED, message)
    })
}

/// The steps of a graceful shutdown of the listener and its connections, in order.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Closes the listener; new clients connect to another node. Once it is closed, `drain_callers` fires.
    pub stop_accepting: CancellationToken,
    /// Lets connections of callers finish their calls and close; those with a worker stream stay until `drain_workers`.
    /// Fires only after the listener is closed: a client whose connection drains reconnects at once, and the new
    /// connection would be lost with the listener.
    pub drain_callers: CancellationToken,
    /// Lets connections with a worker stream finish their calls and close.
    pub drain_workers: CancellationToken,
    /// Counts open connections; once `drain_callers` fires, only those without a worker stream.
    pub callers: TaskTracker,
    /// Closes all connections at once.
    pub abort: CancellationToken,
}

/// Limits of connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// How many connections are open at once, at most.
    pub max_connections: usize,
    /// How many of them are of one address.
    pub max_per_address: usize,
    /// The timeouts of each connection.
    pub timeouts: Timeouts,
    /// What HTTP/2 lets a client do.
    pub http2: Http2Limits,
    /// What connections may hold in memory.
    pub memory: NodeMemory,
    /// What is counted of them.
    pub metrics: Arc<PortMetrics>,
}

/// The limits of HTTP/2 of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Http2Limits {
    /// How many streams are open at once.
    pub streams: u32,
    /// How many bytes the headers of a request have: more than the node's own limit on metadata (8 KiB), which is
    /// answered with a reason. Beyond this: HTTP 431.
    pub header_bytes: u32,
    /// The flow-control window of a stream. Large messages need more than the protocol's default of 64 KiB.
    pub stream_window: u32,
    /// The flow-control window of the connection, for several streams with large messages.
    pub connection_window: u32,
    /// How many control frames a peer may send in a second.
    pub control_frames: u32,
    /// How many streams that a peer has reset may wait to be taken.
    pub pending_resets: usize,
    /// How many streams the node may have reset because of what the peer sent on them.
    pub error_resets: usize,
}

/// Timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The interval of HTTP/2 keep-alive PINGs, and their timeout. It detects a frozen peer like a dead one.
    pub ping: Duration,
    /// How long a client has to send its first bytes.
    pub first_byte: Duration,
    /// How long a client has to send the headers of each HTTP/1 request. A connection over HTTP/1 without a request is
    /// closed after this time.
    pub request: Duration,
    /// How long a response may wait for its peer to read before its stream is reset, or its connection over HTTP/1 is
    /// closed. A peer that reads less than 64 KiB in this time does not read.
    pub unread: Duration,
    /// How old a connection becomes.
    pub age: ConnectionAge,
}

/// What an open connection holds of the limits.
type Permits = (Option<OwnedSemaphorePermit>, PeerPermit);

/// Accepts and serves connections until `shutdown.stop_accepting` fires. `service` makes the service of one connection.
/// With TLS each connection begins with a handshake, in its own task.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: impl Fn(Arc<Connection>) -> S,
    transport: Transport,
    tasks: Tasks,
    limits: ConnectionLimits,
    shutdown: Shutdown,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let permits = Arc::new(Semaphore::new(
        limits.max_connections.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let peers = PeerConnections::new(limits.max_per_address);
    let log = LogLimit::default();
    let (timeouts, http2) = (limits.timeouts, limits.http2);
    let spawn_connection = |permit: Option<Permits>, stream: TcpStream, peer| {
        let connection = Connection::new(
            peer,
            stream.local_addr().ok(),
            &limits.memory,
            &limits.metrics,
        );
        let service = service(Arc::clone(&connection));
        let transport = transport.clone();
        let shutdown = shutdown.clone();
        let served = serve_connection(
            stream, transport, connection, service, timeouts, http2, shutdown,
        );
        tasks.spawn("connection", async move {
            served.await;
            drop(permit);
        });
    };
    loop {
        let accepted = tokio::select! {
            () = shutdown.stop_accepting.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((permit, stream, peer)) => match peers.admit(peer.ip()) {
                Some(of_peer) => spawn_connection(Some((permit, of_peer)), stream, peer),
                // It is closed. A peer decides how often that happens.
                None => {
                    if let Some(omitted) = log.is_due("connections_per_address", Instant::now()) {
                        let limit = limits.max_per_address;
                        tracing::warn!(
                            %peer, limit, omitted,
                            "a connection is refused: its address has as many as `connections_per_address` allows"
                        );
                    }
                }
            },
            Err(error) => {
                if let Some(omitted) = log.is_due("accept", Instant::now()) {
                    tracing::warn!(%error, omitted, "cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    // Connections in the system's accept queue would be reset with the listener, and the runtime may not have seen
    // them.
    if let Ok(listener) = listener.into_std() {
        let accepted = std::iter::from_fn(|| listener.accept().ok()).take(ACCEPT_QUEUE);
        for (stream, peer) in accepted {
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                spawn_connection(None, stream, peer);
            }
        }
    }
    shutdown.drain_callers.cancel();
}

/// Acquires a connection permit, then accepts. Without a permit, clients wait in the system's accept queue.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(Option<OwnedSemaphorePermit>, TcpStream, SocketAddr)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    let (stream, peer) = listener.accept().await?;
    Ok((permit, stream, peer))
}

/// Serves one connection to its end.
async fn serve_connection<S, B>(
    stream: TcpStream,
    transport: Transport,
    connection: Arc<Connection>,
    service: S,
    timeouts: Timeouts,
    http2: Http2Limits,
    shutdown: Shutdown,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let peer = connection.peer;
    let mut caller = Some(shutdown.callers.token());
    // Without this, Nagle's algorithm delays small responses until the previous one is acknowledged.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let begun = tokio::select! {
        begun = transport.begin(stream, &connection, timeouts.first_byte) => begun,
        () = shutdown.abort.cancelled() => None,
        () = async {
            shutdown.drain_callers.cancelled().await;
            tokio::time::sleep(DRAIN_FIRST_BYTES).await;
        } => None,
    };
    let Some(socket) = begun else {
        return;
    };
    let mut builder = Builder::new(StreamExecutor {
        unread_timeout: timeouts.unread,
    });
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(timeouts.ping)
        .keep_alive_timeout(timeouts.ping)
        .max_header_list_size(http2.header_bytes)
        .max_concurrent_streams(http2.streams)
        .initial_stream_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window)
        .max_pending_accept_reset_streams(http2.pending_resets)
        .max_local_error_reset_streams(http2.error_resets);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.request);
    let socket = WriteTimeout::new(socket, timeouts.unread);
    let socket = ControlFrames::new(socket, http2.control_frames, peer);
    let served = builder.serve_connection(TokioIo::new(socket), service);
    let mut served = std::pin::pin!(ConnectionTask::new(served, Arc::clone(&connection)));
    let drained = async {
        tokio::select! {
            biased;
            ended = served.as_mut() => return ended,
            () = shutdown.drain_callers.cancelled() => {}
            () = timeouts.age.reached(&connection) => {
                served.as_mut().transport().graceful_shutdown();
                return timeouts.age.last_calls(served.as_mut()).await;
            }
        }
        // A worker's nested calls use the connection of its stream: a new connection may reach another node, which does
        // not know the dispatch.
        if connection.has_worker() {
            drop(caller.take());
            tokio::select! {
                biased;
                ended = served.as_mut() => return ended,
                () = shutdown.drain_workers.cancelled() => {}
            }
        }
        served.as_mut().transport().graceful_shutdown();
        served.await
    };
    let ended = tokio::select! {
        biased;
        ended = drained => ended,
        () = shutdown.abort.cancelled() => return,
        // At once, with the calls on it: a thief of a key must not go on.
        () = connection.withdrawn() => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}
