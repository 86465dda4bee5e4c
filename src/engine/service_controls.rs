//! What operators do to services and to the node: pause and resume, disable and enable, forget, resume a held node.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use crate::engine::clock::Clock;
use crate::engine::control::gate::Gate;
use crate::engine::control::gates::Gates;
use crate::engine::events::{EventBus, NodeEventKind};
use crate::engine::lifecycle::Lifecycle;
use crate::engine::routing::Routes;
use crate::engine::store::{SHARED_POLL_INTERVAL, Store};
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::service_control::{ControlCause, Disabled, Paused, ServiceControl};

/// Pauses, disables and opens services.
#[derive(Debug)]
pub(in crate::engine) struct ServiceControls {
    pub(in crate::engine) routes: Arc<Routes>,
    pub(in crate::engine) gates: Arc<Gates>,
    pub(in crate::engine) store: Arc<dyn Store>,
    pub(in crate::engine) clock: Clock,
    pub(in crate::engine) events: Arc<EventBus>,
    pub(in crate::engine) lifecycle: Arc<Lifecycle>,
    /// One change at a time: the store and the gates then have the same order.
    pub(in crate::engine) changes: Mutex<()>,
}

/// A control as it was, and as it is.
struct Changed {
    before: ServiceControl,
    after: ServiceControl,
    gate: Arc<Gate>,
}

impl ServiceControls {
    /// Pauses a service. Once this resolves, none of its attempts starts until it is resumed. A paused service can be
    /// paused again, with another cause.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; the errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A pause that has begun is in force all the same.
    pub(in crate::engine) async fn pause(
        self: &Arc<Self>,
        name: &str,
        background_only: bool,
        cause: ControlCause,
    ) -> Result<ServiceControl> {
        let now = self.clock.now();
        let of_event = cause.clone();
        let pause = move |control: &mut ServiceControl| {
            control.paused = Some(Paused {
                background_only,
                cause,
                time: now,
            });
        };
        let kind = NodeEventKind::ServicePaused;
        self.close(name, kind, of_event, pause).await
    }

    /// Disables a service, as [`pause`](Self::pause) pauses it. Once this resolves, nothing new is accepted either.
    ///
    /// # Errors
    ///
    /// As for [`pause`](Self::pause).
    ///
    /// # Cancel safety
    ///
    /// As for [`pause`](Self::pause).
    pub(in crate::engine) async fn disable(
        self: &Arc<Self>,
        name: &str,
        cause: ControlCause,
    ) -> Result<ServiceControl> {
        let now = self.clock.now();
        let of_event = cause.clone();
        let disable = move |control: &mut ServiceControl| {
            control.disabled = Some(Disabled { cause, time: now });
        };
        let kind = NodeEventKind::ServiceDisabled;
        self.close(name, kind, of_event, disable).await
    }

    /// Resumes a service; returns whether it was paused.
    ///
    /// # Errors
    ///
    /// As for [`pause`](Self::pause).
    pub(in crate::engine) async fn resume(
        self: &Arc<Self>,
        name: &str,
        principal: String,
    ) -> Result<bool> {
        let resume = |control: &mut ServiceControl| control.paused = None;
        let (kind, by) = (NodeEventKind::ServiceResumed, by(principal));
        let changed = self.change(name, kind, by, resume).await?;
        Ok(changed.before.paused.is_some())
    }

    /// Enables a service; returns whether it was disabled.
    ///
    /// # Errors
    ///
    /// As for [`pause`](Self::pause).
    pub(in crate::engine) async fn enable(
        self: &Arc<Self>,
        name: &str,
        principal: String,
    ) -> Result<bool> {
        let enable = |control: &mut ServiceControl| control.disabled = None;
        let (kind, by) = (NodeEventKind::ServiceEnabled, by(principal));
        let changed = self.change(name, kind, by, enable).await?;
        Ok(changed.before.disabled.is_some())
    }

    /// Whether a service may be forgotten; returns its name. It may be one that was announced before the last start
    /// alone, and is paused or disabled.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `FAILED_PRECONDITION` / `SERVICE_IN_USE` where it is served, or has pending
    /// invocations.
    pub(in crate::engine) fn check_forgettable(&self, name: &str) -> Result<ServiceName> {
        let name = self.find(name)?;
        let has_pending = self.store.pending_count(&name) > 0;
        let route = self.routes.get(name.as_str());
        let pool = route.as_ref().map(|route| route.limit.pool());
        let message = match pool {
            Some(None) => format!("`{name}` is served by the node itself"),
            Some(Some(pool)) if pool.is_served() || pool.locations().iter().any(|it| it.away) => {
                format!("`{name}` is served: stop its workers first")
            }
            Some(Some(_)) | None if has_pending => {
                format!("`{name}` has pending invocations: cancel them first")
            }
            Some(Some(_)) | None => return Ok(name),
        };
        Err(Error::failed_precondition(reason::SERVICE_IN_USE, message))
    }

    /// Forgets a service, which the store has forgotten.
    ///
    /// # Errors
    ///
    /// As for [`check_forgettable`](Self::check_forgettable).
    pub(in crate::engine) fn forget(&self, name: &str) -> Result<()> {
        let name = self.check_forgettable(name)?;
        let route = self.routes.get(name.as_str());
        self.routes.remove(&name);
        self.gates.remove(&name);
        if let Some(route) = route {
            route.scheduler.close();
        }
        Ok(())
    }

    /// Lets a held node start what it has accepted; returns whether it was held.
    pub(in crate::engine) fn resume_node(&self, principal: &str) -> bool {
        let was_held = self.gates.release();
        if was_held {
            for route in self.routes.all().values() {
                if self.store.is_shared() || self.store.pending_count(route.name()) > 0 {
                    route.scheduler.wake();
                }
            }
            self.routes.notify_changes();
            self.events.node_resumed(principal);
        }
        was_held
    }

    /// Follows what other nodes of a shared store pause, disable and open, until the node drains.
    pub(in crate::engine) fn follow_shared(self: &Arc<Self>) {
        if !self.store.is_shared() {
            return;
        }
        let this = Arc::clone(self);
        self.lifecycle
            .spawn_until_drain("controls of other nodes", async move {
                loop {
                    this.clock.pause(SHARED_POLL_INTERVAL).await;
                    if let Err(error) = this.read_shared().await {
                        tracing::debug!(%error, "cannot read what other nodes have paused");
                    }
                }
            });
    }

    /// Lets the controls in the store act.
    async fn read_shared(&self) -> Result<()> {
        let _one_at_a_time = self.lock().await;
        let stored = self.store.controls().await?;
        let known = self.gates.controls();
        let is_stored = |service: &ServiceName| stored.iter().any(|it| it.service == *service);
        for control in known.iter().filter(|it| !is_stored(&it.service)) {
            self.act(&control.service, None);
        }
        for control in stored {
            if !known.iter().any(|it| **it == control) {
                self.act(&control.service.clone(), Some(control));
            }
        }
        Ok(())
    }

    /// Keeps controls from being changed until the guard is dropped.
    pub(in crate::engine) async fn lock(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().await
    }

    async fn close(
        self: &Arc<Self>,
        name: &str,
        kind: NodeEventKind,
        cause: ControlCause,
        close: impl FnOnce(&mut ServiceControl) + Send + 'static,
    ) -> Result<ServiceControl> {
        let Changed { after, gate, .. } = self.change(name, kind, cause, close).await?;
        gate.settled().await;
        Ok(after)
    }

    /// Changes a control, even if the caller stops waiting meanwhile.
    async fn change(
        self: &Arc<Self>,
        name: &str,
        kind: NodeEventKind,
        cause: ControlCause,
        change: impl FnOnce(&mut ServiceControl) + Send + 'static,
    ) -> Result<Changed> {
        let (this, name) = (Arc::clone(self), name.to_owned());
        let changed = async move { this.change_now(&name, kind, &cause, change).await };
        let tasks = self.lifecycle.tasks();
        tasks.run_to_completion("service control", changed).await
    }

    async fn change_now(
        &self,
        name: &str,
        kind: NodeEventKind,
        cause: &ControlCause,
        change: impl FnOnce(&mut ServiceControl) + Send,
    ) -> Result<Changed> {
        let _one_at_a_time = self.lock().await;
        let service = self.find(name)?;
        let gate = self.gates.gate(&service);
        let before = gate.control().map(Arc::unwrap_or_clone);
        let before = before.unwrap_or_else(|| ServiceControl::none(service.clone()));
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            self.put_in_force(&service, after.clone()).await?;
            self.events.service_controlled(kind, &after, cause);
        }
        Ok(Changed {
            before,
            after,
            gate,
        })
    }

    /// Stores a control and lets it act: in this order, so that a restart undoes nothing that was answered.
    async fn put_in_force(&self, service: &ServiceName, control: ServiceControl) -> Result<()> {
        let control = Some(control).filter(ServiceControl::is_in_force);
        match &control {
            Some(control) => self.store.set_control(control.clone()).await?,
            None => self.store.remove_control(service.clone()).await?,
        }
        self.act(service, control);
        Ok(())
    }

    /// Lets a control act, as it is stored.
    fn act(&self, service: &ServiceName, control: Option<ServiceControl>) {
        self.gates.set(service, control);
        let route = self.routes.get(service.as_str());
        if let Some(route) = route.filter(|route| !route.gate.is_background_closed()) {
            route.scheduler.wake();
        }
        self.routes.notify_changes();
    }

    /// A service that is known, or that is controlled though it was not announced since the start.
    fn find(&self, name: &str) -> Result<ServiceName> {
        match self.routes.find(name) {
            Ok(route) => Ok(route.name().clone()),
            Err(unknown) => self.gates.controlled(name).ok_or(unknown),
        }
    }
}

/// The cause of what needs no reason.
fn by(principal: String) -> ControlCause {
    ControlCause {
        reason: String::new(),
        principal,
    }
}
