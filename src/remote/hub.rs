//! All workers of a node: who is connected, who serves what, which declaration is in force.
//!
//! ```text
//!  WorkerService.Serve ──▶ Session ──▶ Member ──▶ Offer (the engine's Pool of a service) ──▶ Seat ──▶ dispatch
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prost::Message as _;
use tokio::sync::mpsc;

use crate::codec::convert::duration_to_proto;
use crate::codec::proto::v1;
use crate::engine::store::StoredDeclaration;
use crate::engine::{Invoker, WorkerService};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::ServiceName;
use crate::model::token::Token;
use crate::remote::introduced::Introduced;
use crate::remote::offer::{Member, Offer};
use crate::remote::session::{Outgoing, Session};
use crate::remote::several::{Rhythm, Waiting};
use crate::remote::wire;
use crate::service::{Context, Definition};

/// Of each service this many declarations are remembered, the newest ones.
const DECLARATIONS: usize = 16;
/// How long a worker's name and its build may be, in bytes.
const NAME_BYTES: usize = 256;
/// How many services one worker may announce.
const SERVICES: usize = 10_000;

/// All workers of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Hub>);

#[derive(Debug)]
struct Hub {
    invoker: Invoker,
    table: Mutex<Table>,
    /// Held while it is found which declarations are in force, and until the engine knows.
    settling: Mutex<()>,
    /// No other worker is welcome.
    stops: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<String, Arc<Session>>,
    services: HashMap<ServiceName, Known>,
}

/// A service that was ever announced.
#[derive(Debug)]
struct Known {
    offer: Arc<Offer>,
    /// All that was declared of it.
    declared: Vec<Declared>,
    /// The declaration in force, by its hash.
    in_force: String,
}

#[derive(Clone, Debug)]
struct Declared {
    hash: String,
    definition: Arc<Definition>,
    /// When it was first seen: the newest of those that are served is in force.
    first_time: Timestamp,
}

/// A worker's stream, from the node's side.
#[derive(Debug)]
pub struct Connected {
    /// The worker.
    pub session: Arc<Session>,
    /// The number of the stream.
    pub stream: u64,
    /// What goes to it.
    pub outgoing: Waiting<Outgoing>,
    /// Is to be told of what comes from it.
    pub rhythm: Arc<Rhythm>,
}

impl Workers {
    /// Takes up what the store remembers of services that were announced.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn start(invoker: &Invoker) -> Result<Self> {
        let workers = Self(Arc::new(Hub {
            invoker: invoker.clone(),
            table: Mutex::default(),
            settling: Mutex::default(),
            stops: AtomicBool::new(false),
        }));
        let mut announced = invoker.store().declarations().await?;
        announced.sort_by_key(|announced| announced.last_time);
        let mut remembered = Vec::new();
        for announced in announced {
            // What the node itself serves by now is its own.
            let is_ours = invoker
                .service(announced.service.as_str())
                .is_ok_and(|facts| {
                    facts
                        .locations
                        .iter()
                        .any(|place| place.worker_id.is_empty())
                });
            let declared = Declared::read(&announced);
            match declared {
                Ok(declared) if !is_ours => remembered.push(declared),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(service.name = %announced.service, %error, "cannot read what a service declared");
                }
            }
        }
        workers.0.remember(remembered)?;
        let mut waiting = Vec::new();
        for service in invoker.store().services_with_pending().await? {
            // Whoever served it is not here yet, or never again: its work can be listed, cancelled, and expires.
            if invoker.service(service.as_str()).is_err() {
                let declaration = v1::ServiceDeclaration {
                    name: service.to_string(),
                    ..v1::ServiceDeclaration::default()
                };
                waiting.push(Declared::new(declaration, Timestamp::UNIX_EPOCH)?);
            }
        }
        workers.0.remember(waiting)?;
        Ok(workers)
    }

    /// Welcomes a worker: a new one, or one that comes back.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with everything that is wrong with its hello; `ALREADY_EXISTS` / `SERVICE_EXISTS` where the
    /// node itself serves one of its services; `RESOURCE_EXHAUSTED` where there are too many workers; `UNAVAILABLE` /
    /// `NODE_STOPPING`.
    pub async fn join(&self, mut hello: v1::Hello, peer: String) -> Result<Connected> {
        let introduced = Introduced::of(&hello, peer, self.0.invoker.limits());
        let (outbox, outgoing) = mpsc::channel(introduced.queue_length());
        let several = introduced.can(v1::Capability::Several);
        let outgoing = Waiting::new(outgoing, Arc::new(several.into()));
        let rhythm = Arc::new(Rhythm::default());
        let outgoing = outgoing.at_most(introduced.max_message_bytes);
        let outgoing = outgoing.to(Arc::clone(&rhythm));
        if let Some(session) = self.0.resumable(&hello.session)
            && let Some(stream) = session.connect(outbox.clone(), &hello.tokens)
        {
            self.0.ring(&session);
            return Ok(Connected {
                session,
                stream,
                outgoing,
                rhythm,
            });
        }
        let tokens = std::mem::take(&mut hello.tokens);
        let declared = self.0.declared(hello)?;
        // What is refused is not remembered.
        self.0.check(&declared)?;
        let now = self.0.invoker.now();
        let announced = declared.iter().map(|declared| declared.announced(now));
        self.0
            .invoker
            .store()
            .remember_declarations(announced.collect())
            .await?;
        let services = declared.iter().map(|one| one.definition.name().clone());
        let session = Session::new(introduced, services.collect(), self.0.invoker.clone());
        let session = Arc::new(session);
        // Its name is known before it is offered anything.
        let stream = session.connect(outbox, &tokens).unwrap_or_default();
        self.0.admit(&session, declared)?;
        tracing::info!(
            worker.id = session.id(),
            worker.name = session.name(),
            "worker connected"
        );
        Ok(Connected {
            session,
            stream,
            outgoing,
            rhythm,
        })
    }

    /// Takes a worker out that takes nothing new.
    pub fn drain(&self, session: &Session) {
        session.drain();
        self.0.settle(session);
    }

    /// A stream has ended. Where `resumable`, a worker that can come back has the lease to do so.
    pub fn left(&self, session: &Arc<Session>, stream: u64, resumable: bool) {
        if !session.disconnect(stream) {
            return;
        }
        if !(resumable && session.can_resume()) {
            return self.end(session, None);
        }
        self.0.ring(session);
        let (workers, session) = (self.clone(), Arc::clone(session));
        let lease = self.0.invoker.limits().worker_lease;
        let closing = self.0.invoker.closing().clone();
        self.0.invoker.tasks().spawn("lease", async move {
            tokio::select! {
                () = tokio::time::sleep(lease) => {}
                () = closing.cancelled() => {}
            }
            if session.is_away_since(stream) {
                workers.end(&session, None);
            }
        });
    }

    /// Ends a worker: its dispatches are lost, its tokens void.
    pub fn end(&self, session: &Arc<Session>, why: Option<Error>) {
        if let Some(error) = &why {
            tracing::warn!(worker.id = session.id(), worker.name = session.name(), %error, "worker ended");
        } else {
            tracing::info!(
                worker.id = session.id(),
                worker.name = session.name(),
                "worker left"
            );
        }
        self.0.table().sessions.remove(session.id());
        for service in session.services() {
            if let Some(known) = self.0.table().services.get(service) {
                known.offer.leave(session);
            }
        }
        session.end(why);
        self.0.settle(session);
    }

    /// Takes no other worker: those that are here are told by [`drain_all`](Self::drain_all).
    pub fn take_no_more(&self) {
        // Whoever is being admitted is here, or is refused.
        let _settling = self.0.settling();
        self.0.stops.store(true, Ordering::Release);
    }

    /// Tells all workers that the node stops.
    pub fn drain_all(&self, grace: std::time::Duration) {
        let sessions: Vec<_> = self.0.table().sessions.values().cloned().collect();
        for session in sessions {
            let drain = v1::NodeDrain {
                grace: Some(duration_to_proto(grace)),
            };
            session.send(v1::serve_response::Message::Drain(drain));
        }
    }

    /// The connected workers, by name.
    #[must_use]
    pub fn list(&self) -> Vec<v1::Worker> {
        let sessions: Vec<_> = self.0.table().sessions.values().cloned().collect();
        let mut workers: Vec<_> = sessions.iter().map(|session| session.to_proto()).collect();
        workers.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        workers
    }

    /// The context of a dispatch that some worker has, for what it invokes in turn.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` where it has ended, or never was.
    pub fn context(&self, token: &str) -> Result<Context> {
        let found = Token::parse(token).and_then(|token| {
            let sessions: Vec<_> = self.0.table().sessions.values().cloned().collect();
            sessions.iter().find_map(|session| session.context(token))
        });
        found.ok_or_else(|| {
            let message = "the dispatch that makes this call has ended, or never was";
            Error::failed_precondition(reason::DISPATCH_VOID, message)
        })
    }

    /// Forgets a service that nobody serves any more.
    ///
    /// # Errors
    ///
    /// As for [`Invoker::forget_service`].
    pub async fn forget(&self, service: &str) -> Result<()> {
        let name = {
            // No worker comes meanwhile.
            let _settling = self.0.settling();
            let name = self.0.invoker.forget_service(service)?;
            self.0.table().services.remove(&name);
            name
        };
        self.0
            .invoker
            .store()
            .forget_declarations(name.clone())
            .await?;
        // A worker that came since has announced it before it was forgotten.
        let again = self
            .0
            .table()
            .services
            .get(&name)
            .map(|known| known.declared.clone());
        if let Some(declared) = again {
            let now = self.0.invoker.now();
            let announced = declared.iter().map(|declared| declared.announced(now));
            self.0
                .invoker
                .store()
                .remember_declarations(announced.collect())
                .await?;
        }
        Ok(())
    }
}

impl Hub {
    fn settling(&self) -> MutexGuard<'_, ()> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Insertions and removals of whole entries.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resumable(&self, secret: &str) -> Option<Arc<Session>> {
        let secret = Token::parse(secret)?;
        let table = self.table();
        let mut sessions = table.sessions.values();
        sessions
            .find(|session| session.can_resume() && session.secret() == secret)
            .cloned()
    }

    /// Reads what a worker declares: all that is wrong with it at once.
    fn declared(&self, hello: v1::Hello) -> Result<Vec<Declared>> {
        let (mut violations, mut declared) = (Vec::new(), Vec::new());
        for (at, text) in [("/name", &hello.name), ("/build_id", &hello.build_id)] {
            if text.len() > NAME_BYTES {
                let message = format!("has {NAME_BYTES} bytes at most");
                violations.push(Violation::new(at, "TOO_LONG", message));
            }
        }
        let services = hello.services;
        if services.is_empty() || services.len() > SERVICES {
            let message = format!("are 1 to {SERVICES}");
            violations.push(Violation::new("/services", "OUT_OF_RANGE", message));
        }
        let mut names = HashSet::new();
        for (index, service) in services.into_iter().take(SERVICES).enumerate() {
            let at = index.to_string();
            let at = |fault: Violation| fault.under(&at).under("services");
            if !names.insert(service.name.clone()) {
                let message = format!("`{}` is announced twice", service.name);
                violations.push(at(Violation::new("/name", "DUPLICATE", message)));
                continue;
            }
            match Declared::new(service, self.invoker.now()) {
                Ok(one) => declared.push(one),
                Err(error) if error.field_violations().is_empty() => {
                    violations.push(at(Violation::new("/name", "INVALID", error.message())));
                }
                Err(error) => {
                    let faults = error.field_violations().iter().cloned();
                    violations.extend(faults.map(|fault| at(fault.under("sio"))));
                }
            }
        }
        if !violations.is_empty() {
            return Err(Error::violations(reason::DECLARATION_INVALID, violations));
        }
        Ok(declared)
    }

    /// Whether a worker that serves this is welcome.
    fn check(&self, declared: &[Declared]) -> Result<()> {
        if self.stops.load(Ordering::Acquire) {
            // Whoever looks for a node finds the next one.
            let message = "the node is stopping: say hello to another one";
            return Err(Error::unavailable(reason::NODE_STOPPING, message));
        }
        if self.table().sessions.len() >= self.invoker.limits().workers {
            let limit = self.invoker.limits().workers;
            let message = format!("{limit} workers are connected already");
            return Err(Error::resource_exhausted(reason::STREAM_LIMIT, message)
                .with_info("workers", limit));
        }
        let limit = self.invoker.limits().services;
        let (new, known) = {
            let services = &self.table().services;
            let is_new = |one: &&Declared| !services.contains_key(one.definition.name());
            (declared.iter().filter(is_new).count(), services.len())
        };
        if new > 0 && known + new > limit {
            let message = format!("{known} services are remembered, and {new} more are too many");
            return Err(Error::resource_exhausted(reason::SERVICE_LIMIT, message)
                .with_info("services", limit));
        }
        for one in declared {
            if self
                .invoker
                .is_served_locally(one.definition.name().as_str())
            {
                let message = format!("`{}` is served by the node itself", one.definition.name());
                return Err(Error::already_exists(reason::SERVICE_EXISTS, message));
            }
        }
        Ok(())
    }

    fn admit(&self, session: &Arc<Session>, declared: Vec<Declared>) -> Result<()> {
        let _settling = self.settling();
        // Once more: others may have come while it was written down.
        self.check(&declared)?;
        let id = session.id().to_owned();
        self.table().sessions.insert(id, Arc::clone(session));
        for one in declared {
            let (offer, definition) = self.know(one);
            offer.join(&Arc::new(Member {
                session: Arc::clone(session),
                definition,
                running: Arc::default(),
                since: self.invoker.now(),
            }));
        }
        self.put_in_force(session);
        Ok(())
    }

    /// Knows a service, and this declaration of it: all who declare the same have one definition.
    fn know(&self, declared: Declared) -> (Arc<Offer>, Arc<Definition>) {
        let name = declared.definition.name().clone();
        let mut table = self.table();
        let known = table.services.entry(name.clone()).or_insert_with(|| Known {
            offer: Arc::new(Offer::new(name)),
            declared: Vec::new(),
            in_force: String::new(),
        });
        let offer = Arc::clone(&known.offer);
        let mut same = known.declared.iter();
        if let Some(same) = same.find(|one| one.hash == declared.hash) {
            return (offer, Arc::clone(&same.definition));
        }
        let definition = Arc::clone(&declared.definition);
        known.declared.push(declared);
        // What a worker that is connected declares stays, however old it is.
        let in_use = offer.definitions();
        let is_old = |one: &Declared| !in_use.iter().any(|it| Arc::ptr_eq(it, &one.definition));
        if let Some((_, before)) = known.declared.split_last()
            && before.len() >= DECLARATIONS
            && let Some(oldest) = before.iter().position(is_old)
        {
            known.declared.remove(oldest);
        }
        (offer, definition)
    }

    /// Services that nobody serves yet, as they were last served.
    fn remember(&self, declared: Vec<Declared>) -> Result<()> {
        let forced = declared.into_iter().map(|declared| {
            let hash = declared.hash.clone();
            let (offer, definition) = self.know(declared);
            self.force(offer, hash, definition)
        });
        let forced: Vec<_> = forced.collect();
        self.invoker.upsert_worker_routes(&forced)
    }

    /// Puts a declaration in force, as soon as the engine is told of it.
    fn force(&self, offer: Arc<Offer>, hash: String, definition: Arc<Definition>) -> WorkerService {
        if let Some(known) = self.table().services.get_mut(offer.service()) {
            known.in_force = hash;
        }
        let pool = offer;
        WorkerService { definition, pool }
    }

    /// After a worker came, left or changed its mind: the newest declaration that is served is in force.
    fn settle(&self, session: &Session) {
        let _settling = self.settling();
        self.put_in_force(session);
    }

    fn put_in_force(&self, session: &Session) {
        let mut forced = Vec::new();
        for service in session.services() {
            let found = {
                let table = self.table();
                table.services.get(service).map(|known| {
                    let offer = Arc::clone(&known.offer);
                    (offer, newest(known), known.in_force.clone())
                })
            };
            let Some((offer, newest, in_force)) = found else {
                continue;
            };
            offer.ring();
            if let Some(newest) = newest.filter(|newest| newest.hash != in_force) {
                forced.push(self.force(offer, newest.hash, newest.definition));
            }
        }
        // What changes the table has the catalog of typed methods made anew.
        if forced.is_empty() {
            self.invoker.notify_service_changes();
        } else if let Err(error) = self.invoker.upsert_worker_routes(&forced) {
            tracing::error!(worker.id = session.id(), %error, "cannot serve a worker's services");
        }
        for service in session.services() {
            self.invoker.retry_deferred(service);
        }
    }

    fn ring(&self, session: &Session) {
        let table = self.table();
        for service in session.services() {
            if let Some(known) = table.services.get(service) {
                known.offer.ring();
            }
        }
        drop(table);
        self.invoker.notify_service_changes();
    }
}

/// The newest declaration among those that are served now.
fn newest(known: &Known) -> Option<Declared> {
    let members = known.offer.members();
    let served: HashSet<_> = members
        .iter()
        .filter(|member| !member.session.is_draining())
        .map(|member| Arc::as_ptr(&member.definition))
        .collect();
    let declared = known.declared.iter();
    declared
        .filter(|one| served.contains(&Arc::as_ptr(&one.definition)))
        .max_by_key(|one| one.first_time)
        .cloned()
}

/// Names a declaration: whoever declares the same has the same.
fn hash(definition: &Definition) -> String {
    wire::declaration_hash(&wire::declaration_to_proto(definition))
}

impl Declared {
    fn new(declaration: v1::ServiceDeclaration, first_time: Timestamp) -> Result<Self> {
        let definition = wire::declaration_from_proto(declaration)?;
        Ok(Self {
            hash: hash(&definition),
            definition: Arc::new(definition),
            first_time,
        })
    }

    fn read(announced: &StoredDeclaration) -> Result<Self> {
        let declaration = v1::ServiceDeclaration::decode(&*announced.declaration);
        let declaration = declaration.map_err(|error| {
            let message = "the store holds a declaration that cannot be read";
            Error::internal(reason::STORE_DAMAGED, message).with_source(error)
        })?;
        Self::new(declaration, announced.first_time)
    }

    fn announced(&self, now: Timestamp) -> StoredDeclaration {
        let declaration = wire::declaration_to_proto(&self.definition);
        StoredDeclaration {
            service: self.definition.name().clone(),
            hash: self.hash.clone(),
            first_time: now,
            last_time: now,
            declaration: declaration.encode_to_vec(),
        }
    }
}
