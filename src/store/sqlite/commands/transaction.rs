//! A transaction of the writer: the commands in it share statements, the ids of services and the counts per service.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Params, Transaction, params};

use crate::model::id::ServiceName;

/// The ids of services, which are the keys of their rows.
pub(in crate::store::sqlite) type ServiceIds = HashMap<ServiceName, i64>;

/// A transaction under way.
pub(in crate::store::sqlite) struct Tx<'a> {
    transaction: &'a Transaction<'a>,
    services: &'a ServiceIds,
    /// Services that had no row before. They are known to later transactions once this one is committed.
    new_services: ServiceIds,
    /// By how much the number of open invocations of each service changes.
    open_changes: HashMap<i64, i64>,
    /// The generation of the store.
    pub(super) generation: u32,
    /// Whether there is room for new work.
    pub(super) has_room: bool,
}

impl<'a> Tx<'a> {
    pub(in crate::store::sqlite) fn new(
        transaction: &'a Transaction<'a>,
        services: &'a ServiceIds,
        generation: u32,
        has_room: bool,
    ) -> Self {
        Self {
            transaction,
            services,
            new_services: ServiceIds::new(),
            open_changes: HashMap::new(),
            generation,
            has_room,
        }
    }

    /// Writes the counts of open invocations, and returns the services that are new.
    pub(in crate::store::sqlite) fn finish(self) -> rusqlite::Result<ServiceIds> {
        for (service, change) in &self.open_changes {
            let update = "UPDATE service SET open = open + ?2 WHERE id = ?1";
            self.execute(update, params![service, change])?;
        }
        Ok(self.new_services)
    }

    pub(super) fn connection(&self) -> &rusqlite::Connection {
        self.transaction
    }

    pub(super) fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.transaction.prepare_cached(sql)
    }

    /// Executes a statement, and returns how many rows it changed.
    pub(super) fn execute(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
        self.prepare(sql)?.execute(values)
    }

    /// The id of a service, which gets a row if it has none.
    pub(super) fn service_id(&mut self, name: &ServiceName) -> rusqlite::Result<i64> {
        let known = self.services.get(name);
        if let Some(id) = known.or_else(|| self.new_services.get(name)) {
            return Ok(*id);
        }
        let insert = "INSERT INTO service (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
        self.execute(insert, [name.as_str()])?;
        let mut select = self.prepare("SELECT id FROM service WHERE name = ?1")?;
        let id = select.query_row([name.as_str()], |row| row.get(0))?;
        drop(select);
        self.new_services.insert(name.clone(), id);
        Ok(id)
    }

    /// Changes the number of open invocations of a service.
    pub(super) fn count_open(&mut self, service: i64, change: i64) {
        *self.open_changes.entry(service).or_default() += change;
    }
}
