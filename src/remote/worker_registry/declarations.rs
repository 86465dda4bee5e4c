//! The services that workers announced, with their declarations, and which declaration of each service is in force: the
//! newest one that a worker serves.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use jiff::Timestamp;
use prost::Message as _;

use super::pool::ServicePool;
use crate::codec::convert::declaration_hash;
use crate::codec::proto::v1;
use crate::engine::WorkerService;
use crate::engine::store::StoredDeclaration;
use crate::model::access::Principal;
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::remote::protocol::declaration::{definition_from_proto, definition_to_proto};
use crate::service::Definition;

/// The most declarations of one service that are kept, newest first.
const MAX_DECLARATIONS: usize = 16;

/// A declaration of a service.
#[derive(Clone, Debug)]
pub(super) struct Declaration {
    hash: String,
    pub(super) definition: Arc<Definition>,
    /// When it was first stored. The newest one that is served is in force.
    first_time: Timestamp,
    /// The principal of the worker that declared it first, if that is known.
    principal: Option<Principal>,
}

impl Declaration {
    /// Reads a declaration that a worker stored.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with all violations.
    pub(super) fn new(declaration: v1::ServiceDeclaration, first_time: Timestamp) -> Result<Self> {
        let definition = definition_from_proto(declaration)?;
        Ok(Self {
            hash: declaration_hash(&definition_to_proto(&definition)),
            definition: Arc::new(definition),
            first_time,
            principal: None,
        })
    }

    /// A declaration by a worker of this principal.
    pub(super) fn with_principal(self, principal: Option<Principal>) -> Self {
        Self { principal, ..self }
    }

    /// Reads a stored declaration.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `STORE_DAMAGED` where it cannot be decoded.
    pub(super) fn from_stored(stored: &StoredDeclaration) -> Result<Self> {
        let declaration = v1::ServiceDeclaration::decode(&*stored.declaration);
        let declaration = declaration.map_err(|error| {
            let message = "the store holds a declaration that cannot be decoded";
            Error::internal(reason::STORE_DAMAGED, message).with_source(error)
        })?;
        let declaration = Self::new(declaration, stored.first_time)?;
        Ok(declaration.with_principal(stored.principal.clone()))
    }

    /// The name of the service, and the hash of the declaration.
    pub(super) fn key(&self) -> (ServiceName, String) {
        (self.definition.name().clone(), self.hash.clone())
    }

    /// The record of the declaration in the store.
    pub(super) fn to_stored(&self, now: Timestamp) -> StoredDeclaration {
        let declaration = definition_to_proto(&self.definition);
        StoredDeclaration {
            service: self.definition.name().clone(),
            hash: self.hash.clone(),
            first_time: self.first_time,
            last_time: now,
            declaration: declaration.encode_to_vec(),
            principal: self.principal.clone(),
        }
    }
}

/// A service that a worker announced at some time.
#[derive(Debug)]
struct DeclaredService {
    pool: Arc<ServicePool>,
    /// The principal that announced it first, if that is known.
    principal: Option<Principal>,
    declarations: Vec<Declaration>,
    /// The hash of the declaration in force.
    in_force: String,
}

impl DeclaredService {
    /// The newest declaration that a worker serves.
    fn newest_served(&self) -> Option<Declaration> {
        // The newest first: mostly it is the one that all workers serve.
        let mut declarations: Vec<_> = self.declarations.iter().collect();
        declarations.sort_by_key(|it| it.first_time);
        let mut declarations = declarations.into_iter().rev();
        declarations
            .find(|it| self.pool.serves(&it.definition, false))
            .cloned()
    }

    /// Removes the oldest declaration that no connected worker serves, where there are too many. The last one stays.
    fn evict(&mut self) {
        let is_unused = |it: &Declaration| !self.pool.serves(&it.definition, true);
        if let Some((_, before)) = self.declarations.split_last()
            && before.len() >= MAX_DECLARATIONS
            && let Some(oldest) = before.iter().position(is_unused)
        {
            self.declarations.remove(oldest);
        }
    }
}

/// The services that workers announced, by name.
#[derive(Debug, Default)]
pub(super) struct ServiceTable {
    services: HashMap<ServiceName, DeclaredService>,
    /// How many of them each principal announced first.
    counts: HashMap<Principal, usize>,
}

impl ServiceTable {
    pub(super) fn len(&self) -> usize {
        self.services.len()
    }

    /// How many services a principal announced first.
    pub(super) fn count_of(&self, principal: &Principal) -> usize {
        self.counts.get(principal).copied().unwrap_or_default()
    }

    pub(super) fn contains(&self, service: &ServiceName) -> bool {
        self.services.contains_key(service)
    }

    pub(super) fn pool(&self, service: &ServiceName) -> Option<&Arc<ServicePool>> {
        self.services.get(service).map(|service| &service.pool)
    }

    pub(super) fn declarations(&self, service: &ServiceName) -> Vec<Declaration> {
        let service = self.services.get(service);
        service.map_or_else(Vec::new, |service| service.declarations.clone())
    }

    pub(super) fn remove(&mut self, service: &ServiceName) {
        if let Some(removed) = self.services.remove(service) {
            count(&mut self.counts, None, removed.principal);
        }
    }

    /// Adds a declaration, and its service if it is new. Workers with equal declarations share one definition.
    pub(super) fn add(&mut self, declaration: Declaration) -> (Arc<ServicePool>, Arc<Definition>) {
        let name = declaration.definition.name().clone();
        let (time, principal) = (declaration.first_time, declaration.principal.clone());
        let service = match self.services.entry(name) {
            Entry::Vacant(new) => {
                let pool = Arc::new(ServicePool::new(new.key().clone(), time));
                count(&mut self.counts, principal.clone(), None);
                new.insert(DeclaredService {
                    pool,
                    principal,
                    declarations: Vec::new(),
                    in_force: String::new(),
                })
            }
            Entry::Occupied(known) => {
                let known = known.into_mut();
                // What is read from the store has any order.
                if known.pool.announced_earlier(time) {
                    let before = std::mem::replace(&mut known.principal, principal.clone());
                    count(&mut self.counts, principal, before);
                }
                known
            }
        };
        let pool = Arc::clone(&service.pool);
        let mut known = service.declarations.iter();
        if let Some(equal) = known.find(|it| it.hash == declaration.hash) {
            return (pool, Arc::clone(&equal.definition));
        }
        let definition = Arc::clone(&declaration.definition);
        service.declarations.push(declaration);
        service.evict();
        (pool, definition)
    }

    /// Adds a declaration, and puts it in force though no worker serves it.
    pub(super) fn add_in_force(&mut self, declaration: Declaration) -> WorkerService {
        let hash = declaration.hash.clone();
        let (pool, definition) = self.add(declaration);
        self.set_in_force(pool.service(), hash);
        WorkerService { definition, pool }
    }

    /// Puts the newest declaration that is served in force. Returns the service where that changes its declaration.
    pub(super) fn update_in_force(&mut self, service: &ServiceName) -> Option<WorkerService> {
        let known = self.services.get(service)?;
        let newest = known.newest_served();
        let newest = newest.filter(|newest| newest.hash != known.in_force)?;
        let pool = Arc::clone(&known.pool);
        self.set_in_force(service, newest.hash);
        Some(WorkerService {
            definition: newest.definition,
            pool,
        })
    }

    fn set_in_force(&mut self, service: &ServiceName, hash: String) {
        if let Some(service) = self.services.get_mut(service) {
            service.in_force = hash;
        }
    }
}

/// Counts a service for the principal that announced it, and no longer for another one.
fn count(
    counts: &mut HashMap<Principal, usize>,
    announced: Option<Principal>,
    before: Option<Principal>,
) {
    if let Some(principal) = announced {
        *counts.entry(principal).or_default() += 1;
    }
    if let Some(Entry::Occupied(mut counted)) = before.map(|before| counts.entry(before)) {
        *counted.get_mut() = counted.get().saturating_sub(1);
        if *counted.get() == 0 {
            counted.remove();
        }
    }
}
