//! Finds the invocations of a service that a claim takes.

use rusqlite::{Connection, params};

use super::row::{COLUMNS, InvocationRow, Readable};
use crate::engine::store::ClaimLimit;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::store::ledger::Claims;
use crate::store::sqlite::blob;
use crate::store::sqlite::error::{failed, is_damage};

/// How many damaged invocations a claim skips at most, to find sound ones that have become due later.
const MAX_DAMAGED: i64 = 10_000;

/// The due invocations that a claim finds.
pub(in crate::store::sqlite) struct Due {
    pub(in crate::store::sqlite) found: Readable,
    /// How many bytes the first one has, if it has more than the limit: none is read then.
    pub(in crate::store::sqlite) too_large: Option<usize>,
    /// When the next one of the service is due, unless the limit on bytes has left out some that are due now.
    pub(in crate::store::sqlite) next_due: Option<i64>,
    /// Whether no others are due now, claimed ones and those that wait for their key aside.
    pub(in crate::store::sqlite) is_all: bool,
}

/// Finds due invocations of a service that are not claimed, those that have been due longest first.
pub(in crate::store::sqlite) fn due(
    connection: &Connection,
    service: &ServiceName,
    now: i64,
    limit: ClaimLimit,
    claims: &Claims,
    recovering: Option<u32>,
) -> Result<Due> {
    // Rows that are skipped: claimed ones, and heads whose key is busy. One more shows whether any others are due.
    let rows = limit.invocations.saturating_add(2 * claims.len() + 1);
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let query = DueQuery {
        connection,
        service,
        now,
        claims,
        recovering,
    };
    let read = || {
        let mut room = Room::new(limit);
        let found = match query.read(rows, &mut room) {
            Err(error) if is_damage(&error) => {
                room = Room::new(limit);
                query.read_readable(rows.saturating_add(MAX_DAMAGED), &mut room)
            }
            found => found,
        }?;
        let next_due = match room.is_cut {
            true => None,
            false => query.next_due()?,
        };
        Ok(Due {
            found,
            too_large: room.too_large,
            next_due,
            is_all: !room.has_left_out,
        })
    };
    read().map_err(failed)
}

/// What is left of the limit of a claim.
struct Room {
    left: ClaimLimit,
    is_empty: bool,
    /// Whether there was no room for the bytes of an invocation.
    is_cut: bool,
    /// Whether one is due for which there was no room, or that could not be read.
    has_left_out: bool,
    too_large: Option<usize>,
}

impl Room {
    fn new(limit: ClaimLimit) -> Self {
        Self {
            left: limit,
            is_empty: true,
            is_cut: false,
            has_left_out: false,
            too_large: None,
        }
    }

    fn is_full(&self) -> bool {
        self.is_cut || self.left.invocations == 0
    }

    /// Takes the room of an invocation; returns whether there was enough.
    fn take(&mut self, bytes: usize) -> bool {
        if self.is_full() {
            self.has_left_out = true;
            return false;
        }
        if bytes > self.left.bytes {
            self.has_left_out = true;
            self.too_large = self.is_empty.then_some(bytes);
            self.is_cut = true;
            return false;
        }
        self.left.bytes -= bytes;
        self.left.invocations -= 1;
        self.is_empty = false;
        true
    }
}

struct DueQuery<'a> {
    connection: &'a Connection,
    service: &'a ServiceName,
    now: i64,
    claims: &'a Claims,
    recovering: Option<u32>,
}

impl DueQuery<'_> {
    fn read(&self, limit: i64, room: &mut Room) -> rusqlite::Result<Readable> {
        // The heads of the concurrency keys alone are in this index. `length` reads the header of a row, not its blobs.
        let select = "SELECT id, cid, concurrency_key,
             length(request) + ifnull(length(events), 0) + ifnull(length(progress), 0) FROM invocation
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND state < 2 AND leads = 1 AND wake <= ?2 ORDER BY wake, id LIMIT ?3";
        let mut select = self.connection.prepare_cached(select)?;
        let mut rows = select.query(params![self.service.as_str(), self.now, limit])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()?
            && !room.has_left_out
        {
            let (cid, key): (Vec<u8>, Option<String>) = (row.get(1)?, row.get(2)?);
            let is_claimed = blob::cid(&cid).is_ok_and(|cid| self.claims.contains(cid));
            let is_free = !is_claimed && key.is_none_or(|key| !self.claims.is_busy(&key));
            let bytes = usize::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
            if is_free && room.take(bytes) {
                ids.push(row.get::<_, i64>(0)?);
            }
        }
        let select = format!("SELECT {COLUMNS} FROM invocation WHERE id = ?1");
        let mut select = self.connection.prepare_cached(&select)?;
        let mut found = Readable::default();
        for id in ids {
            let row = select.query_row([id], InvocationRow::of)?;
            found.decode(row, self.service.as_str(), self.recovering);
        }
        Ok(found)
    }

    /// The same where the file is damaged: the ids are in the index alone, and each row is read on its own.
    fn read_readable(&self, limit: i64, room: &mut Room) -> rusqlite::Result<Readable> {
        let select = "SELECT id FROM invocation
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND state < 2 AND leads = 1 AND wake <= ?2 ORDER BY wake, id LIMIT ?3";
        let mut select = self.connection.prepare_cached(select)?;
        let named = params![self.service.as_str(), self.now, limit];
        let ids = select.query_map(named, |row| row.get(0))?;
        let mut found = Readable::default();
        room.has_left_out = true;
        for id in ids {
            let Some((row, name, key)) = found.read_row(self.connection, id?)? else {
                continue;
            };
            let is_claimed = row.cid().is_some_and(|cid| self.claims.contains(cid));
            let is_free = !is_claimed && key.is_none_or(|key| !self.claims.is_busy(&key));
            if is_free && room.take(row.bytes()) {
                found.decode(row, &name, self.recovering);
            }
            if room.is_full() {
                break;
            }
        }
        Ok(found)
    }

    /// When the next one of the service is due.
    fn next_due(&self) -> rusqlite::Result<Option<i64>> {
        let select = "SELECT min(wake) FROM invocation
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND state < 2 AND leads = 1 AND wake > ?2";
        let mut select = self.connection.prepare_cached(select)?;
        select.query_row(params![self.service.as_str(), self.now], |row| row.get(0))
    }
}
