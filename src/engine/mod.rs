//! What happens: one way in for every kind of caller, deadlines, limits, attempts, results.
//!
//! ```text
//!  caller ──▶ Invoker ──▶ Route ──▶ Gate (a slot) ──▶ Attempt (hooks, handler) ──▶ reply
//!                │                                        ▲
//!                └─ accept ──▶ Store ──▶ Lane (claims) ───┘──▶ settle ──▶ Store, Hub ──▶ followers
//! ```

mod admission;
pub mod clock;
mod durable;
mod execution;
mod limits;
mod results;
mod routing;
pub mod store;
pub mod tasks;

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::admission::cid_reservations::Names;
pub use self::admission::worker_pool::{Accepts, Location, WorkerPool, WorkerService};
use self::clock::Clock;
pub use self::durable::admin::InvocationPage;
use self::durable::completion::Laters;
pub use self::limits::Limits;
pub use self::results::follower::{FollowRequest, Follower, FollowerEvent};
use self::results::hub::Hub;
pub use self::results::lookup::InvocationView;
use self::routing::{Place, Routes};
pub use self::routing::{ServiceInfo, ServiceStatus};
use self::store::Store;
use self::tasks::Tasks;
use crate::model::error::{Error, Result, reason};
use crate::model::metadata::Metadata;
use crate::service::{Definition, ErasedHooks, Registry, States};

/// More handlers than this never run at once, whatever a limit says.
const MAX_HANDLERS: usize = 1 << 28;

/// The one way in: gRPC, the command line, workers, contexts and callbacks all go through it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Invoker(Arc<Engine>);

/// What an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The services.
    pub registry: Registry,
    /// What their handlers ask for.
    pub states: States,
    /// Hooks around every service, outermost first.
    pub hooks: Vec<Arc<dyn ErasedHooks>>,
    /// Where invocations are kept.
    pub store: Arc<dyn Store>,
    /// Defaults and limits.
    pub limits: Limits,
    /// Tells the time.
    pub clock: Clock,
}

#[derive(Debug)]
struct Engine {
    routes: Routes,
    states: Arc<States>,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    limits: Limits,
    clock: Clock,
    tasks: Tasks,
    /// Handlers at once, in the whole node.
    handlers: Arc<Semaphore>,
    /// The CIDs that callers brought and that are being used.
    names: Names,
    /// Rings when members of groups have ended.
    groups: Notify,
    /// Synchronous calls whose handlers answered "later".
    laters: Arc<Laters>,
    /// What a call without metadata has: all of them share it.
    no_metadata: Arc<Metadata>,
    /// Rings when services come and go.
    changes: watch::Sender<()>,
    /// Counts what is under way, from a call's beginning to its answer or its record.
    work: TaskTracker,
    /// Counts outcomes that the store did not take yet.
    unrecorded: TaskTracker,
    /// No new work is begun: the node is stopping.
    draining: CancellationToken,
    /// Followers and watchers end: nothing is left that they could wait for.
    closing: CancellationToken,
    /// Running handlers are asked to stop: the drain is over.
    halting: CancellationToken,
}

impl Invoker {
    /// Starts an engine: takes up what its store holds, and sweeps what has been kept long enough.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STATE_MISSING` where a handler asks for state that is not there; what the store
    /// answers.
    pub async fn start(parts: Parts, tasks: Tasks) -> Result<Self> {
        let Parts {
            registry,
            states,
            hooks,
            store,
            limits,
            clock,
        } = parts;
        check_requirements(&registry, &states)?;
        let mut limits = limits;
        limits.node_concurrency = limits.node_concurrency.clamp(1, MAX_HANDLERS);
        let handlers = Arc::new(Semaphore::new(limits.node_concurrency));
        let engine = Engine {
            routes: Routes::new(
                registry,
                &Place {
                    limits: &limits,
                    handlers: &handlers,
                    now: clock.now(),
                },
            ),
            states: Arc::new(states),
            hooks,
            store,
            hub: Arc::new(Hub::default()),
            limits,
            clock,
            tasks,
            handlers,
            names: Names::default(),
            groups: Notify::new(),
            laters: Arc::default(),
            no_metadata: Arc::default(),
            changes: watch::Sender::new(()),
            work: TaskTracker::new(),
            unrecorded: TaskTracker::new(),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            halting: CancellationToken::new(),
        };
        let invoker = Self(Arc::new(engine));
        durable::scheduler::start_all(&invoker).await?;
        durable::groups::start(&invoker);
        durable::retention::start(&invoker);
        durable::expiry::start(&invoker);
        Ok(invoker)
    }

    /// Adds services to a running engine.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS` where there is one of that name; `INVALID_ARGUMENT` / `DECLARATION_INVALID`;
    /// `FAILED_PRECONDITION` / `STATE_MISSING`.
    pub fn add_service(&self, definition: Definition) -> Result<()> {
        let Engine {
            routes,
            limits,
            handlers,
            states,
            clock,
            ..
        } = &*self.0;
        definition.check_states(states, "node")?;
        let definition = definition.prepared()?;
        let now = clock.now();
        let place = Place {
            limits,
            handlers,
            now,
        };
        routes.add(definition, &place)?;
        self.0.changes.send_replace(());
        Ok(())
    }

    /// Counts the changes of the services: the same number means the same services.
    #[must_use]
    pub fn catalog_version(&self) -> u64 {
        self.0.routes.generation()
    }

    /// Rings when services come and go.
    #[must_use]
    pub fn service_changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// The tasks of the node.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// Takes no new work any more. Running handlers go on; [`halt`](Self::halt) ends them.
    pub fn drain(&self) {
        self.0.draining.cancel();
    }

    /// Waits until nothing is under way: no call, no handler, no outcome to be recorded.
    pub async fn wait_idle(&self) {
        self.0.work.close();
        self.0.work.wait().await;
    }

    /// Ends followers and watchers, who wait for what this node will not do any more.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Fires when followers and watchers are to end.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// Asks running handlers to stop; what runs in the background is handed back and does not count as an attempt.
    pub fn halt(&self) {
        self.0.draining.cancel();
        self.0.halting.cancel();
    }

    /// How many handlers run now.
    #[must_use]
    pub fn running_handlers(&self) -> usize {
        self.0.limits.node_concurrency - self.0.handlers.available_permits()
    }

    /// Defaults and limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// What time it is, by the node's clock.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.0.clock.now()
    }

    /// Where invocations are kept.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// Looks after something until the node takes no new work any more.
    fn spawn_until_drain(
        &self,
        name: &'static str,
        look: impl Future<Output = ()> + Send + 'static,
    ) {
        let draining = self.0.draining.clone();
        self.0.tasks.spawn(name, async move {
            tokio::select! {
                () = draining.cancelled() => {}
                () = look => {}
            }
        });
    }

    /// Refuses what is new where the node stops.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `NODE_STOPPING`.
    pub fn check_accepting(&self) -> Result<()> {
        if self.0.draining.is_cancelled() {
            return Err(stopping());
        }
        Ok(())
    }
}

/// `UNAVAILABLE` / `NODE_STOPPING`.
fn stopping() -> Error {
    let message = "the node is stopping: repeat the call";
    Error::unavailable(reason::NODE_STOPPING, message)
}

fn check_requirements(registry: &Registry, states: &States) -> Result<()> {
    registry
        .iter()
        .try_for_each(|definition| definition.check_states(states, "node"))
}
