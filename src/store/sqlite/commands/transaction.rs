//! A transaction of the writer: the commands in it share statements, the ids of services, and what is known of the
//! newest invocations.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params};

use crate::model::access::Principal;
use crate::model::id::{Cid, ServiceName};
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::bookkeeping::Bookkeeping;
use crate::store::sqlite::newest::{Limits, Newest, NewestChanges, Place};
use crate::store::sqlite::queries;

/// The ids of services, which are the keys of their rows.
pub(in crate::store::sqlite) type ServiceIds = HashMap<ServiceName, i64>;

/// A transaction under way.
pub(in crate::store::sqlite) struct Tx<'a> {
    connection: &'a Connection,
    services: &'a ServiceIds,
    bookkeeping: &'a Bookkeeping,
    /// For what a command has to read, and to write again.
    pub(super) cipher: &'a BlobCipher,
    changes: TxChanges,
    /// The generation of the store.
    pub(super) generation: u32,
    /// Whether there is room for new work.
    pub(super) has_room: bool,
}

/// What a transaction changes in memory, once it is committed.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct TxChanges {
    /// Services that had no row before.
    pub(in crate::store::sqlite) services: ServiceIds,
    pub(in crate::store::sqlite) newest: NewestChanges,
    pub(in crate::store::sqlite) limits: Limits,
}

/// Where an invocation that was accepted is found.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// Among the newest ones.
    Newest(Newest),
    /// By the index, under this id. It may be gone since, if the index is damaged.
    Indexed(i64),
}

impl<'a> Tx<'a> {
    pub(in crate::store::sqlite) fn new(
        connection: &'a Connection,
        services: &'a ServiceIds,
        bookkeeping: &'a Bookkeeping,
        cipher: &'a BlobCipher,
        generation: u32,
        has_room: bool,
    ) -> Self {
        let changes = TxChanges {
            limits: bookkeeping.lock().newest.limits,
            ..TxChanges::default()
        };
        Self {
            connection,
            services,
            bookkeeping,
            cipher,
            changes,
            generation,
            has_room,
        }
    }

    pub(in crate::store::sqlite) fn finish(self) -> TxChanges {
        self.changes
    }

    pub(super) fn connection(&self) -> &Connection {
        self.connection
    }

    pub(super) fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql)
    }

    /// Executes a statement, and returns how many rows it changed.
    pub(super) fn execute(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
        self.prepare(sql)?.execute(values)
    }

    /// The id of a service, which gets a row if it has none.
    pub(super) fn service_id(&mut self, name: &ServiceName) -> rusqlite::Result<i64> {
        let known = self.services.get(name);
        if let Some(id) = known.or_else(|| self.changes.services.get(name)) {
            return Ok(*id);
        }
        let insert = "INSERT INTO service (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
        self.execute(insert, [name.as_str()])?;
        let mut select = self.prepare("SELECT id FROM service WHERE name = ?1")?;
        let id = select.query_row([name.as_str()], |row| row.get(0))?;
        drop(select);
        self.changes.services.insert(name.clone(), id);
        Ok(id)
    }

    /// The id of a principal, which gets a row if it has none. Not remembered: an issuer of tokens may have millions.
    pub(super) fn principal_id(&self, name: Option<&Principal>) -> rusqlite::Result<Option<i64>> {
        let Some(name) = name else {
            return Ok(None);
        };
        let mut select = self.prepare("SELECT id FROM principal WHERE name = ?1")?;
        let known = select.query_row([name.as_str()], |row| row.get(0));
        if let Some(id) = known.optional()? {
            return Ok(Some(id));
        }
        self.execute("INSERT INTO principal (name) VALUES (?1)", [name.as_str()])?;
        Ok(Some(self.connection.last_insert_rowid()))
    }

    /// The id of a new invocation with a CID.
    pub(super) fn next_id(&mut self, cid: Cid) -> i64 {
        let limits = &mut self.changes.limits;
        limits.cid = limits.cid.max(Some(cid));
        limits.id += 1;
        limits.id
    }

    /// The highest id that was given out.
    pub(super) fn last_id(&self) -> i64 {
        self.changes.limits.id
    }

    /// Whether a CID is higher than all that were accepted, so that neither an invocation nor a tombstone has it.
    pub(super) fn is_beyond_all(&self, cid: Cid) -> bool {
        self.changes.limits.cid.is_none_or(|highest| cid > highest)
    }

    /// Finds an invocation that was accepted and not removed.
    pub(super) fn find(&self, cid: Cid) -> rusqlite::Result<Option<Found>> {
        match self.changes.newest.get(&cid) {
            Some(Some(newest)) => return Ok(Some(Found::Newest(newest.clone()))),
            // The index has it since, or nothing does.
            Some(None) => {}
            None => {
                if let Some(newest) = self.bookkeeping.lock().newest.get(cid) {
                    return Ok(Some(Found::Newest(newest.clone())));
                }
            }
        }
        let id = queries::indexed_id(self.connection, cid).optional()?;
        Ok(id.map(Found::Indexed))
    }

    /// Adds an invocation to the newest ones, or changes where its state is.
    pub(super) fn set_newest(&mut self, cid: Cid, newest: Newest) {
        self.changes.newest.insert(cid, Some(newest));
    }

    /// Changes where the state of one of the newest invocations is.
    pub(super) fn move_newest(&mut self, cid: Cid, newest: &Newest, place: Place) {
        let newest = newest.clone();
        self.set_newest(cid, Newest { place, ..newest });
    }

    /// An invocation is not among the newest any more: the indexes contain it, or it is removed.
    pub(super) fn forget_newest(&mut self, cid: Cid) {
        self.changes.newest.insert(cid, None);
    }

    /// Forgets invocations whose insertion was rolled back.
    pub(super) fn undo_newest(&mut self, cids: impl Iterator<Item = Cid>) {
        for cid in cids {
            self.changes.newest.remove(&cid);
        }
    }

    /// How many invocations the indexes lack.
    pub(in crate::store::sqlite) fn count_newest(&self) -> usize {
        let changed = &self.changes.newest;
        let entries = self.bookkeeping.lock();
        let is_new = |cid: &Cid| entries.newest.get(*cid).is_none();
        let added = changed
            .iter()
            .filter(|(cid, one)| one.is_some() && is_new(cid));
        let removed = changed
            .iter()
            .filter(|(cid, one)| one.is_none() && !is_new(cid));
        (entries.newest.len() + added.count()).saturating_sub(removed.count())
    }

    /// The invocations that the indexes lack, in the order of acceptance.
    pub(super) fn newest(&self) -> Vec<(Cid, Newest)> {
        let changed = &self.changes.newest;
        let entries = self.bookkeeping.lock();
        let unchanged = entries
            .newest
            .iter()
            .filter(|(cid, _)| !changed.contains_key(cid))
            .map(|(cid, newest)| (cid, newest.clone()));
        let changed = changed
            .iter()
            .filter_map(|(cid, newest)| Some((*cid, newest.clone()?)));
        let mut newest: Vec<_> = unchanged.chain(changed).collect();
        drop(entries);
        newest.sort_unstable_by_key(|(_, newest)| newest.id);
        newest
    }
}
