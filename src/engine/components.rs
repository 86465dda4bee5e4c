//! The components of an engine, and how they are put together.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::engine::admission::cid_reservations::CidReservations;
use crate::engine::clock::Clock;
use crate::engine::durable::accept::Acceptor;
use crate::engine::durable::accept_batch::BatchAcceptor;
use crate::engine::durable::admin::Admin;
use crate::engine::durable::cancel::Canceller;
use crate::engine::durable::commit::Committer;
use crate::engine::durable::completion::Completer;
use crate::engine::durable::deferral::Deferrals;
use crate::engine::durable::expiry::Expiry;
use crate::engine::durable::groups::Groups;
use crate::engine::durable::retention;
use crate::engine::durable::run::Runner;
use crate::engine::durable::scheduler::Schedulers;
use crate::engine::durable::wakeup::SchedulerHandle;
use crate::engine::execution::executor::Executor;
use crate::engine::execution::pending_completions::PendingCompletions;
use crate::engine::execution::runtime::HandlerRuntime;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::limits::Limits;
use crate::engine::results::hub::Hub;
use crate::engine::results::lookup::Results;
use crate::engine::routing::{Discovery, Routes};
use crate::engine::store::Store;
use crate::engine::tasks::Tasks;
use crate::model::error::Result;
use crate::service::{ErasedHooks, Registry, States};

/// More handlers than this never run at once, whatever the limits say.
const MAX_HANDLERS: usize = 1 << 28;

/// What an engine is started with.
#[derive(Debug)]
pub struct Parts {
    /// The services of this process.
    pub registry: Registry,
    /// The state that their handlers ask for.
    pub states: States,
    /// Hooks around every service, the outermost first.
    pub hooks: Vec<Arc<dyn ErasedHooks>>,
    /// Where invocations are stored.
    pub store: Arc<dyn Store>,
    /// Defaults and limits.
    pub limits: Limits,
    /// The clock.
    pub clock: Clock,
}

/// The components of an engine. Each owns its state and holds those that it uses.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) store: Arc<dyn Store>,
    pub(super) limits: Arc<Limits>,
    pub(super) clock: Clock,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) routes: Arc<Routes>,
    pub(super) discovery: Discovery,
    pub(super) executor: Arc<Executor>,
    pub(super) acceptor: Arc<Acceptor>,
    pub(super) batches: Arc<BatchAcceptor>,
    pub(super) results: Arc<Results>,
    pub(super) completer: Arc<Completer>,
    pub(super) canceller: Arc<Canceller>,
    pub(super) admin: Arc<Admin>,
    pub(super) deferrals: Arc<Deferrals>,
}

impl Engine {
    /// Starts an engine: makes its components and their tasks.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STATE_MISSING` where a handler asks for state that is not there; the errors of the
    /// store.
    pub(super) async fn start(parts: Parts, tasks: Tasks) -> Result<Self> {
        let Parts {
            registry,
            states,
            hooks,
            store,
            mut limits,
            clock,
        } = parts;
        check_states(&registry, &states)?;
        limits.node_concurrency = limits.node_concurrency.clamp(1, MAX_HANDLERS);
        let limits = Arc::new(limits);
        let lifecycle = Arc::new(Lifecycle::new(tasks));
        let hub = Arc::new(Hub::default());
        let reservations = CidReservations::default();
        let completions = Arc::new(PendingCompletions::default());
        let group_wakeup = Arc::new(Notify::new());
        let (scheduler_starts, starts) = mpsc::unbounded_channel();
        let routes = Arc::new(Routes::new(
            registry,
            Arc::clone(&limits),
            clock.clone(),
            scheduler_starts,
        ));
        let results = Arc::new(Results::new(
            Arc::clone(&hub),
            Arc::clone(&store),
            Arc::clone(&routes),
            clock.clone(),
            Arc::clone(&lifecycle),
            limits.stream_cids,
        ));
        let committer = Arc::new(Committer::new(
            Arc::clone(&store),
            Arc::clone(&hub),
            Arc::clone(&routes),
            clock.clone(),
            Arc::clone(&limits),
            Arc::clone(&group_wakeup),
        ));
        let acceptor = Arc::new(Acceptor::new(
            Arc::clone(&routes),
            Arc::clone(&store),
            Arc::clone(&hub),
            reservations.clone(),
            clock.clone(),
            Arc::clone(&limits),
            Arc::clone(&lifecycle),
        ));
        let batches = Arc::new(BatchAcceptor {
            acceptor: Arc::clone(&acceptor),
            routes: Arc::clone(&routes),
            store: Arc::clone(&store),
            hub: Arc::clone(&hub),
            reservations: reservations.clone(),
            clock: clock.clone(),
            limits: Arc::clone(&limits),
            lifecycle: Arc::clone(&lifecycle),
            group_wakeup: Arc::clone(&group_wakeup),
        });
        let runtime = HandlerRuntime {
            states: Arc::new(states),
            hooks,
            limits: Arc::clone(&limits),
            clock: clock.clone(),
            lifecycle: Arc::clone(&lifecycle),
            routes: Arc::clone(&routes),
            hub: Arc::clone(&hub),
            results: Arc::clone(&results),
            acceptor: Arc::clone(&acceptor),
            batches: Arc::clone(&batches),
            completions: Arc::clone(&completions),
        };
        let executor = Executor::new(runtime, Arc::clone(&store), reservations);
        let deferrals = Arc::new(Deferrals::new(
            Arc::clone(&routes),
            Arc::clone(&results),
            Arc::clone(&committer),
            Arc::clone(&lifecycle),
        ));
        let completer = Arc::new(Completer {
            completions: Arc::clone(&completions),
            results: Arc::clone(&results),
            routes: Arc::clone(&routes),
            hub: Arc::clone(&hub),
            committer: Arc::clone(&committer),
            limits: Arc::clone(&limits),
            lifecycle: Arc::clone(&lifecycle),
        });
        let canceller = Arc::new(Canceller {
            store: Arc::clone(&store),
            hub: Arc::clone(&hub),
            routes: Arc::clone(&routes),
            results: Arc::clone(&results),
            committer: Arc::clone(&committer),
            lifecycle: Arc::clone(&lifecycle),
        });
        let admin = Arc::new(Admin {
            store: Arc::clone(&store),
            hub,
            routes: Arc::clone(&routes),
            results: Arc::clone(&results),
            acceptor: Arc::clone(&acceptor),
            deferrals: Arc::clone(&deferrals),
            lifecycle: Arc::clone(&lifecycle),
        });
        let engine = Engine {
            discovery: Discovery::new(Arc::clone(&routes), Arc::clone(&store), completions),
            store,
            limits,
            clock,
            lifecycle,
            routes,
            executor,
            acceptor,
            batches,
            results,
            completer,
            canceller,
            admin,
            deferrals,
        };
        engine.start_tasks(committer, group_wakeup, starts).await?;
        Ok(engine)
    }

    /// Starts the background tasks.
    async fn start_tasks(
        &self,
        committer: Arc<Committer>,
        group_wakeup: Arc<Notify>,
        starts: mpsc::UnboundedReceiver<Arc<SchedulerHandle>>,
    ) -> Result<()> {
        let (store, routes) = (&self.store, &self.routes);
        let (clock, lifecycle) = (&self.clock, &self.lifecycle);
        let runner = Arc::new(Runner::new(
            Arc::clone(&self.executor),
            Arc::clone(store),
            Arc::clone(&committer),
            Arc::clone(&self.deferrals),
        ));
        let schedulers = Schedulers::new(
            Arc::clone(routes),
            Arc::clone(store),
            Arc::clone(&committer),
            runner,
            clock.clone(),
            Arc::clone(lifecycle),
        );
        schedulers.start(starts).await?;
        let groups = Arc::new(Groups {
            store: Arc::clone(store),
            committer: Arc::clone(&committer),
            clock: clock.clone(),
            limits: Arc::clone(&self.limits),
            lifecycle: Arc::clone(lifecycle),
            group_wakeup,
        });
        groups.start();
        self.canceller.start();
        retention::start(Arc::clone(store), clock.clone(), lifecycle);
        let expiry = Expiry::new(
            Arc::clone(store),
            Arc::clone(routes),
            committer,
            clock.clone(),
        );
        expiry.start(lifecycle);
        Ok(())
    }
}

fn check_states(registry: &Registry, states: &States) -> Result<()> {
    registry
        .iter()
        .try_for_each(|definition| definition.check_states(states, "node"))
}
