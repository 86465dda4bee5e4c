//! A worker: runs the handlers of this process for a node. The handlers are the same as in a node; their nested calls
//! go through the node.

mod connection;
mod dispatch;
mod handle;
mod outage;
mod platform;
mod session;
mod sessions;
mod shared;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

use self::connection::Connection;
use self::handle::StartingWorker;
pub use self::handle::WorkerHandle;
use self::sessions::Sessions;
use self::shared::WorkerShared;
use crate::codec::proto::v1;
use crate::model::error::{BoxError, Error, Result};
use crate::model::payload::Reply;
use crate::remote::protocol::credential::ClientCredential;
use crate::remote::protocol::declaration::definition_to_proto;
#[cfg(not(feature = "tls"))]
use crate::remote::protocol::endpoint::ClientTls;
use crate::remote::protocol::endpoint::NodeEndpoint;
#[cfg(feature = "tls")]
use crate::remote::protocol::tls::ClientTls;
use crate::service::runtime::{Signals, Tasks, warn_without_subscriber};
use crate::service::{
    Definition, ErasedHooks, Handler, HandlerRequest, HandlerService, Hooks, Layers, Registry,
    States,
};

/// The default number of dispatches that a worker takes at once.
const DEFAULT_MAX_IN_FLIGHT: u32 = 100;
/// The default size limit of a message: the default limit of a node, and an envelope.
const DEFAULT_MAX_MESSAGE_BYTES: u32 = 17 << 20;
/// The default time that running handlers have to end when the worker stops.
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves services to a node.
///
/// ```no_run
/// use cidery::{Dict, Result, Worker};
///
/// #[tokio::main]
/// async fn main() -> Result<()> {
///     Worker::builder()
///         .service("demo.mirror", async |input: Dict| input)
///         .run("127.0.0.1:24337")
///         .await
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Worker;

impl Worker {
    /// Creates a builder.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder::default()
    }
}

/// Builds a worker.
///
/// It logs with `tracing`, and installs no subscriber: `tracing_subscriber::fmt().init()` at the start of `main` does.
/// Without one there is no log, and [`run`](Self::run) writes a line to standard error that says so.
#[must_use = "nothing is served before it is connected"]
#[derive(Debug)]
pub struct WorkerBuilder {
    registry: Registry,
    fault: Option<Error>,
    states: States,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    layers: Layers,
    name: String,
    build_id: String,
    max_in_flight: u32,
    max_message_bytes: u32,
    drain: Duration,
    connect_timeout: Option<Duration>,
    tls: Option<ClientTls>,
    credential: Option<ClientCredential>,
}

impl Default for WorkerBuilder {
    fn default() -> Self {
        Self {
            registry: Registry::new(),
            fault: None,
            states: States::default(),
            hooks: Vec::new(),
            layers: Layers::default(),
            name: format!("worker-{}", std::process::id()),
            build_id: String::new(),
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            drain: DEFAULT_DRAIN_TIMEOUT,
            connect_timeout: None,
            tls: None,
            credential: None,
        }
    }
}

impl WorkerBuilder {
    /// Adds a service: a name and a handler. A duplicate or invalid name is an error of [`connect`](Self::connect).
    /// [`register`](Self::register) adds a [`Definition`], which has a description and options.
    pub fn service<Args>(self, name: &str, handler: impl Handler<Args>) -> Self {
        self.change(|registry| registry.service(name, handler))
    }

    /// Adds declared services: a [`Definition`], several, or all services of a [`Registry`].
    pub fn register(self, services: impl Into<Vec<Definition>>) -> Self {
        self.change(|registry| registry.register(services))
    }

    fn change(mut self, change: impl FnOnce(&mut Registry) -> Result<()>) -> Self {
        if let Err(error) = change(&mut self.registry) {
            self.fault.get_or_insert(error);
        }
        self
    }

    /// Adds a value that handlers extract as `State<T>`.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Adds hooks around every service. The first ones added are the outermost.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks.push(Arc::new(hooks));
        self
    }

    /// Wraps the handlers of all services, also of those that are added later, in a tower layer: see
    /// [`Definition::layer`]. The layer that is added last is the outermost, and outside of those of the services.
    ///
    /// ```
    /// use cidery::Worker;
    /// use tower::limit::ConcurrencyLimitLayer;
    ///
    /// // At most eight calls of each service run at once.
    /// let builder = Worker::builder().layer(ConcurrencyLimitLayer::new(8));
    /// ```
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerRequest, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<BoxError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        self.layers.add(layer);
        self
    }

    /// Sets the name, which is shown to operators. Default: `worker-` and the process id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the build, such as a version or a commit, which is shown to operators. Default: empty.
    pub fn build_id(mut self, build_id: impl Into<String>) -> Self {
        self.build_id = build_id.into();
        self
    }

    /// Sets the number of calls that it handles at once, at least 1. A node refuses more than 10 000. Default: 100.
    pub fn max_in_flight(mut self, dispatches: u32) -> Self {
        self.max_in_flight = dispatches.max(1);
        self
    }

    /// Sets the size limit of a message that it receives, in bytes. Default: 17 MiB, more than a node sends by default.
    pub fn max_message_bytes(mut self, bytes: u32) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Sets how long running handlers have to finish when the worker stops. Calls that have not finished then are
    /// returned to the node. Default: 30 s.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Sets how long the worker tries to reach its node at the start; zero tries once. Default: [`run`](Self::run) and
    /// [`run_until`](Self::run_until) wait for the node without a limit, as for one that is lost later, and log a
    /// warning; [`connect`](Self::connect) tries once.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Sets what the worker trusts at an `https://` address, and the certificate by which the node knows it. Default:
    /// the CAs of the system, and no certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sends an API key with the stream and with nested calls. One that is invalid is an error of
    /// [`connect`](Self::connect). See [`Client::api_key`](crate::Client::api_key).
    pub fn api_key(self, key: &str) -> Self {
        match ClientCredential::api_key(key) {
            Ok(credential) => self.credential(credential),
            Err(error) => Self {
                fault: Some(self.fault.unwrap_or(error)),
                ..self
            },
        }
    }

    /// Sends a credential with the stream and with nested calls, such as a token of an issuer that a function returns:
    /// it is asked for each connection and each call.
    pub fn credential(mut self, credential: ClientCredential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Connects to the node at an address, `HOST:PORT` or, with the feature `tls`, `https://HOST:PORT`, and serves.
    /// Returns once the node has accepted the worker. A connection that is lost later is re-established, and running
    /// handlers continue meanwhile. Catches no signals: [`WorkerHandle::stop`] stops the worker.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a malformed address; `UNAVAILABLE` / `CONNECT_FAILED` where no node
    /// can be reached there; `ALREADY_EXISTS` / `SERVICE_EXISTS` or `INVALID_ARGUMENT` for a service that cannot be
    /// added; `FAILED_PRECONDITION` / `STATE_MISSING`, or `TLS_FAILED` or `TLS_REQUIRED`; `INVALID_ARGUMENT` /
    /// `TLS_INVALID`; the error with which the node refuses the worker, such as `WORKER_REFUSED`.
    pub async fn connect(self, node: &str) -> Result<WorkerHandle> {
        let timeout = self.connect_timeout.unwrap_or_default();
        let mut worker = self.start(node, Some(timeout))?;
        worker.connected().await?;
        Ok(worker.into_handle())
    }

    /// Starts to connect; without a timeout the worker waits for its node.
    fn start(mut self, node: &str, timeout: Option<Duration>) -> Result<StartingWorker> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let handler_names = Arc::new(self.registry.handler_names());
        self.states.set_handler_names(handler_names);
        let definitions: Vec<Definition> = self.layers.apply(self.registry).into();
        for definition in &definitions {
            definition.check_states(&self.states, "worker")?;
        }
        let endpoint = NodeEndpoint::new(node, self.tls)?;
        let hello = v1::Hello {
            name: self.name,
            services: definitions.iter().map(definition_to_proto).collect(),
            max_in_flight: self.max_in_flight,
            capabilities: CAPABILITIES.map(i32::from).to_vec(),
            build_id: self.build_id,
            max_message_bytes: self.max_message_bytes,
            session: String::new(),
            tokens: Vec::new(),
        };
        let handlers = definitions.into_iter().map(|definition| {
            let handler = Arc::new(definition.without_output_checks(&self.hooks));
            (handler.name().to_string(), handler)
        });
        let handlers = handlers.collect();
        let shared = WorkerShared::new(handlers, self.states, self.hooks, Tasks::new());
        let sessions = Sessions::new(shared);
        let connection = Connection::new(endpoint, hello, sessions, self.credential);
        Ok(StartingWorker::start(connection, self.drain, timeout))
    }

    /// Connects to the node at an address and serves until a signal, then stops gracefully: a rolling restart fails no
    /// call. A worker may start before its node: it waits, unless there is a [timeout](Self::connect_timeout).
    ///
    /// The signals are SIGTERM, SIGINT (Ctrl-C), and SIGHUP unless the process was started with SIGHUP ignored
    /// (`nohup`). The worker then takes no new dispatches, and running handlers have the [drain time](Self::drain) to
    /// end; see [`WorkerHandle::stop`]. After a second signal this returns at once, and the caller should end the
    /// process. Signals stay caught until then. Use [`run_until`](Self::run_until) to decide when the worker stops,
    /// without signals.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect); `INTERNAL` / `SIGNALS_FAILED`.
    pub async fn run(self, node: &str) -> Result<()> {
        warn_without_subscriber();
        let mut signals = Signals::new()?;
        let timeout = self.connect_timeout;
        let mut worker = self.start(node, timeout)?;
        tokio::select! {
            connected = worker.connected() => connected?,
            signal = signals.next() => {
                worker.into_handle().stop_after(signal, signals).await;
                return Ok(());
            }
        }
        worker.into_handle().stop_on_signal(signals).await;
        Ok(())
    }

    /// Connects to the node at an address and serves until `stop` resolves, then stops gracefully. Catches no signals.
    /// Waits for its node as [`run`](Self::run) does.
    ///
    /// ```no_run
    /// # async fn example() -> cidery::Result<()> {
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let stopped = async { drop(stopped.await) };
    /// // `stop.send(())`, or dropping `stop`, stops the worker.
    /// cidery::Worker::builder().run_until("127.0.0.1:24337", stopped).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn run_until(self, node: &str, stop: impl Future<Output = ()>) -> Result<()> {
        let timeout = self.connect_timeout;
        let mut stop = std::pin::pin!(stop);
        let mut worker = self.start(node, timeout)?;
        tokio::select! {
            connected = worker.connected() => connected?,
            () = &mut stop => {
                worker.into_handle().stop().await;
                return Ok(());
            }
        }
        let worker = worker.into_handle();
        tokio::select! {
            () = stop => worker.stop().await,
            () = worker.ended() => {}
        }
        Ok(())
    }
}

/// The optional parts of the protocol that the worker implements.
const CAPABILITIES: [v1::Capability; 6] = [
    v1::Capability::Resume,
    v1::Capability::Cancel,
    v1::Capability::HandBack,
    v1::Capability::Later,
    v1::Capability::Drain,
    v1::Capability::Batching,
];
