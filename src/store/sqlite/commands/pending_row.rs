//! The pending row of an invocation that has not ended: found, or inserted if it is as it was accepted.

use rusqlite::{OptionalExtension as _, Row, params};

use super::index_newest::INSERT_ACCEPTED;
use super::transaction::{Found, Tx};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::store::sqlite::newest::{Newest, Place};

/// An invocation that has not ended.
pub(super) struct OpenInvocation {
    pub(super) cid: Cid,
    pub(super) id: i64,
    pub(super) service: ServiceName,
    /// It is among the newest ones.
    pub(super) newest: Option<Newest>,
    /// `None` if it is as it was accepted.
    pub(super) row: Option<PendingRow>,
}

/// The columns of a pending row that commands need.
pub(super) struct PendingRow {
    pub(super) service: i64,
    pub(super) concurrency_key: Option<String>,
    pub(super) attempts: u32,
    pub(super) cancel_requested: bool,
    /// It waits for an outcome from outside or, as a group, for its members.
    pub(super) is_waiting: bool,
    /// It is a member of a group that has not ended.
    pub(super) is_held: bool,
    /// A group: how many of its members have not ended.
    pub(super) open_members: Option<u32>,
    pub(super) events: Option<Vec<u8>>,
    pub(super) last_failure: Option<Vec<u8>>,
    service_name: String,
}

impl OpenInvocation {
    /// Finds an invocation; `None` if it is unknown or has ended. The inner error: its service has no valid name.
    pub(super) fn find(tx: &Tx<'_>, cid: Cid) -> rusqlite::Result<Option<Result<Self>>> {
        let Some(found) = tx.find(cid)? else {
            return Ok(None);
        };
        let id = found.id();
        let newest = match found {
            Found::Newest(newest) => Some(newest),
            Found::Indexed(_) => None,
        };
        let row = match newest.as_ref().map(|newest| newest.place) {
            Some(Place::Ended { .. }) => return Ok(None),
            Some(Place::Accepted { .. }) => None,
            Some(Place::Pending) | None => match PendingRow::read(tx, id)? {
                None => return Ok(None),
                row => row,
            },
        };
        let service = match (&newest, &row) {
            (Some(newest), _) => Ok(newest.service.clone()),
            (None, Some(row)) => ServiceName::from_record(&row.service_name),
            (None, None) => return Ok(None),
        };
        Ok(Some(service.map(|service| Self {
            cid,
            id,
            service,
            newest,
            row,
        })))
    }

    /// How many attempts were recorded.
    pub(super) fn attempts(&self) -> u32 {
        self.row.as_ref().map_or(0, |row| row.attempts)
    }

    /// The key of its row, if it has one.
    pub(super) fn concurrency_key(&self) -> Option<(i64, &str)> {
        let row = self.row.as_ref()?;
        Some((row.service, row.concurrency_key.as_deref()?))
    }

    pub(super) fn is_group(&self) -> bool {
        let members = self.row.as_ref().map(|row| row.open_members);
        members.flatten().is_some()
    }

    /// Inserts its pending row, if it has none.
    pub(super) fn insert_row(&self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        let Some(newest) = &self.newest else {
            return Ok(());
        };
        if let Place::Accepted { due } = newest.place {
            let service = tx.service_id(&self.service)?;
            tx.execute(
                INSERT_ACCEPTED,
                params![self.id, service, due, tx.generation],
            )?;
            tx.move_newest(self.cid, newest, Place::Pending);
        }
        Ok(())
    }
}

impl PendingRow {
    fn read(tx: &Tx<'_>, id: i64) -> rusqlite::Result<Option<Self>> {
        let select = "SELECT service, concurrency_key, attempts, cancel_requested, awaited, held, open_members,
             events, last_failure, name FROM pending JOIN service ON service.id = service WHERE pending.id = ?1";
        let mut select = tx.prepare(select)?;
        select.query_row([id], Self::of).optional()
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            service: row.get(0)?,
            concurrency_key: row.get(1)?,
            attempts: row.get(2)?,
            cancel_requested: row.get(3)?,
            is_waiting: row.get(4)?,
            is_held: row.get(5)?,
            open_members: row.get(6)?,
            events: row.get(7)?,
            last_failure: row.get(8)?,
            service_name: row.get(9)?,
        })
    }
}
