//! Services that workers serve: which declaration is in force, who takes which input, what follows where one is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::Invoker;
use crate::engine::attempt::Attempt;
use crate::engine::dispatch::Dispatch;
use crate::engine::gate::Permits;
use crate::engine::invoke::{Order, enter};
use crate::engine::pool::WorkerService;
use crate::engine::routes::{Place, Route};
use crate::engine::settle::over;
use crate::engine::slot::Slot;
use crate::engine::store::Stored;
use crate::engine::wanted::with_ignored;
use crate::engine::watched::{Bounds, Watched};
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::model::payload::{Payload, Reply};
use crate::service::{Admitted, Definition, DispatchStatus, WorkerPermit};

/// How long background work waits for a seat at a worker that takes it, while others would not.
const FIT_PATIENCE: Duration = Duration::from_secs(10);

/// Leave for a handler that takes the input.
struct Fitted {
    permits: Permits,
    admitted: Admitted,
    /// Whether it took until another worker had a seat.
    waited: bool,
}

impl Invoker {
    /// Has workers serve services.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `SERVICE_EXISTS` where the node itself serves one of that name: the others are served.
    pub fn upsert_worker_routes(&self, offers: &[WorkerService]) -> Result<()> {
        let place = Place {
            limits: &self.0.limits,
            handlers: &self.0.handlers,
            now: self.0.clock.now(),
        };
        let put = self.0.routes.upsert_worker_routes(offers, &place);
        self.0.changes.send_replace(());
        // What the store holds of them may have waited for somebody to serve it.
        for offered in offers {
            if let Some(route) = self.0.routes.get(offered.definition.name().as_str()) {
                self.wake(&route);
            }
        }
        put
    }

    /// Has what no worker of a service took be looked at again: another one has come.
    pub fn retry_deferred(&self, service: &ServiceName) {
        if let Ok(route) = self.0.routes.find(service.as_str()) {
            self.take_up_put_off(&route);
        }
    }

    /// Says that where a service is served has changed.
    pub fn notify_service_changes(&self) {
        self.0.changes.send_replace(());
    }

    /// Forgets a service that nobody serves any more.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `FAILED_PRECONDITION` / `SERVICE_IN_USE` where somebody serves it, or something
    /// is pending.
    pub fn forget_service(&self, name: &str) -> Result<ServiceName> {
        let route = self.0.routes.find(name)?;
        let name = route.name();
        let message = match route.gate.pool() {
            None => format!("`{name}` is served by the node itself"),
            Some(pool) if pool.is_served() => format!("`{name}` is served: stop its workers first"),
            Some(_) if self.0.store.pending_count(name) > 0 => {
                format!("invocations of `{name}` are pending: cancel them first")
            }
            Some(_) => {
                self.0.routes.remove(name);
                route.lane.end();
                self.0.changes.send_replace(());
                return Ok(name.clone());
            }
        };
        Err(Error::failed_precondition(reason::SERVICE_IN_USE, message))
    }

    /// Admits an input by the declaration of whoever is to handle it: of the worker whose seat there is, or of another
    /// one that takes it, once that has a seat, unless `gives_up` comes first.
    ///
    /// # Errors
    ///
    /// What is wrong with the input; `UNAVAILABLE` / `NO_COMPATIBLE_WORKER` where no worker takes it;
    /// `RESOURCE_EXHAUSTED` / `QUEUE_FULL` where as many as may wait do.
    async fn fit(
        &self,
        route: &Route,
        permits: Permits,
        input: Payload,
        gives_up: impl Future<Output = Error>,
    ) -> Result<Fitted> {
        let at_once = |permits, admitted| Fitted {
            permits,
            admitted,
            waited: false,
        };
        let Some(seat) = permits.seat() else {
            let admitted = self.admit(route, input)?;
            return Ok(at_once(permits, admitted));
        };
        if let Ok(admitted) = seat.definition().admit(input.clone()) {
            return Ok(at_once(permits, admitted));
        }
        let takes = |definition: &Definition| definition.admit(input.clone()).is_ok();
        // Whoever it fits may have the seat meanwhile, and the slot.
        drop(permits);
        let permits = tokio::select! {
            biased;
            permits = route.gate.enter_where(route.name(), &takes) => permits?,
            error = gives_up => return Err(error),
        };
        let fitting = permits.and_then(|permits| Some((permits.seat()?.clone(), permits)));
        let (seat, permits) = fitting.ok_or_else(|| no_compatible_worker(route))?;
        Ok(Fitted {
            permits,
            admitted: seat.definition().admit(input)?,
            waited: true,
        })
    }

    /// The same for background work, which is put off where that takes long, and where its time is over meanwhile, or
    /// somebody cancels it.
    pub(super) async fn fit_soon(
        &self,
        route: &Route,
        permits: Permits,
        invocation: &Invocation,
    ) -> Result<(Permits, Admitted)> {
        let gives_up = async {
            tokio::select! {
                () = tokio::time::sleep(FIT_PATIENCE) => {}
                () = self.0.halting.cancelled() => {}
            }
            no_compatible_worker(route)
        };
        let request = &invocation.request;
        let fitted = self.fit(route, permits, request.input.clone(), gives_up);
        let Fitted {
            permits,
            admitted,
            waited,
        } = fitted.await.map_err(|error| match error.reason() {
            // In the store it waits without a limit.
            reason::QUEUE_FULL => no_compatible_worker(route),
            _ => error,
        })?;
        if waited && !self.is_still_wanted(request.cid).await? {
            return Err(no_compatible_worker(route));
        }
        Ok((permits, admitted))
    }

    /// Whether the time of what is pending is not over, and nobody cancels it.
    async fn is_still_wanted(&self, cid: Cid) -> Result<bool> {
        Ok(match self.0.store.get(cid).await? {
            Stored::Found(found) => over(&found, self.0.clock.now()).is_none(),
            Stored::Removed(_) | Stored::Unknown => false,
        })
    }

    /// Runs a synchronous call at a worker; at another one where it was handed back, or lost and may run twice.
    pub(super) async fn run_elsewhere(
        &self,
        route: &Arc<Route>,
        bounds: Bounds<'_>,
        order: Box<Order>,
    ) -> Result<Reply> {
        // By the declaration in force first: that is what callers are told of.
        let mut admitted = Some(self.admit(route, order.input.clone())?);
        let ignored = admitted
            .as_mut()
            .map(|first| std::mem::take(&mut first.ignored));
        let ignored = ignored.unwrap_or_default();
        let mut tries_left = self.0.limits.max_crashes;
        loop {
            let permits = enter(route, bounds).await?;
            let is_in_force =
                |seat: &Arc<dyn WorkerPermit>| Arc::ptr_eq(seat.definition(), &route.definition);
            let (permits, Admitted { input: fitting, .. }) = match admitted.take() {
                // Mostly the worker declares just that: it is not checked twice.
                Some(admitted) if permits.seat().is_some_and(is_in_force) => (permits, admitted),
                _ => {
                    let input = order.input.clone();
                    let fit = self.fit(route, permits, input, bounds.passed());
                    let fitted = Box::pin(fit).await?;
                    (fitted.permits, fitted.admitted)
                }
            };
            let Some(seat) = permits.seat().cloned() else {
                // The node has come to serve it itself.
                return Err(crate::engine::pool::no_worker(route.name()));
            };
            let definition = Arc::clone(seat.definition());
            let slot = Slot::new(Arc::clone(&route.gate), permits);
            let cancel = CancellationToken::new();
            let (dispatch, context) = Dispatch::new(
                self.clone(),
                order.facts.clone(),
                slot,
                cancel,
                order.callers.clone(),
                None,
            );
            let attempt = Attempt::new(&definition, dispatch, context, fitting);
            let outcome = Watched::new(attempt, bounds).await;
            let again = match seat.status() {
                DispatchStatus::Open => false,
                DispatchStatus::NotStarted => true,
                DispatchStatus::HandedBack | DispatchStatus::Lost => {
                    definition.service_options().idempotent
                }
            };
            if !again || outcome.is_ok() || tries_left == 0 {
                return Ok(with_ignored(outcome?, &ignored));
            }
            tries_left -= 1;
        }
    }
}

/// `UNAVAILABLE` / `NO_COMPATIBLE_WORKER`.
fn no_compatible_worker(route: &Route) -> Error {
    let message = format!("no worker of `{}` takes this input now", route.name());
    Error::unavailable(reason::NO_COMPATIBLE_WORKER, message)
}
