//! The components of an engine, and how they are put together.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, Notify, mpsc};

use crate::engine::acceptance::accept::Acceptor;
use crate::engine::acceptance::accept_batch::BatchAcceptor;
use crate::engine::admission::cid_reservations::CidReservations;
use crate::engine::admission::quota::Quotas;
use crate::engine::clock::Clock;
use crate::engine::control::gates::Gates;
use crate::engine::discovery::Discovery;
use crate::engine::durable::commit::Committer;
use crate::engine::durable::deferral::Deferrals;
use crate::engine::durable::expiry::Expiry;
use crate::engine::durable::groups::Groups;
use crate::engine::durable::operations::cancel::Canceller;
use crate::engine::durable::operations::completion::Completer;
use crate::engine::durable::operations::maintenance::Maintenance;
use crate::engine::durable::operations::retrying::Retrying;
use crate::engine::durable::retention;
use crate::engine::durable::run::Runner;
use crate::engine::durable::scheduler::Schedulers;
use crate::engine::events::EventBus;
use crate::engine::execution::executor::Executor;
use crate::engine::execution::pending_completions::PendingCompletions;
use crate::engine::execution::runtime::HandlerRuntime;
use crate::engine::history::{self, History};
use crate::engine::lifecycle::Lifecycle;
use crate::engine::limits::{Limits, MAX_HANDLERS};
use crate::engine::operations::Operations;
use crate::engine::results::elsewhere;
use crate::engine::results::follower::FollowLimits;
use crate::engine::results::hub::Hub;
use crate::engine::results::lookup::Results;
use crate::engine::routing::Routes;
use crate::engine::routing::wakeup::{SchedulerHandle, SchedulerStarts};
use crate::engine::running_budget::RunningBudget;
use crate::engine::service_controls::ServiceControls;
use crate::engine::status::{ReloadFailures, StatusReader, failing};
use crate::engine::store::{Filter, Store};
use crate::engine::timer::Timer;
use crate::engine::trace::Tracer;
use crate::engine::unread_backups;
use crate::model::error::{Error, Result, reason};
use crate::service::runtime::Tasks;
use crate::service::{ErasedHooks, Registry, States};

/// How far the clock may be behind the newest invocation without a warning at the start.
const CLOCK_LAG: SignedDuration = SignedDuration::from_mins(1);

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
    /// Whether the node is held: it accepts, and starts nothing until it is resumed.
    pub hold: bool,
    /// Whether callers from outside must prove who they are.
    pub requires_authentication: bool,
    /// What makes spans, if anything does.
    pub tracer: Tracer,
}

/// The components of an engine. Each owns its state and holds those that it uses.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) requires_authentication: bool,
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
    pub(super) maintenance: Arc<Maintenance>,
    pub(super) deferrals: Arc<Deferrals>,
    pub(super) gates: Arc<Gates>,
    pub(super) controls: Arc<ServiceControls>,
    pub(super) events: Arc<EventBus>,
    pub(super) status: StatusReader,
    pub(super) operations: Arc<Operations>,
    pub(super) quotas: Quotas,
}

/// The components that most others use.
struct SharedComponents {
    requires_authentication: bool,
    store: Arc<dyn Store>,
    limits: Arc<Limits>,
    clock: Clock,
    timer: Timer,
    lifecycle: Arc<Lifecycle>,
    hub: Arc<Hub>,
    gates: Arc<Gates>,
    routes: Arc<Routes>,
    results: Arc<Results>,
    committer: Arc<Committer>,
    reservations: CidReservations,
    completions: Arc<PendingCompletions>,
    group_wakeup: Arc<Notify>,
    events: Arc<EventBus>,
    tracer: Tracer,
}

impl Engine {
    /// Makes the components of an engine and starts their tasks.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STATE_MISSING` or `CLOCK_INVALID`; the errors of the store.
    pub(super) async fn start(parts: Parts, tasks: Tasks) -> Result<Self> {
        let Parts {
            registry,
            states,
            hooks,
            store,
            mut limits,
            clock,
            hold,
            requires_authentication,
            tracer,
        } = parts;
        check_states(&registry, &states)?;
        check_clock(&clock, &*store).await?;
        limits.node_concurrency = limits.node_concurrency.clamp(1, MAX_HANDLERS);
        let (scheduler_starts, starts) = mpsc::unbounded_channel();
        let gates = Arc::new(Gates::new(store.controls().await?, hold));
        let shared = SharedComponents::new(
            registry,
            store,
            limits,
            clock,
            tasks,
            scheduler_starts,
            gates,
            requires_authentication,
            tracer,
        );
        let engine = shared.engine(states, hooks);
        shared.start_tasks(&engine, starts).await?;
        Ok(engine)
    }
}

impl SharedComponents {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is made before the components are"
    )]
    fn new(
        registry: Registry,
        store: Arc<dyn Store>,
        limits: Limits,
        clock: Clock,
        tasks: Tasks,
        scheduler_starts: SchedulerStarts,
        gates: Arc<Gates>,
        requires_authentication: bool,
        tracer: Tracer,
    ) -> Self {
        let limits = Arc::new(limits);
        let lifecycle = Arc::new(Lifecycle::new(tasks));
        let hub = Arc::new(Hub::default());
        let group_wakeup = Arc::new(Notify::new());
        let events = Arc::new(EventBus::new(clock.clone(), limits.event_watchers));
        let routes = Routes::new(
            registry,
            Arc::clone(&limits),
            clock.clone(),
            scheduler_starts,
            Arc::clone(&gates),
            !requires_authentication,
        );
        let routes = Arc::new(routes);
        let results = Results::new(
            Arc::clone(&hub),
            Arc::clone(&store),
            Arc::clone(&routes),
            clock.clone(),
            Arc::clone(&lifecycle),
            FollowLimits {
                stream_cids: limits.stream_cids,
                principal_stream_cids: limits.principal_stream_cids,
                node_stream_cids: limits.node_stream_cids,
            },
        );
        let committer = Committer::new(
            Arc::clone(&store),
            Arc::clone(&hub),
            Arc::clone(&routes),
            clock.clone(),
            Arc::clone(&limits),
            Arc::clone(&group_wakeup),
            Arc::clone(&events),
        )
        .with_tracer(tracer.clone());
        Self {
            requires_authentication,
            store,
            limits,
            timer: Timer::start(clock.clone(), &lifecycle),
            clock,
            lifecycle,
            hub,
            gates,
            routes,
            results: Arc::new(results),
            committer: Arc::new(committer),
            reservations: CidReservations::default(),
            completions: Arc::default(),
            group_wakeup,
            events,
            tracer,
        }
    }

    fn engine(&self, states: States, hooks: Vec<Arc<dyn ErasedHooks>>) -> Engine {
        let acceptor = Arc::new(self.acceptor());
        let batches = Arc::new(self.batches(&acceptor));
        let deferrals = Arc::new(Deferrals::new(
            Arc::clone(&self.routes),
            Arc::clone(&self.results),
            Arc::clone(&self.committer),
            Arc::clone(&self.lifecycle),
        ));
        let runtime = HandlerRuntime {
            requires_authentication: self.requires_authentication,
            states: Arc::new(states),
            hooks,
            limits: Arc::clone(&self.limits),
            clock: self.clock.clone(),
            timer: self.timer.clone(),
            lifecycle: Arc::clone(&self.lifecycle),
            routes: Arc::clone(&self.routes),
            hub: Arc::clone(&self.hub),
            results: Arc::clone(&self.results),
            acceptor: Arc::clone(&acceptor),
            batches: Arc::clone(&batches),
            completions: Arc::clone(&self.completions),
            tracer: self.tracer.clone(),
        };
        let reservations = self.reservations.clone();
        let canceller = Arc::new(self.canceller());
        let maintenance = Arc::new(self.maintenance(&acceptor, &deferrals));
        Engine {
            requires_authentication: self.requires_authentication,
            store: Arc::clone(&self.store),
            limits: Arc::clone(&self.limits),
            clock: self.clock.clone(),
            lifecycle: Arc::clone(&self.lifecycle),
            routes: Arc::clone(&self.routes),
            discovery: Discovery::new(
                Arc::clone(&self.routes),
                Arc::clone(&self.store),
                Arc::clone(&self.completions),
            ),
            executor: Executor::new(runtime, Arc::clone(&self.store), reservations),
            results: Arc::clone(&self.results),
            completer: Arc::new(self.completer()),
            operations: Arc::new(Operations::new(
                Arc::clone(&self.store),
                self.clock.clone(),
                Arc::clone(&self.lifecycle),
                Arc::clone(&maintenance),
                Arc::clone(&canceller),
                Arc::clone(&self.events),
                self.requires_authentication,
            )),
            canceller,
            status: self.status(),
            maintenance,
            acceptor,
            batches,
            deferrals,
            gates: Arc::clone(&self.gates),
            controls: Arc::new(self.controls()),
            events: Arc::clone(&self.events),
            quotas: Quotas::new(&self.limits),
        }
    }

    fn controls(&self) -> ServiceControls {
        ServiceControls {
            routes: Arc::clone(&self.routes),
            gates: Arc::clone(&self.gates),
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            events: Arc::clone(&self.events),
            lifecycle: Arc::clone(&self.lifecycle),
            changes: Mutex::default(),
        }
    }

    fn status(&self) -> StatusReader {
        StatusReader {
            start_time: self.clock.now(),
            store: Arc::clone(&self.store),
            routes: Arc::clone(&self.routes),
            limits: Arc::clone(&self.limits),
            clock: self.clock.clone(),
            lifecycle: Arc::clone(&self.lifecycle),
            gates: Arc::clone(&self.gates),
            certificate: ArcSwapOption::empty(),
            reload_failures: ReloadFailures::default(),
            history: Arc::new(History::default()),
        }
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor::new(
            Arc::clone(&self.routes),
            Arc::clone(&self.store),
            Arc::clone(&self.hub),
            self.reservations.clone(),
            self.clock.clone(),
            Arc::clone(&self.limits),
            Arc::clone(&self.lifecycle),
        )
        .with_tracer(self.tracer.clone())
    }

    fn batches(&self, acceptor: &Arc<Acceptor>) -> BatchAcceptor {
        BatchAcceptor {
            acceptor: Arc::clone(acceptor),
            routes: Arc::clone(&self.routes),
            store: Arc::clone(&self.store),
            hub: Arc::clone(&self.hub),
            reservations: self.reservations.clone(),
            clock: self.clock.clone(),
            limits: Arc::clone(&self.limits),
            lifecycle: Arc::clone(&self.lifecycle),
            group_wakeup: Arc::clone(&self.group_wakeup),
            tracer: self.tracer.clone(),
        }
    }

    fn completer(&self) -> Completer {
        Completer {
            completions: Arc::clone(&self.completions),
            results: Arc::clone(&self.results),
            routes: Arc::clone(&self.routes),
            hub: Arc::clone(&self.hub),
            committer: Arc::clone(&self.committer),
            limits: Arc::clone(&self.limits),
            lifecycle: Arc::clone(&self.lifecycle),
        }
    }

    fn canceller(&self) -> Canceller {
        Canceller {
            store: Arc::clone(&self.store),
            hub: Arc::clone(&self.hub),
            routes: Arc::clone(&self.routes),
            results: Arc::clone(&self.results),
            committer: Arc::clone(&self.committer),
            lifecycle: Arc::clone(&self.lifecycle),
        }
    }

    fn maintenance(&self, acceptor: &Arc<Acceptor>, deferrals: &Arc<Deferrals>) -> Maintenance {
        Maintenance {
            store: Arc::clone(&self.store),
            hub: Arc::clone(&self.hub),
            routes: Arc::clone(&self.routes),
            results: Arc::clone(&self.results),
            acceptor: Arc::clone(acceptor),
            committer: Arc::clone(&self.committer),
            deferrals: Arc::clone(deferrals),
            lifecycle: Arc::clone(&self.lifecycle),
            retrying: Retrying::default(),
        }
    }

    fn schedulers(&self, engine: &Engine) -> Arc<Schedulers> {
        let runner = Runner::new(
            Arc::clone(&engine.executor),
            Arc::clone(&self.store),
            Arc::clone(&self.committer),
            Arc::clone(&engine.deferrals),
        );
        Schedulers::new(
            Arc::clone(&self.routes),
            Arc::clone(&self.store),
            Arc::clone(&self.committer),
            Arc::new(runner),
            RunningBudget::new(self.limits.node_running_bytes),
            self.timer.clone(),
            Arc::clone(&self.lifecycle),
        )
    }

    /// Starts the background tasks, each until the node drains.
    async fn start_tasks(
        self,
        engine: &Engine,
        starts: mpsc::UnboundedReceiver<Arc<SchedulerHandle>>,
    ) -> Result<()> {
        self.schedulers(engine).start(starts).await?;
        engine.canceller.start();
        engine.operations.load().await;
        engine.controls.follow_shared();
        let Self {
            store,
            hub,
            limits,
            clock,
            lifecycle,
            gates,
            routes,
            committer,
            group_wakeup,
            ..
        } = self;
        let (kept, of_node) = (Arc::clone(&store), Arc::clone(&gates));
        retention::start(kept, clock.clone(), of_node, &lifecycle);
        unread_backups::remove(Arc::clone(&store), clock.clone(), &lifecycle);
        elsewhere::start(hub, Arc::clone(&store), clock.clone(), &lifecycle);
        failing::start(Arc::clone(&routes), &lifecycle);
        history::start(
            Arc::clone(&engine.status.history),
            Arc::clone(&routes),
            Arc::clone(&store),
            clock.clone(),
            &lifecycle,
        );
        let groups = Groups {
            store: Arc::clone(&store),
            committer: Arc::clone(&committer),
            clock: clock.clone(),
            limits,
            lifecycle: Arc::clone(&lifecycle),
            group_wakeup,
            gates: Arc::clone(&gates),
        };
        Arc::new(groups).start();
        Expiry::new(store, routes, committer, clock, gates).start(&lifecycle);
        Ok(())
    }
}

/// Refuses a clock before 1970, which no CID and no time of the contract can hold. Warns of one that is far behind the
/// newest invocation: whatever is due later waits for it.
async fn check_clock(clock: &Clock, store: &dyn Store) -> Result<()> {
    let now = clock.now();
    if now < Timestamp::UNIX_EPOCH {
        let message = format!("the clock of this machine shows {now}: set it, then start the node");
        return Err(Error::failed_precondition(reason::CLOCK_INVALID, message));
    }
    // A store that cannot be read says so to each caller.
    let newest = store.list(Filter::default(), None, 1).await.ok();
    let newest = newest.and_then(|page| page.invocations.into_iter().next());
    if let Some(newest) = newest
        && newest.request.accept_time.duration_since(now) > CLOCK_LAG
    {
        tracing::warn!(
            %now,
            newest = %newest.request.accept_time,
            "the clock of this machine is behind the newest invocation in the store: check it"
        );
    }
    Ok(())
}

fn check_states(registry: &Registry, states: &States) -> Result<()> {
    registry
        .iter()
        .try_for_each(|definition| definition.check_states(states, "node"))
}
