//! The ids of services in the database. They never change: each node remembers those that it has met.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::connection::Link;
use super::error::Failed;
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;

const ALL: &str = "SELECT id, name FROM service";
const INSERT: &str =
    "INSERT INTO service (name) SELECT name FROM unnest($1::text[]) AS n (name) ORDER BY name
     ON CONFLICT DO NOTHING";
const FIND: &str = "SELECT id, name FROM service WHERE name = ANY ($1::text[])";
const NAMES: &str = "SELECT id, name FROM service WHERE id = ANY ($1::integer[])";

/// The services that were met, by name and by id.
#[derive(Debug, Default)]
pub(super) struct Services(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<ServiceName, i32, RandomState>,
    names: HashMap<i32, ServiceName, RandomState>,
}

impl Services {
    /// Reads all.
    pub(super) async fn load(&self, link: &Link) -> Result<(), Failed> {
        self.add(&link.query(ALL, &[]).await?)
    }

    /// The id of a service that was met.
    pub(super) fn id(&self, service: &ServiceName) -> Result<i32, Failed> {
        self.known(service).ok_or_else(|| {
            let message = format!("the service `{service}` has no id in the store");
            Failed::Own(Error::internal(reason::STORE_FAILED, message))
        })
    }

    /// The id of a service, if it was met.
    pub(super) fn known(&self, service: &ServiceName) -> Option<i32> {
        self.lock().ids.get(service).copied()
    }

    /// The name of a service that was met.
    pub(super) fn name(&self, id: i32) -> Option<ServiceName> {
        self.lock().names.get(&id).cloned()
    }

    /// Gives ids to services that have none. In a transaction of its own: an id is never taken back.
    pub(super) async fn meet<'s>(
        &self,
        link: &Link,
        services: impl Iterator<Item = &'s ServiceName>,
    ) -> Result<(), Failed> {
        let unknown = self.unknown(services);
        if unknown.is_empty() {
            return Ok(());
        }
        link.query(INSERT, &[&unknown]).await?;
        self.add(&link.query(FIND, &[&unknown]).await?)
    }

    /// Reads the ids of services that were not met, where they have one.
    pub(super) async fn find<'s>(
        &self,
        link: &Link,
        services: impl Iterator<Item = &'s ServiceName>,
    ) -> Result<(), Failed> {
        let unknown = self.unknown(services);
        if unknown.is_empty() {
            return Ok(());
        }
        self.add(&link.query(FIND, &[&unknown]).await?)
    }

    fn unknown<'s>(&self, services: impl Iterator<Item = &'s ServiceName>) -> Vec<&'s str> {
        let known = self.lock();
        let unknown = services.filter(|service| !known.ids.contains_key(*service));
        unknown.map(ServiceName::as_str).collect()
    }

    /// Reads the names of ids that were not met.
    pub(super) async fn meet_ids(
        &self,
        link: &Link,
        ids: impl Iterator<Item = i32>,
    ) -> Result<(), Failed> {
        let unknown: Vec<_> = {
            let known = self.lock();
            ids.filter(|id| !known.names.contains_key(id)).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        self.add(&link.query(NAMES, &[&unknown]).await?)
    }

    fn add(&self, rows: &[tokio_postgres::Row]) -> Result<(), Failed> {
        let mut known = self.lock();
        for row in rows {
            let (id, name): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
            let name = ServiceName::from_record(name)?;
            known.ids.insert(name.clone(), id);
            known.names.insert(id, name);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Every change is whole after each insertion.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
