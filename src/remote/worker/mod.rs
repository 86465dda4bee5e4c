//! A worker: runs the handlers of this process for a node. The same handlers as in the node itself; what they invoke
//! goes through the node.

mod dispatch;
mod handle;
mod line;
mod outcome;
mod platform;
mod session;
mod shared;

use std::sync::Arc;
use std::time::Duration;

pub use self::handle::WorkerHandle;
use self::line::Line;
use self::shared::Shared;
use crate::codec::proto::v1;
use crate::engine::tasks::Tasks;
use crate::model::error::{Error, Result};
use crate::remote::wire;
use crate::service::{Definition, ErasedHooks, Handler, Hooks, Registry, Service, States};

/// How many dispatches it takes at once unless told otherwise.
const MAX_IN_FLIGHT: u32 = 100;
/// How large a message it takes unless told otherwise: what a node sends at most, and its envelope.
const MAX_MESSAGE_BYTES: u32 = 17 << 20;
/// How long running handlers have when it stops, unless told otherwise.
const DRAIN: Duration = Duration::from_secs(30);

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
    /// Begins to put one together.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder::default()
    }
}

/// Puts a worker together.
#[must_use = "nothing is served before it is connected"]
#[derive(Debug)]
pub struct WorkerBuilder {
    registry: Registry,
    fault: Option<Error>,
    states: States,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    name: String,
    build_id: String,
    max_in_flight: u32,
    max_message_bytes: u32,
    drain: Duration,
}

impl Default for WorkerBuilder {
    fn default() -> Self {
        Self {
            registry: Registry::new(),
            fault: None,
            states: States::default(),
            hooks: Vec::new(),
            name: format!("worker-{}", std::process::id()),
            build_id: String::new(),
            max_in_flight: MAX_IN_FLIGHT,
            max_message_bytes: MAX_MESSAGE_BYTES,
            drain: DRAIN,
        }
    }
}

impl WorkerBuilder {
    /// Adds a service: a name and a handler. A name that is taken, or none, is reported by [`connect`](Self::connect).
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

    /// What it is called, for people. Default: `worker-` and the process id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What it was built from: a version, a commit. Default: nothing.
    pub fn build_id(mut self, build_id: impl Into<String>) -> Self {
        self.build_id = build_id.into();
        self
    }

    /// How many dispatches it takes at once, at least 1. Default: 100.
    pub fn max_in_flight(mut self, dispatches: u32) -> Self {
        self.max_in_flight = dispatches.max(1);
        self
    }

    /// The largest message it takes, in bytes. Default: 17 MiB, more than a node sends unless told otherwise.
    pub fn max_message_bytes(mut self, bytes: u32) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// How long running handlers have when it stops; what has not ended by then is handed back. Default: 30 s.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Connects to a node and serves. Resolves once the node has welcomed it; a connection that is lost later is made
    /// again, and what was handed over is kept meanwhile.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `CONNECT_FAILED`; `FAILED_PRECONDITION` / `STATE_MISSING`; what the node says to its services.
    pub async fn connect(self, node: &str) -> Result<WorkerHandle> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let definitions: Vec<Definition> = self.registry.into_iter().collect();
        for definition in &definitions {
            definition.check_states(&self.states, "worker")?;
        }
        let hello = v1::Hello {
            name: self.name,
            services: definitions.iter().map(wire::declaration_to_proto).collect(),
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
        let shared = Shared::new(handlers, self.states, self.hooks, Tasks::new());
        let line = Line::new(node, hello, shared)?;
        WorkerHandle::start(line, self.drain).await
    }

    /// Connects to a node and serves until the process ends.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn run(self, node: &str) -> Result<()> {
        let worker = self.connect(node).await?;
        worker.ended().await;
        Ok(())
    }
}

/// What it can do beyond what is mandatory.
const CAPABILITIES: [v1::Capability; 6] = [
    v1::Capability::Resume,
    v1::Capability::Cancel,
    v1::Capability::HandBack,
    v1::Capability::Later,
    v1::Capability::Drain,
    v1::Capability::Several,
];
