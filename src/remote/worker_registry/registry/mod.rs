//! The registry of the workers of a node: sessions by id, and the services that they announced.

mod admission;
mod overview;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::declarations::{Declaration, ServiceTable};
use super::dispatch_table::DispatchIndex;
use super::hello::{self, MAX_SERVICES};
use super::member::PoolMember;
use super::session::WorkerSession;
use super::worker_info::WorkerInfo;
use crate::codec::convert::duration_to_proto;
use crate::codec::proto::v1;
use crate::engine::Invoker;
use crate::model::access::Caller;
use crate::model::error::{Error, Result, reason};
use crate::model::token::Token;
use crate::remote::protocol::batching::{Batcher, FlowControl};
use crate::remote::protocol::messages::Outbound;
use crate::service::Context;

/// The registry of the workers of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct WorkerRegistry(Arc<RegistryInner>);

#[derive(Debug)]
struct RegistryInner {
    invoker: Invoker,
    table: Mutex<RegistryTable>,
    /// The dispatches of all sessions, by token.
    dispatches: Arc<DispatchIndex>,
    /// Held while the declarations in force are updated, until the engine has them.
    update: Mutex<()>,
    /// No new worker is admitted.
    is_stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct RegistryTable {
    sessions: HashMap<String, Arc<WorkerSession>>,
    services: ServiceTable,
}

/// A stream of a worker.
#[derive(Debug)]
pub(crate) struct RegisteredStream {
    /// The session of the worker.
    pub(crate) session: Arc<WorkerSession>,
    /// The number of the stream within the session.
    pub(crate) number: u64,
    /// The messages to the worker.
    pub(crate) outbound: Batcher<Outbound>,
    /// Records the messages of the worker as answers.
    pub(crate) flow_control: Arc<FlowControl>,
}

impl WorkerRegistry {
    /// Creates the registry with the services that the store remembers.
    ///
    /// # Errors
    ///
    /// An error of the store.
    pub(crate) async fn start(invoker: &Invoker) -> Result<Self> {
        let registry = Self(Arc::new(RegistryInner {
            invoker: invoker.clone(),
            table: Mutex::default(),
            dispatches: Arc::default(),
            update: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        }));
        let mut stored = invoker.store().declarations().await?;
        stored.sort_by_key(|stored| stored.last_time);
        let (mut declarations, mut seen) = (Vec::new(), Vec::new());
        for stored in stored {
            // A service that the node itself serves now is not one of workers.
            let is_local = invoker.is_local(stored.service.as_str());
            match Declaration::from_stored(&stored) {
                Ok(declaration) if !is_local => {
                    seen.push((stored.service, stored.last_time));
                    declarations.push(declaration);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(
                        service.name = %stored.service,
                        %error,
                        "cannot read a stored declaration"
                    );
                }
            }
        }
        registry.0.restore(declarations)?;
        for (service, time) in seen {
            if let Some(pool) = registry.0.table().services.pool(&service) {
                pool.set_last_served(time);
            }
        }
        let mut undeclared = Vec::new();
        for service in invoker.store().services_with_pending().await? {
            // No worker may ever serve it again. Its invocations can be listed and cancelled, and they expire.
            if invoker.definition(service.as_str()).is_err() {
                let declaration = v1::ServiceDeclaration {
                    name: service.to_string(),
                    ..v1::ServiceDeclaration::default()
                };
                undeclared.push(Declaration::new(declaration, Timestamp::UNIX_EPOCH)?);
            }
        }
        registry.0.restore(undeclared)?;
        Ok(registry)
    }

    /// Registers a worker, or resumes its session.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with all violations of its hello, or `RESUME_MISMATCH` where it is not that of the session
    /// that it resumes; `ALREADY_EXISTS` / `SERVICE_EXISTS` where the node itself
    /// serves one of its services; `RESOURCE_EXHAUSTED` where there are too many workers; `UNAVAILABLE` /
    /// `NODE_STOPPING`; `PERMISSION_DENIED` / `NOT_PERMITTED` with all services that its caller may not serve.
    pub(crate) async fn register(
        &self,
        mut hello: v1::Hello,
        peer: String,
        caller: &Caller,
    ) -> Result<RegisteredStream> {
        let inner = &self.0;
        let services = hello.services.iter();
        let services = services.map(|service| service.name.as_str());
        let on_behalf = inner.invoker.on_behalf_of(caller.clone());
        on_behalf.check_serve(services.take(MAX_SERVICES))?;
        let declarations = hello::validate(&mut hello, inner.invoker.now())?;
        let declared_by = |it: Declaration| it.with_principal(caller.principal().cloned());
        let declarations: Vec<_> = declarations.into_iter().map(declared_by).collect();
        let info = WorkerInfo::from_hello(&hello, peer, inner.invoker.limits());
        let (outbox, receiver) = mpsc::channel(info.queue_length());
        let takes_batches = info.has(v1::Capability::Batching);
        let flow_control = Arc::new(FlowControl::default());
        let outbound = Batcher::new(receiver, Arc::new(takes_batches.into()))
            .with_max_message_bytes(info.max_message_bytes)
            .with_flow_control(Arc::clone(&flow_control));
        let declared: Vec<_> = declarations.iter().map(Declaration::key).collect();
        if let Some(session) = inner.resumable(&hello.session, caller) {
            let before = (session.info(), session.declared());
            hello::check_resume(before, (&info, &declared))?;
            session.set_caller(caller.clone());
            if let Some(number) = session.connect(outbox.clone(), &hello.tokens) {
                self.notify(&session);
                return Ok(RegisteredStream {
                    session,
                    number,
                    outbound,
                    flow_control,
                });
            }
        }
        // Checked before the declarations are stored, and again when the worker is admitted.
        inner.check_admission(&declarations, caller)?;
        inner.store_declarations(&declarations).await?;
        let (invoker, index) = (inner.invoker.clone(), Arc::clone(&inner.dispatches));
        let session = Arc::new(WorkerSession::new(
            info,
            caller.clone(),
            declared,
            invoker,
            index,
        ));
        // Before it is admitted: the welcome is sent before the first dispatch.
        let number = session.connect(outbox, &hello.tokens).unwrap_or_default();
        inner.admit(&session, declarations)?;
        tracing::info!(
            worker.id = session.id(),
            worker.name = session.name(),
            "worker connected"
        );
        Ok(RegisteredStream {
            session,
            number,
            outbound,
            flow_control,
        })
    }

    /// Drains a worker: it gets no new dispatches.
    pub(crate) fn drain(&self, session: &WorkerSession) {
        if session.drain() {
            let events = self.0.invoker.event_bus();
            events.worker_draining(|| session.status());
        }
        self.0.update_in_force(session);
    }

    /// Ends the session of a worker, and its stream with `error`: its dispatches are lost, and its tokens are void.
    pub(crate) fn end(&self, session: &WorkerSession, error: &Error) {
        let lost_dispatches = self.remove(session, Some(error), || error.message().to_owned());
        let (id, name) = (session.id(), session.name());
        tracing::warn!(worker.id = id, worker.name = name, lost_dispatches, %error, "worker ended");
    }

    /// Ends the session of a worker whose stream ended, and that does not resume.
    pub(super) fn leave(&self, session: &WorkerSession) {
        let (id, name) = (session.id(), session.name());
        match self.remove(session, None, || "it left".to_owned()) {
            0 => tracing::info!(worker.id = id, worker.name = name, "worker disconnected"),
            lost_dispatches => tracing::warn!(
                worker.id = id,
                worker.name = name,
                lost_dispatches,
                "worker disconnected in the middle of calls: they are lost"
            ),
        }
    }

    /// Ends the session of a worker that did not resume it within its lease.
    pub(super) fn expire(&self, session: &WorkerSession) {
        let lease = self.0.invoker.limits().worker_lease;
        let why = || format!("it did not reconnect within its lease of {lease:?}");
        let lost_dispatches = self.remove(session, None, why);
        tracing::warn!(
            worker.id = session.id(),
            worker.name = session.name(),
            lost_dispatches,
            "worker did not reconnect within its lease: its calls are lost"
        );
    }

    /// Removes a worker, and ends its session. Returns the number of dispatches that are lost.
    fn remove(
        &self,
        session: &WorkerSession,
        error: Option<&Error>,
        why: impl FnOnce() -> String,
    ) -> usize {
        self.0.table().sessions.remove(session.id());
        for service in session.services() {
            if let Some(pool) = self.0.table().services.pool(service) {
                pool.leave(session);
            }
        }
        let lost = session.end(error);
        let events = self.0.invoker.event_bus();
        let why = || match lost {
            0 => why(),
            1 => why() + "; 1 of its dispatches is lost",
            _ => why() + &format!("; {lost} of its dispatches are lost"),
        };
        events.worker_disconnected(|| session.status(), why);
        self.0.update_in_force(session);
        lost
    }

    /// Admits no new workers. [`announce_stop`](Self::announce_stop) notifies connected workers.
    pub(crate) fn stop_admission(&self) {
        // A worker that is being admitted is in the table before this returns, or is refused.
        let _update = self.0.update();
        self.0.is_stopping.store(true, Ordering::Release);
    }

    /// Sends `NodeDrain` to all workers: the node stops, and they connect to another one.
    pub(crate) fn announce_stop(&self, grace: Duration) {
        for session in self.0.sessions() {
            let drain = v1::NodeDrain {
                grace: Some(duration_to_proto(grace)),
            };
            session.send(v1::serve_response::Message::Drain(drain));
        }
    }

    /// Finds the context of a dispatch, for the nested calls of its handler. Its token is only valid for the principal
    /// of its worker.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` where the dispatch has ended, is of another principal, or never existed.
    pub(crate) fn context(&self, token: &str, caller: &Caller) -> Result<Context> {
        let context = self.dispatch(token);
        let is_own = |context: &Context| {
            !self.0.invoker.requires_authentication()
                || context.platform().acting_principal().as_ref() == caller.principal()
        };
        context.filter(is_own).ok_or_else(|| {
            let message = "the dispatch that makes this call has ended, or never existed";
            Error::failed_precondition(reason::DISPATCH_VOID, message)
        })
    }

    /// The context of a dispatch, for each holder of its token.
    pub(crate) fn dispatch(&self, token: &str) -> Option<Context> {
        Token::parse(token).and_then(|token| self.0.dispatches.find(token))
    }

    /// Waits until the token of a dispatch is void: the worker has answered it, or its outcome is no longer needed.
    pub(crate) async fn token_void(&self, token: &str) {
        if let Some(token) = Token::parse(token) {
            self.0.dispatches.void(token).await;
        }
    }

    /// Removes a service that no worker serves any more, and whether it was paused or disabled: also one that was
    /// announced before the last start alone, and is still paused or disabled. `principal`: who does it, as far as the
    /// node knows.
    ///
    /// # Errors
    ///
    /// As for [`Invoker::check_forgettable`]; the errors of the store.
    ///
    /// # Cancel safety
    ///
    /// What has begun is finished all the same.
    pub(crate) async fn forget_service(&self, service: &str, principal: String) -> Result<()> {
        let (inner, service) = (Arc::clone(&self.0), service.to_owned());
        let forget = async move { inner.forget_service(&service, &principal).await };
        let tasks = self.0.invoker.tasks();
        tasks.run_to_completion("forget service", forget).await
    }

    /// Wakes the tasks that wait for workers of the session's services.
    pub(super) fn notify(&self, session: &WorkerSession) {
        let table = self.0.table();
        for service in session.services() {
            if let Some(pool) = table.services.pool(service) {
                pool.notify();
            }
        }
        drop(table);
        self.0.note_served(session);
        self.0.invoker.notify_service_changes();
        if !session.is_away() {
            for service in session.services() {
                self.0.invoker.retry_deferred(service);
            }
        }
    }
}

impl RegistryInner {
    fn update(&self) -> MutexGuard<'_, ()> {
        self.update.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores declarations, all of them in one commit.
    async fn store_declarations(&self, declarations: &[Declaration]) -> Result<()> {
        if declarations.is_empty() {
            return Ok(());
        }
        let now = self.invoker.now();
        let stored = declarations.iter().map(|it| it.to_stored(now));
        let store = self.invoker.store();
        store.remember_declarations(stored.collect()).await
    }

    /// Forgets a service in the store, then here: a store that fails leaves it as it was.
    async fn forget_service(&self, service: &str, principal: &str) -> Result<()> {
        // A service that is paused just now is either known to the pause, or no longer.
        let _controls = self.invoker.lock_service_controls().await;
        let name = self.invoker.check_forgettable(service)?;
        let store = self.invoker.store();
        store.forget_declarations(name.clone()).await?;
        let forgotten = {
            // No worker is admitted meanwhile.
            let _update = self.update();
            let forgotten = self.invoker.forget_service(name.as_str());
            if forgotten.is_ok() {
                self.table().services.remove(&name);
            }
            forgotten
        };
        if let Err(used) = forgotten {
            // A worker was admitted, or an invocation accepted, after the check: all of it is remembered again.
            let declarations = self.table().services.declarations(&name);
            self.store_declarations(&declarations).await?;
            let mut controls = self.invoker.service_controls().into_iter();
            if let Some(control) = controls.find(|control| control.service == name) {
                store.set_control(Arc::unwrap_or_clone(control)).await?;
            }
            return Err(used);
        }
        self.invoker.event_bus().service_forgotten(&name, principal);
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, RegistryTable> {
        // Every change is an insertion or removal of a whole entry.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> Vec<Arc<WorkerSession>> {
        self.table().sessions.values().cloned().collect()
    }

    /// The session with a secret, if it is of the same principal: to another one it is unknown.
    fn resumable(&self, secret: &str, caller: &Caller) -> Option<Arc<WorkerSession>> {
        let secret = Token::parse(secret)?;
        let table = self.table();
        let mut sessions = table.sessions.values();
        sessions
            .find(|session| {
                session.can_resume()
                    && session.secret() == secret
                    && session.caller().principal() == caller.principal()
            })
            .cloned()
    }

    fn admit(&self, session: &Arc<WorkerSession>, declarations: Vec<Declaration>) -> Result<()> {
        let _update = self.update();
        // Other workers may have been admitted while the declarations were stored.
        self.check_admission(&declarations, &session.caller())?;
        let id = session.id().to_owned();
        self.table().sessions.insert(id, Arc::clone(session));
        for declaration in declarations {
            let is_local = self
                .invoker
                .is_local(declaration.definition.name().as_str());
            let (pool, definition) = self.table().services.add(declaration);
            if is_local {
                pool.set_served_by_node();
            }
            let now = self.invoker.now();
            let member = PoolMember::new(Arc::clone(session), definition, now);
            pool.join(&Arc::new(member));
        }
        let events = self.invoker.event_bus();
        events.worker_connected(|| session.status());
        self.put_in_force(session);
        Ok(())
    }

    /// Adds declarations of services that no worker serves yet, and puts them in force.
    fn restore(&self, declarations: Vec<Declaration>) -> Result<()> {
        let services: Vec<_> = {
            let mut table = self.table();
            let services = &mut table.services;
            let in_force = declarations.into_iter();
            in_force.map(|it| services.add_in_force(it)).collect()
        };
        self.invoker.upsert_worker_routes(&services)
    }

    /// Updates the declarations in force of a session's services, after the worker joined, left, or started to drain.
    fn update_in_force(&self, session: &WorkerSession) {
        let _update = self.update();
        self.put_in_force(session);
    }

    /// As [`update_in_force`](Self::update_in_force), with the lock held.
    fn put_in_force(&self, session: &WorkerSession) {
        let mut changed = Vec::new();
        for service in session.services() {
            let mut table = self.table();
            let Some(pool) = table.services.pool(service) else {
                continue;
            };
            pool.notify();
            if pool.is_empty() && self.invoker.restore_demo(service) {
                self.note_pool(pool, true);
                table.services.remove(service);
                continue;
            }
            changed.extend(table.services.update_in_force(service));
        }
        // New routes rebuild the catalog of typed methods by themselves.
        if changed.is_empty() {
            self.invoker.notify_service_changes();
        } else if let Err(error) = self.invoker.upsert_worker_routes(&changed) {
            tracing::error!(worker.id = session.id(), %error, "cannot serve a worker's services");
        }
        self.note_served(session);
        for service in session.services() {
            self.invoker.retry_deferred(service);
        }
    }
}

#[cfg(test)]
mod tests;
