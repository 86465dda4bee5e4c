//! Finds the invocations of a service that a claim takes.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{BYTES, COLUMNS, Decoder, InvocationRow, Readable, STATE_TABLES};
use crate::engine::store::ClaimLimit;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::ledger::Claims;
use crate::store::sqlite::error::{failed, is_damage};
use crate::store::sqlite::newest::AcceptedId;

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

/// What a claim knows of a service before it reads.
pub(in crate::store::sqlite) struct Claimable<'a> {
    pub(in crate::store::sqlite) service: &'a ServiceName,
    pub(in crate::store::sqlite) claims: &'a Claims,
    /// The unclaimed invocations that are as they were accepted and not in the table of pending ones, in order.
    pub(in crate::store::sqlite) accepted: &'a [AcceptedId],
    /// The generation that was opened after the last crash.
    pub(in crate::store::sqlite) recovering: Option<u32>,
    pub(in crate::store::sqlite) cipher: &'a BlobCipher,
}

impl Claimable<'_> {
    fn decoder(&self) -> Decoder<'_> {
        Decoder {
            cipher: self.cipher,
            recovering: self.recovering,
        }
    }
}

/// Finds due invocations of a service that are not claimed, those that have been due longest first.
pub(in crate::store::sqlite) fn due(
    connection: &Connection,
    known: &Claimable<'_>,
    now: i64,
    limit: ClaimLimit,
) -> Result<Due> {
    // Rows that are skipped: claimed ones, and heads whose key is busy. One more shows whether any others are due.
    let rows = limit.invocations.saturating_add(2 * known.claims.len() + 1);
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let query = DueQuery {
        connection,
        known,
        now,
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
    known: &'a Claimable<'a>,
    now: i64,
}

impl DueQuery<'_> {
    fn read(&self, limit: i64, room: &mut Room) -> rusqlite::Result<Readable> {
        let ids = self.ids(limit, room)?;
        let select =
            format!("SELECT {COLUMNS} FROM invocation {STATE_TABLES} WHERE invocation.id = ?1");
        let mut select = self.connection.prepare_cached(&select)?;
        let mut found = Readable::default();
        for id in ids {
            if let Some(row) = select.query_row([id], InvocationRow::of).optional()? {
                found.decode(row, self.known.service.as_str(), self.known.decoder());
            }
        }
        Ok(found)
    }

    /// The ids of the invocations to claim: of the pending rows, and of those that have none, in one order.
    fn ids(&self, limit: i64, room: &mut Room) -> rusqlite::Result<Vec<i64>> {
        // The heads of the concurrency keys alone are in this index.
        let select = format!(
            "SELECT pending.id, cid, concurrency_key, {BYTES}, wake FROM pending
             CROSS JOIN invocation ON invocation.id = pending.id LEFT JOIN outcome ON outcome.id = pending.id
             WHERE pending.service = (SELECT id FROM service WHERE name = ?1)
             AND leads = 1 AND wake <= ?2 ORDER BY wake, pending.id LIMIT ?3"
        );
        let mut select = self.connection.prepare_cached(&select)?;
        let mut rows = select.query(params![self.known.service.as_str(), self.now, limit])?;
        let accepted = self.known.accepted.iter();
        let mut accepted = accepted.take_while(|one| one.due <= self.now).peekable();
        let mut ids = Vec::new();
        while let Some(row) = rows.next()?
            && !room.has_left_out
        {
            let (id, wake) = (row.get(0)?, row.get(4)?);
            while let Some(earlier) = accepted.next_if(|one| (one.due, one.id) < (wake, id)) {
                self.take_accepted(earlier.id, room, &mut ids)?;
            }
            let (cid, key): (Vec<u8>, Option<String>) = (row.get(1)?, row.get(2)?);
            let is_claimed = blob::cid(&cid).is_ok_and(|cid| self.known.claims.contains(cid));
            let is_free = !is_claimed && key.is_none_or(|key| !self.known.claims.is_busy(&key));
            let bytes = usize::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
            if is_free && room.take(bytes) {
                ids.push(id);
            }
        }
        for one in accepted {
            if room.has_left_out {
                break;
            }
            self.take_accepted(one.id, room, &mut ids)?;
        }
        Ok(ids)
    }

    /// Takes an invocation that has no pending row. In the meantime it may have got one, by which it is found, or have
    /// ended.
    fn take_accepted(&self, id: i64, room: &mut Room, ids: &mut Vec<i64>) -> rusqlite::Result<()> {
        let select = format!(
            "SELECT {BYTES} FROM invocation {STATE_TABLES} WHERE invocation.id = ?1
             AND outcome.id IS NULL AND pending.id IS NULL"
        );
        let mut select = self.connection.prepare_cached(&select)?;
        let bytes = select
            .query_row([id], |row| row.get::<_, i64>(0))
            .optional()?;
        if let Some(bytes) = bytes
            && room.take(usize::try_from(bytes).unwrap_or_default())
        {
            ids.push(id);
        }
        Ok(())
    }

    /// The same where the file is damaged: the ids are in the index alone, and each row is read on its own.
    fn read_readable(&self, limit: i64, room: &mut Room) -> rusqlite::Result<Readable> {
        let select = "SELECT id FROM pending
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND leads = 1 AND wake <= ?2 ORDER BY wake, id LIMIT ?3";
        let mut select = self.connection.prepare_cached(select)?;
        let named = params![self.known.service.as_str(), self.now, limit];
        let ids = select.query_map(named, |row| row.get(0))?;
        let accepted = self.known.accepted.iter();
        let accepted = accepted.take_while(|one| one.due <= self.now);
        let mut ids = ids.collect::<rusqlite::Result<Vec<i64>>>()?;
        // Some have got a pending row in the meantime.
        ids.extend(accepted.map(|one| one.id));
        let (mut found, mut seen) = (Readable::default(), HashSet::new());
        room.has_left_out = true;
        for id in ids {
            if !seen.insert(id) {
                continue;
            }
            let Some((row, name, key)) = found.read_row(self.connection, id)? else {
                continue;
            };
            let is_claimed = row.cid().is_some_and(|cid| self.known.claims.contains(cid));
            let is_free = !is_claimed && key.is_none_or(|key| !self.known.claims.is_busy(&key));
            if is_free && row.is_open() && room.take(row.bytes()) {
                found.decode(row, &name, self.known.decoder());
            }
            if room.is_full() {
                break;
            }
        }
        Ok(found)
    }

    /// When the next one of the service is due.
    fn next_due(&self) -> rusqlite::Result<Option<i64>> {
        let select = "SELECT min(wake) FROM pending
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND leads = 1 AND wake > ?2";
        let mut select = self.connection.prepare_cached(select)?;
        let next: Option<i64> = select
            .query_row(params![self.known.service.as_str(), self.now], |row| {
                row.get(0)
            })?;
        let accepted = self.known.accepted.iter().map(|one| one.due);
        Ok(accepted.filter(|due| *due > self.now).chain(next).min())
    }
}
