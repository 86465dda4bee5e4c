//! The builder of a node: services, state, hooks, limits, address; then it starts the node.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_service::Service;

use crate::app::node::connection_limits::connection_limits;
use crate::app::node::handle::NodeHandle;
use crate::app::node::security::{self, Security, ServerTls};
use crate::app::reload::Reloads;
use crate::app::shutdown::{DRAIN_TIMEOUT, catch_signals};
use crate::edge::auth::{AccessOptions, Authenticator};
#[cfg(feature = "console")]
use crate::edge::console::ConsoleOptions;
use crate::edge::grpc::Serving;
use crate::edge::listener::{self, Shutdown};
use crate::edge::{
    ANY_WITH_CERTIFICATES, Allowed, HostRoutes, NodeAddress, PortService, Transport, WrapRouter,
};
use crate::engine::clock::Clock;
use crate::engine::store::Store;
use crate::engine::trace::Tracer;
use crate::engine::{Invoker, Limits, Parts};
use crate::model::error::{BoxError, Error, Result, Violation, reason};
use crate::model::payload::Reply;
use crate::model::service_limit::ServiceLimit;
use crate::remote::protocol::endpoint::DEFAULT_PORT;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service::runtime::{Tasks, warn_without_subscriber};
use crate::service::{
    Definition, ErasedHooks, Handler, HandlerRequest, HandlerService, Hooks, Layers, Registry,
    States, builtin,
};
use crate::store::MemoryStore;

/// The default address.
const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT);

/// Builds a node. Only [`run`](Self::run) catches signals.
///
/// It logs with `tracing`, and installs no subscriber: `tracing_subscriber::fmt().init()` at the start of `main` does.
/// Without one there is no log, and [`run`](Self::run) writes a line to standard error that says so.
#[must_use = "a builder does nothing until `start` or `run` is called"]
pub struct NodeBuilder {
    registry: Registry,
    error: Option<Error>,
    states: States,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    layers: Layers,
    store: Option<Arc<dyn Store>>,
    limits: Limits,
    clock: Clock,
    address: Option<SocketAddr>,
    insecure: bool,
    allowed: Allowed,
    demo: bool,
    drain_timeout: Duration,
    hold: bool,
    routes: Router,
    wrap: Option<WrapRouter>,
    tls: Option<ServerTls>,
    access: AccessOptions,
    tracer: Tracer,
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("registry", &self.registry)
            .field("limits", &self.limits)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Default for NodeBuilder {
    fn default() -> Self {
        Self {
            registry: Registry::new(),
            error: None,
            states: States::default(),
            hooks: Vec::new(),
            layers: Layers::default(),
            store: None,
            limits: Limits::default(),
            clock: Clock::System,
            address: Some(DEFAULT_ADDRESS),
            insecure: false,
            allowed: Allowed::default(),
            demo: false,
            drain_timeout: DRAIN_TIMEOUT,
            hold: false,
            routes: Router::new(),
            wrap: None,
            tls: None,
            access: AccessOptions::default(),
            tracer: Tracer::default(),
        }
    }
}

impl NodeBuilder {
    /// Adds a service: a name and a handler. A duplicate or invalid name is an error of [`start`](Self::start).
    pub fn service<Args>(self, name: &str, handler: impl Handler<Args>) -> Self {
        self.change(|registry| registry.service(name, handler))
    }

    /// Adds declared services: a [`Definition`], several, or all services of a [`Registry`].
    pub fn register(self, services: impl Into<Vec<Definition>>) -> Self {
        self.change(|registry| registry.register(services))
    }

    /// Keeps the first error for `start`, so that the other methods need not return a `Result`.
    fn change(mut self, change: impl FnOnce(&mut Registry) -> Result<()>) -> Self {
        if let Err(error) = change(&mut self.registry) {
            self.error.get_or_insert(error);
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
    /// [`Definition::layer`]. The layer that is added last is the outermost, and outside of those of the services. The
    /// services of workers and the built-in ones (`cidery.*`) are not wrapped.
    ///
    /// ```
    /// use cidery::Node;
    /// use tower::limit::ConcurrencyLimitLayer;
    ///
    /// // At most eight calls of each service run at once.
    /// let builder = Node::builder().layer(ConcurrencyLimitLayer::new(8));
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

    /// Sets the store of invocations: a [`MemoryStore`], a `SqliteStore` or a `PostgresStore`. Default: in memory,
    /// 1 GiB.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Changes defaults and limits: `.limits(|limits| limits.concurrency = 16)`.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Limits services in the name of the operator: a pattern of names, and any of `rate`, `burst`, `concurrency`,
    /// `queue` and `pending`. The smaller of the limit and of the option of a service is in force; of several limits
    /// that match, the smallest. Text that is invalid is reported by [`start`](Self::start), as are more than
    /// [`ServiceLimit::MAX`] limits.
    ///
    /// ```
    /// use cidery::Node;
    ///
    /// let limit = "customer.* rate=100/s burst=200 concurrency=10 queue=50 pending=1000";
    /// let builder = Node::builder().service_limit(limit);
    /// ```
    pub fn service_limit(mut self, limit: &str) -> Self {
        match ServiceLimit::parse("/service_limit", limit) {
            Ok(limit) => self.limits.service_limits.push(limit),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
        self
    }

    /// Sets the clock. Default: the system clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the address to listen on: a text such as `"127.0.0.1:0"`, a [`SocketAddr`], or a pair of an IP address and
    /// a port. With port 0 the system chooses a free one, which [`NodeHandle::address`] returns and
    /// [`run`](Self::run) logs. Default: `127.0.0.1:24337`. An address that is invalid is reported by
    /// [`start`](Self::start).
    ///
    /// A host name is resolved at once, which blocks the thread; the node listens on the first address.
    pub fn listen(mut self, address: impl ToSocketAddrs) -> Self {
        match first_address(address) {
            Ok(address) => self.address = Some(address),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
        self
    }

    /// Starts no listener: services are invoked through the [`NodeHandle`] only.
    pub fn no_listener(mut self) -> Self {
        self.address = None;
        self
    }

    /// Serves TLS alone: clients connect to `https://`. One that connects without TLS is told so.
    ///
    /// Certificates that are replaced are read within a few seconds, and at once by [`NodeHandle::reload`] or SIGHUP
    /// (see [`run`](Self::run)). New connections use them, and open ones stay. Files that cannot be used are logged as
    /// an error, and the node goes on with what it has.
    ///
    /// Where each client needs a [certificate](ServerTls::client_ca_file), the node may listen on addresses that other
    /// machines can reach: unless [`access`](Self::access) says who may do what, everyone with a certificate of these
    /// CAs may do everything. HTTP [routes](Self::routes) find the names of a client in the extensions of a request, as
    /// an `Arc<PeerCertificate>`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Allows addresses that other machines can reach where authentication is off. Default: loopback only.
    pub fn insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// Sets what makes spans of calls. Default: nothing.
    #[cfg(feature = "cli")]
    pub(crate) fn tracer(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Sets who may call the node, besides those with an API key. Default: nobody else.
    ///
    /// Authentication is on if the store has an API key, or ever had one, or if the options name any other credential.
    /// It stays on, or off, until the node stops. While it is on, each call over gRPC or HTTP needs a credential; the
    /// program itself calls through its [`NodeHandle`] as before.
    pub fn access(mut self, options: AccessOptions) -> Self {
        self.access = options;
        self
    }

    /// Adds a host name, without a port, under which HTTP clients and web browsers reach the node, for example through
    /// a proxy. All requests that are no gRPC calls are checked: `Host` must be `localhost`, an IP address, over TLS a
    /// name of the certificate, or such a name, and the page of `Origin` must be from the node. A name that is invalid
    /// is reported by [`start`](Self::start).
    pub fn allow_host(mut self, name: &str) -> Self {
        if let Err(error) = self.allowed.hosts.add(name) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Adds an origin, such as `https://app.example`, whose web pages may call the node and read its answers (CORS);
    /// `*` is every origin. Default: only pages of the node's own hosts may call. An origin that is invalid is reported
    /// by [`start`](Self::start).
    ///
    /// A listed origin may send the client certificate of its browser. `*` may not, and is refused where a
    /// certificate names its caller ([`AccessOptions`]).
    pub fn allow_origin(mut self, origin: &str) -> Self {
        if let Err(error) = self.allowed.origins.add(origin) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Sets whether the node serves its web console, and how long its sessions last. Default: it does.
    #[cfg(feature = "console")]
    pub fn console(mut self, options: ConsoleOptions) -> Self {
        self.allowed.console = options;
        self
    }

    /// Adds the demo services, such as `demo.hello` and `demo.count`.
    pub fn demo(mut self) -> Self {
        self.demo = true;
        self
    }

    /// Sets how long running handlers have to finish when the node stops. Default: 30 s.
    pub fn drain(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Starts the node on hold: it accepts and lists invocations, and runs, expires and removes none of them until
    /// [`NodeHandle::resume`] or `cidery resume`. Synchronous calls are refused as `NODE_HELD`. For a store that was
    /// restored: what must not run twice can be cancelled before.
    pub fn hold(mut self) -> Self {
        self.hold = true;
        self
    }

    /// Adds HTTP routes of the host, with their layers, on the same port: a router of axum 0.8, which is
    /// [`cidery::axum`](crate::axum). Requests that match none of them go to gRPC. Requests of web pages from other
    /// hosts do not reach the routes; see [`allow_host`](Self::allow_host).
    ///
    /// ```
    /// use cidery::Node;
    /// use cidery::axum::{Router, routing::get};
    ///
    /// let routes = Router::new().route("/version", get(async || env!("CARGO_PKG_VERSION")));
    /// let builder = Node::builder().routes(routes);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`Router::merge`]: where two routes are the same, or two routers have a fallback.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Wraps the router of the whole port, gRPC included: `|router| router.layer(..)`, with the `Router` of
    /// [axum 0.8](crate::axum). Calls nest: the last one is the outermost.
    pub fn wrap(mut self, wrap: impl FnOnce(Router) -> Router + Send + 'static) -> Self {
        self.wrap = Some(match self.wrap {
            None => Box::new(wrap),
            Some(inner) => Box::new(|router| wrap(inner(router))),
        });
        self
    }

    /// Starts the node. When this returns, the node serves. It catches no signals: [`NodeHandle::stop`] stops it.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS`, or `INVALID_ARGUMENT`, for a service or host that cannot be added;
    /// `ACCESS_INVALID` for what [`access`](Self::access) set; `INVALID_ARGUMENT` / `TLS_INVALID`, with a violation for
    /// each file that cannot be used; `UNAVAILABLE` / `BIND_FAILED`; `FAILED_PRECONDITION` / `INSECURE_ADDRESS`,
    /// `AUTHENTICATION_OFF`, `STATE_MISSING` or `CLOCK_INVALID`; the errors of the store.
    pub async fn start(mut self) -> Result<NodeHandle> {
        self.check()?;
        let store = self.take_store();
        self.registry = self.layers.apply(self.registry);
        let must_be_guarded = self.access.required;
        let authenticator =
            Authenticator::start(Arc::clone(&store), self.clock.clone(), self.access).await?;
        let requires_authentication = authenticator.is_on();
        add_builtins(&mut self.registry, &authenticator, self.demo)?;
        let security = Security::new(self.tls, &self.limits, &self.clock)?;
        let is_guarded = requires_authentication || security.authenticates_clients();
        check_guarded(must_be_guarded, is_guarded)?;
        let listener = bind(self.address, self.insecure || is_guarded).await?;
        let handler_names = Arc::new(self.registry.handler_names());
        self.states.set_handler_names(Arc::clone(&handler_names));
        let tasks = Tasks::new();
        let parts = Parts {
            registry: self.registry,
            states: self.states,
            hooks: self.hooks,
            store,
            limits: self.limits,
            clock: self.clock,
            hold: self.hold,
            requires_authentication,
            tracer: self.tracer,
        };
        let invoker = Invoker::start(parts, tasks.clone()).await?;
        let workers = WorkerRegistry::start(&invoker).await?;
        if !self.hold {
            invoker.resume_operations();
        }
        let (serving, shutdown) = (Serving::new(), Shutdown::default());
        let (mut address, mut reloads) = (None, Reloads::default());
        authenticator.follow_shared(&invoker);
        security::start_token_keys(&authenticator, &invoker, &mut reloads);
        if let Some(listener) = listener {
            let bound = local_address(&listener)?;
            let shown = security.address(bound);
            log_who_may_call(shown, self.insecure, requires_authentication);
            address = Some(bound);
            let service = PortService::new(
                &invoker,
                &workers,
                &serving,
                address.map(|address| security.address(address)),
                HostRoutes {
                    routes: self.routes,
                    wrap: self.wrap,
                },
                self.allowed,
                &authenticator,
            )?;
            let transport = security.start(&invoker, &shutdown, &mut reloads);
            spawn_listener(listener, service, transport, &invoker, &shutdown);
        }
        serving.set(true);
        Ok(NodeHandle {
            invoker,
            handler_names,
            workers,
            serving,
            shutdown,
            tasks,
            address,
            drain_timeout: self.drain_timeout,
            reloads,
        })
    }

    /// The store; without one, a node keeps invocations in memory.
    fn take_store(&mut self) -> Arc<dyn Store> {
        let store = self.store.take();
        store.unwrap_or_else(|| Arc::new(MemoryStore::new()))
    }

    /// The first error of what was added, or of the limits.
    fn check(&mut self) -> Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None => {
                self.check_origins()?;
                check_service_limits(&self.limits)
            }
        }
    }

    fn check_origins(&self) -> Result<()> {
        if !self.allowed.origins.has_any() || self.access.certificates.is_empty() {
            return Ok(());
        }
        Err(Error::invalid_argument(
            reason::ORIGIN_INVALID,
            ANY_WITH_CERTIFICATES,
        ))
    }

    /// Starts the node and serves until a signal, then stops it gracefully: a rolling restart fails no call.
    ///
    /// The signals are SIGTERM, SIGINT (Ctrl-C), and SIGHUP unless the process was started with SIGHUP ignored
    /// (`nohup`) or the node has [TLS](crate::NodeBuilder): then SIGHUP reads the files of its certificates again, as
    /// long as the terminal is there, if there was one.
    /// Running handlers then have the [drain timeout](Self::drain) to finish; see [`NodeHandle::stop`].
    /// After a second signal this returns at once, and the caller should end the process. Signals stay caught until
    /// then. Use [`run_until`](Self::run_until) to decide when the node stops, without signals, and
    /// [`NodeHandle::run_until_signal`] where the program needs the handle, such as for the address of port 0. The
    /// address is also logged.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start); `INTERNAL` / `SIGNALS_FAILED`.
    pub async fn run(self) -> Result<()> {
        warn_without_subscriber();
        let signals = catch_signals()?;
        self.start().await?.serve_until_signal(signals).await;
        Ok(())
    }

    /// Starts the node, serves until `stop` resolves, then stops it gracefully. Catches no signals.
    ///
    /// ```no_run
    /// # async fn example() -> cidery::Result<()> {
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let stopped = async { drop(stopped.await) };
    /// // `stop.send(())`, or dropping `stop`, stops the node.
    /// cidery::Node::builder().run_until(stopped).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<()> {
        let node = self.start().await?;
        stop.await;
        node.stop().await;
        Ok(())
    }
}

/// Adds the services that every node has, and the demo services.
fn add_builtins(registry: &mut Registry, authenticator: &Authenticator, demo: bool) -> Result<()> {
    let authenticator = authenticator.clone();
    builtin::add_platform(registry, Arc::new(move || authenticator.principals()))?;
    match demo {
        true => builtin::add_demo(registry),
        false => Ok(()),
    }
}

fn first_address(address: impl ToSocketAddrs) -> Result<SocketAddr> {
    let addresses = address.to_socket_addrs();
    let first = addresses.and_then(|mut addresses| {
        addresses
            .next()
            .ok_or_else(|| std::io::Error::other("no such host"))
    });
    first.map_err(|error| {
        let message = format!("the address to listen on is invalid: {error}");
        Error::invalid_argument(reason::REQUEST_INVALID, message).with_source(error)
    })
}

/// Every service is compared with each of them when it is declared.
fn check_service_limits(limits: &Limits) -> Result<()> {
    let limits = limits.service_limits.len();
    let violation = Violation::too_many("/service_limit", limits, ServiceLimit::MAX);
    Error::reject(reason::REQUEST_INVALID, violation.into_iter().collect())
}

/// Logs that the node asks who calls, and what is dangerous about it.
fn log_who_may_call(address: NodeAddress, insecure: bool, requires_authentication: bool) {
    let is_plain = !address.is_tls && !address.address.ip().is_loopback();
    match requires_authentication {
        true if is_plain => tracing::warn!(
            %address,
            "authentication is on, without TLS: an observer of the network reads the credentials of callers, and \
             everything else"
        ),
        true => tracing::info!("authentication is on: each call needs a credential"),
        false if insecure => tracing::warn!(
            %address,
            "insecure: there is no authentication; every client that can reach the address can invoke and serve all \
             services, and read, cancel and remove all invocations"
        ),
        false => {}
    }
}

/// Binds the address of a node, if it has one. `is_guarded`: other machines may reach it.
async fn bind(address: Option<SocketAddr>, is_guarded: bool) -> Result<Option<TcpListener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    check_address(address, is_guarded)?;
    listener::bind(address).await.map(Some)
}

fn spawn_listener(
    listener: TcpListener,
    service: PortService,
    transport: Transport,
    invoker: &Invoker,
    shutdown: &Shutdown,
) {
    let limits = connection_limits(invoker.limits(), service.metrics());
    let tasks = invoker.tasks();
    let service = move |connection| service.on(connection);
    let shutdown = shutdown.clone();
    let served = listener::serve(
        listener,
        service,
        transport,
        tasks.clone(),
        limits,
        shutdown,
    );
    tasks.spawn("listener", served);
}

/// Refuses an address of a network, unless the node asks who calls, or need not.
fn check_address(address: SocketAddr, is_guarded: bool) -> Result<()> {
    if address.ip().is_loopback() || is_guarded {
        return Ok(());
    }
    let message = format!(
        "{address} is not a loopback address, and authentication is off: make an API key first (`cidery key new \
         NAME --admin --data-dir FOLDER`), require client certificates (`NodeBuilder::tls`), listen on 127.0.0.1, or \
         allow it with `NodeBuilder::insecure`"
    );
    Err(Error::failed_precondition(
        reason::INSECURE_ADDRESS,
        message,
    ))
}

/// `FAILED_PRECONDITION` / `AUTHENTICATION_OFF` where callers must prove who they are, and nothing asks them to.
fn check_guarded(must_be_guarded: bool, is_guarded: bool) -> Result<()> {
    if is_guarded || !must_be_guarded {
        return Ok(());
    }
    let message = "authentication is required, and is off: the data directory has no API key, and no tokens or client \
                   certificates are configured; `cidery key new NAME --admin --data-dir FOLDER` makes the first key";
    Err(Error::failed_precondition(
        reason::AUTHENTICATION_OFF,
        message,
    ))
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| {
        Error::unavailable(reason::BIND_FAILED, "cannot read the bound address").with_source(error)
    })
}
