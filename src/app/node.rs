//! A node: how it is put together, started and stopped.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::edge::grpc::Serving;
use crate::edge::listener::{self, Connections, Ends};
use crate::edge::{Front, Wrap};
use crate::engine::clock::Clock;
use crate::engine::store::Store;
use crate::engine::tasks::Tasks;
use crate::engine::{Invoker, Limits, Parts};
use crate::model::call::Call;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::Payload;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service::{
    Definition, ErasedHooks, Handler, Hooks, Registry, Response, Service, States, builtin,
};
use crate::store::MemoryStore;

/// The port of a node unless told otherwise: C-I-D-E-R on a phone.
const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 24337);
/// How long running handlers have when the node stops. Default: 30 s.
const DRAIN: Duration = Duration::from_secs(30);
/// How long callers have to hear that the node stops, before what they ask is refused.
const HEARING: Duration = Duration::from_millis(250);
/// How long connections have to end once nothing runs any more.
const LINGER: Duration = Duration::from_secs(1);

/// A node: a running server, or an engine without one.
///
/// ```no_run
/// use cidery::{Node, Result, dict};
///
/// # async fn example() -> Result<()> {
/// Node::builder()
///     .service("greet", async || dict! { "greeting": "hello" })
///     .run()
///     .await
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Node;

impl Node {
    /// Begins a node.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }
}

/// A node under construction. It installs no global subscriber and no signal handler.
#[must_use = "a node runs once it is started"]
pub struct NodeBuilder {
    registry: Registry,
    fault: Option<Error>,
    states: States,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    store: Option<Arc<dyn Store>>,
    limits: Limits,
    clock: Clock,
    address: Option<SocketAddr>,
    insecure: bool,
    demo: bool,
    drain: Duration,
    routes: Router,
    wrap: Option<Wrap>,
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
            fault: None,
            states: States::default(),
            hooks: Vec::new(),
            store: None,
            limits: Limits::default(),
            clock: Clock::System,
            address: Some(DEFAULT_ADDRESS),
            insecure: false,
            demo: false,
            drain: DRAIN,
            routes: Router::new(),
            wrap: None,
        }
    }
}

impl NodeBuilder {
    /// Adds a service: a name and a handler. A name that is taken, or none, is reported by [`start`](Self::start).
    pub fn service<Args>(self, name: &str, handler: impl Handler<Args>) -> Self {
        self.add(|registry| registry.service(name, handler))
    }

    /// Adds a service that is a type.
    pub fn serve(self, service: impl Service) -> Self {
        self.add(|registry| registry.serve(service))
    }

    /// Adds a service with options.
    pub fn define(self, definition: Definition) -> Self {
        self.add(|registry| registry.add(definition))
    }

    /// Adds all services of a registry.
    pub fn registry(self, services: Registry) -> Self {
        self.add(|registry| {
            services
                .into_iter()
                .try_for_each(|service| registry.add(service))
        })
    }

    /// Whoever builds a node reads one error, at the end: the first.
    fn add(mut self, add: impl FnOnce(&mut Registry) -> Result<()>) -> Self {
        if let Err(error) = add(&mut self.registry) {
            self.fault.get_or_insert(error);
        }
        self
    }

    /// Adds something that handlers get as `State<T>`.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Adds hooks around every service. Those added first run outermost.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks.push(Arc::new(hooks));
        self
    }

    /// Keeps invocations in a store. Default: in memory, 1 GiB.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Changes defaults and limits.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Takes the time from a clock. Default: the machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Where to listen. Default: `127.0.0.1:24337`.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Listens nowhere: the node is invoked through its handle alone.
    pub fn no_listener(mut self) -> Self {
        self.address = None;
        self
    }

    /// Allows addresses that others can reach. There is no authentication yet.
    pub fn insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// Adds services to play with.
    pub fn demo(mut self) -> Self {
        self.demo = true;
        self
    }

    /// How long running handlers have when the node stops. Default: 30 s.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Adds routes of the host's own, with their layers, on the same port. What they do not match goes to gRPC.
    ///
    /// # Panics
    ///
    /// As [`Router::merge`]: where two of the host's routes are the same, or two of its routers have a fallback.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Wraps everything that is on the port, gRPC included: `|router| router.layer(..)`. Said again, it wraps
    /// once more.
    pub fn wrap(mut self, wrap: impl FnOnce(Router) -> Router + Send + 'static) -> Self {
        self.wrap = Some(match self.wrap {
            None => Box::new(wrap),
            Some(inner) => Box::new(|router| wrap(inner(router))),
        });
        self
    }

    /// Starts the node. Once this resolves it serves.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS`, or `INVALID_ARGUMENT`, for a service that cannot be added; `UNAVAILABLE` /
    /// `BIND_FAILED`; `FAILED_PRECONDITION` / `INSECURE_ADDRESS` or `STATE_MISSING`; what the store answers.
    pub async fn start(mut self) -> Result<NodeHandle> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        builtin::add_platform(&mut self.registry)?;
        if self.demo {
            builtin::add_demo(&mut self.registry)?;
        }
        let listener = match self.address {
            None => None,
            Some(address) => {
                check_address(address, self.insecure)?;
                Some(listener::bind(address).await?)
            }
        };
        let tasks = Tasks::new();
        let parts = Parts {
            registry: self.registry,
            states: self.states,
            hooks: self.hooks,
            store: self.store.unwrap_or_else(|| Arc::new(MemoryStore::new())),
            limits: self.limits,
            clock: self.clock,
        };
        let invoker = Invoker::start(parts, tasks.clone()).await?;
        let workers = WorkerRegistry::start(&invoker).await?;
        let serving = Serving::new();
        let ends = Ends::default();
        let mut address = None;
        if let Some(listener) = listener {
            address = Some(local_address(&listener)?);
            let front = Front::new(
                &invoker,
                &workers,
                &serving,
                address,
                self.routes,
                self.wrap,
            )?;
            let limits = invoker.limits();
            let connections = Connections {
                at_once: limits.connections,
                ping_interval: limits.ping_interval,
            };
            let served = listener::serve(listener, front, tasks.clone(), connections, ends.clone());
            tasks.spawn("listener", served);
        }
        serving.set(true);
        Ok(NodeHandle {
            invoker,
            workers,
            serving,
            ends,
            tasks,
            address,
            drain: self.drain,
        })
    }

    /// Starts the node and serves until the process ends.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub async fn run(self) -> Result<()> {
        self.run_until(std::future::pending()).await
    }

    /// Starts the node, serves until `stop` resolves, and stops it.
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

fn check_address(address: SocketAddr, insecure: bool) -> Result<()> {
    if address.ip().is_loopback() || insecure {
        return Ok(());
    }
    let message = format!(
        "{address} can be reached by others, and there is no authentication yet: listen on 127.0.0.1, or say \
         `--insecure`"
    );
    Err(Error::failed_precondition(
        reason::INSECURE_ADDRESS,
        message,
    ))
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| {
        Error::unavailable(reason::BIND_FAILED, "the bound address is not known").with_source(error)
    })
}

/// A running node: invokes, and stops.
#[derive(Debug)]
pub struct NodeHandle {
    invoker: Invoker,
    workers: WorkerRegistry,
    serving: Serving,
    ends: Ends,
    tasks: Tasks,
    address: Option<SocketAddr>,
    drain: Duration,
}

impl NodeHandle {
    /// Where the node listens, if it does.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The engine.
    #[must_use]
    pub fn invoker(&self) -> &Invoker {
        &self.invoker
    }

    /// Invokes a service and waits for its response.
    ///
    /// # Errors
    ///
    /// As for [`Invoker::invoke`].
    pub async fn invoke(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl Into<Payload>,
    ) -> Result<Response> {
        let cid = Cid::new();
        let (cid, reply) = self.invoker.invoke(cid, Call::new(service, input)).await?;
        Response::new(cid, reply)
    }

    /// Has a service run in the background and answers with the CID.
    ///
    /// # Errors
    ///
    /// As for [`Invoker::invoke_async`].
    pub async fn invoke_async(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl Into<Payload>,
    ) -> Result<Cid> {
        let accepted = self.invoker.invoke_async(Call::new(service, input)).await?;
        Ok(accepted.cid)
    }

    /// Stops the node: it is no longer `SERVING`, takes no new connections, and a moment later no new work; it lets
    /// running handlers end, and after the drain time asks them to stop. What runs in the background is then handed
    /// back. When handlers have ended, followers and watchers end, and at last the connections.
    pub async fn stop(self) {
        self.serving.set(false);
        self.workers.stop_admission();
        self.ends.close.cancel();
        // What callers sent before they heard of it is still taken: nobody fails who waits for a connection.
        self.ends.callers.close();
        let _ = tokio::time::timeout(HEARING, self.ends.callers.wait()).await;
        self.invoker.drain();
        self.workers.drain_all(self.drain);
        let drained = Instant::now() + self.drain;
        if tokio::time::timeout_at(drained, self.invoker.wait_idle())
            .await
            .is_err()
        {
            tracing::warn!(
                running = self.invoker.running_handlers(),
                drain_ms = self.drain.as_millis(),
                "handlers are still running: asking them to stop"
            );
            self.invoker.halt();
            // For the handler, and for the hooks after it.
            let grace = self.invoker.limits().grace * 2;
            if tokio::time::timeout(grace, self.invoker.wait_idle())
                .await
                .is_err()
            {
                tracing::error!(
                    running = self.invoker.running_handlers(),
                    "handlers did not stop"
                );
            }
        }
        self.invoker.close();
        self.ends.rest.cancel();
        // Those who still read their answers have the rest of the drain time, and a moment in any case.
        let lingered = drained.max(Instant::now() + LINGER);
        if tokio::time::timeout_at(lingered, self.tasks.finished())
            .await
            .is_err()
        {
            self.ends.sever.cancel();
            let _ = tokio::time::timeout(LINGER, self.tasks.finished()).await;
        }
    }
}
