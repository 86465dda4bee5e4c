//! What is read: by threads with connections of their own, which see what is committed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::disk;
use super::failed;
use super::work::state_of;
use crate::engine::store::{Announced, Stored, Tombstone};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{AsyncCompletion, Event, Invocation};
use crate::model::token::TokenHash;

/// The columns of an invocation, as [`Found`] reads them.
pub(super) const COLUMNS: &str =
    "cid, state, due, generation, losses, attempts, sequence, request, events, progress,
     last_failure, first_attempt_time, end_time, purge_time, cancel_requested, leads, later,
     awaited, open_members";
/// The column after them.
pub(super) const NEXT_COLUMN: usize = 19;

/// An invocation as its row has it.
pub(super) struct Found {
    cid: Vec<u8>,
    state: i64,
    due: i64,
    generation: u32,
    crash_count: u32,
    attempts: u32,
    sequence: i64,
    request: Vec<u8>,
    events: Option<Vec<u8>>,
    progress: Option<Vec<u8>>,
    last_failure: Option<Vec<u8>>,
    first_attempt_time: Option<i64>,
    end_time: Option<i64>,
    purge_time: Option<i64>,
    cancel_requested: bool,
    leads: bool,
    completion: Option<[u8; 32]>,
    awaited: bool,
    open_members: Option<u32>,
}

impl Found {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            cid: row.get(0)?,
            state: row.get(1)?,
            due: row.get(2)?,
            generation: row.get(3)?,
            crash_count: row.get(4)?,
            attempts: row.get(5)?,
            sequence: row.get(6)?,
            request: row.get(7)?,
            events: row.get(8)?,
            progress: row.get(9)?,
            last_failure: row.get(10)?,
            first_attempt_time: row.get(11)?,
            end_time: row.get(12)?,
            purge_time: row.get(13)?,
            cancel_requested: row.get(14)?,
            leads: row.get(15)?,
            completion: row.get(16)?,
            awaited: row.get(17)?,
            open_members: row.get(18)?,
        })
    }

    /// How many bytes its parts take that have no bound of their own.
    pub(super) fn bytes(&self) -> usize {
        self.request.len() + self.events.as_ref().map_or(0, Vec::len)
    }

    pub(super) fn decode(
        self,
        service: &ServiceName,
        recovering: Option<u32>,
    ) -> Result<Invocation> {
        let cid = disk::cid(&self.cid)?;
        let request = disk::decode_request(cid, service.clone(), &self.request)?;
        let sequence = u64::try_from(self.sequence).unwrap_or_default();
        let accepted = Event::accepted(&request, sequence);
        let mut events = vec![Arc::new(accepted)];
        events.extend(disk::decode_events(
            self.events.as_deref().unwrap_or_default(),
        )?);
        let progress = self
            .progress
            .as_deref()
            .map(disk::decode_progress)
            .transpose()?;
        let state = state_of(self.state);
        Ok(Invocation {
            request: Arc::new(request),
            state,
            key_busy: !self.leads && !state.is_terminal(),
            attempts: self.attempts,
            due: disk::timestamp(self.due),
            first_attempt_time: self.first_attempt_time.map(disk::timestamp),
            end_time: self.end_time.map(disk::timestamp),
            purge_time: self.purge_time.map(disk::timestamp),
            progress: progress.map(Arc::new),
            last_failure: self
                .last_failure
                .as_deref()
                .map(disk::decode_failure)
                .transpose()?,
            events,
            crash_count: self.crash_count,
            cancel_requested: self.cancel_requested,
            completion: self.completion.map(|token| AsyncCompletion {
                token: TokenHash(token),
                pending: self.awaited,
            }),
            open_members: self.open_members.unwrap_or_default(),
            recovered: recovering.is_some_and(|generation| self.generation < generation),
        })
    }
}

/// What can be read of several rows, and the CIDs of the others: one that is damaged must not keep the rest from
/// whoever asks.
pub(super) fn readable(
    rows: impl IntoIterator<Item = (Found, ServiceName)>,
    recovering: Option<u32>,
) -> (Vec<Invocation>, Vec<Cid>) {
    let (mut read, mut damaged) = (Vec::new(), Vec::new());
    for (row, service) in rows {
        let cid = disk::cid(&row.cid);
        match row.decode(&service, recovering) {
            Ok(invocation) => read.push(invocation),
            Err(error) => {
                let named = cid.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::error!(cid = named, %error, "an invocation cannot be read, and is passed over");
                damaged.extend(cid);
            }
        }
    }
    (read, damaged)
}

/// Reads one invocation.
pub(super) fn get(connection: &Connection, cid: Cid) -> Result<Stored> {
    let read = || {
        let select = format!(
            "SELECT {COLUMNS}, service.name FROM invocation JOIN service ON service.id = service WHERE cid = ?1"
        );
        let mut select = connection.prepare_cached(&select)?;
        let found = select.query_row([cid.as_bytes()], |row| {
            Ok((Found::of(row)?, row.get::<_, String>(NEXT_COLUMN)?))
        });
        if let Some(found) = found.optional()? {
            return Ok(Ok(found));
        }
        Ok(Err(tombstone(connection, cid)?))
    };
    match read().map_err(|error: rusqlite::Error| failed(&error))? {
        Ok((found, name)) => {
            let invocation = found.decode(&ServiceName::from_record(&name)?, None)?;
            Ok(Stored::Found(Box::new(invocation)))
        }
        Err(Some(tombstone)) => Ok(Stored::Removed(tombstone)),
        Err(None) => Ok(Stored::Unknown),
    }
}

/// What is left of an invocation that was removed.
pub(super) fn tombstone(connection: &Connection, cid: Cid) -> rusqlite::Result<Option<Tombstone>> {
    let select = "SELECT state, end_time FROM tombstone WHERE cid = ?1";
    let mut select = connection.prepare_cached(select)?;
    let tombstone = select.query_row([cid.as_bytes()], |row| {
        Ok(Tombstone {
            state: state_of(row.get(0)?),
            end_time: disk::timestamp(row.get(1)?),
        })
    });
    tombstone.optional()
}

/// What is due, as a claim finds it.
pub(super) struct Due {
    pub(super) invocations: Vec<Invocation>,
    /// Those that cannot be read.
    pub(super) damaged: Vec<Cid>,
    /// When the next one is due.
    pub(super) next: Option<i64>,
}

/// Due invocations of a service that are not claimed, and when the next one is due.
pub(super) fn due(
    connection: &Connection,
    service: &ServiceName,
    now: i64,
    max: usize,
    claimed: &HashMap<Cid, Option<String>>,
    recovering: Option<u32>,
) -> Result<Due> {
    let busy: HashSet<&str> = claimed.values().flatten().map(String::as_str).collect();
    // Those that are passed over: what is claimed, and what came before it with the same key.
    let limit = max.saturating_add(claimed.len() + busy.len());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = || {
        // Of those with one concurrency key only the first is looked at, and none while one of them is claimed.
        let select = "SELECT id, cid, concurrency_key FROM invocation
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND state < 2 AND leads = 1 AND wake <= ?2 ORDER BY wake, id LIMIT ?3";
        let mut select = connection.prepare_cached(select)?;
        let mut rows = select.query(params![service.as_str(), now, limit])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()?
            && ids.len() < max
        {
            let (cid, key): (Vec<u8>, Option<String>) = (row.get(1)?, row.get(2)?);
            let is_claimed = disk::cid(&cid).is_ok_and(|cid| claimed.contains_key(&cid));
            if !is_claimed && key.is_none_or(|key| !busy.contains(key.as_str())) {
                ids.push(row.get::<_, i64>(0)?);
            }
        }
        let select = format!("SELECT {COLUMNS} FROM invocation WHERE id = ?1");
        let mut select = connection.prepare_cached(&select)?;
        let found = ids.into_iter().map(|id| select.query_row([id], Found::of));
        let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
        let select = "SELECT min(wake) FROM invocation
             WHERE service = (SELECT id FROM service WHERE name = ?1)
             AND state < 2 AND leads = 1 AND wake > ?2";
        let mut select = connection.prepare_cached(select)?;
        let next = select.query_row(params![service.as_str(), now], |row| row.get(0))?;
        Ok((found, next))
    };
    let (found, next) = read().map_err(|error: rusqlite::Error| failed(&error))?;
    let rows = found.into_iter().map(|row| (row, service.clone()));
    let (invocations, damaged) = readable(rows, recovering);
    Ok(Due {
        invocations,
        damaged,
        next,
    })
}

/// Pending ones whose time is over.
pub(super) fn overdue(connection: &Connection, now: i64, max: usize) -> Result<Vec<Invocation>> {
    let read = || {
        let select = format!(
            "SELECT {COLUMNS}, service.name FROM invocation JOIN service ON service.id = service
             WHERE state < 2 AND over <= ?1 ORDER BY over LIMIT ?2"
        );
        let mut select = connection.prepare_cached(&select)?;
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let rows = select.query_map([now, limit], |row| {
            Ok((Found::of(row)?, row.get::<_, String>(NEXT_COLUMN)?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(|error: rusqlite::Error| failed(&error))?;
    Ok(readable(named(rows)?, None).0)
}

/// Rows with the names of their services.
pub(super) fn named(rows: Vec<(Found, String)>) -> Result<Vec<(Found, ServiceName)>> {
    let named = rows.into_iter();
    let named = named.map(|(found, name)| Ok((found, ServiceName::from_record(&name)?)));
    named.collect()
}

/// What workers declared.
pub(super) fn announced(connection: &Connection) -> Result<Vec<Announced>> {
    let read = || {
        let select = "SELECT service, hash, first_time, last_time, declaration FROM announced";
        let mut select = connection.prepare_cached(select)?;
        let rows = select.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, Vec<u8>>(4)?,
            ))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(|error: rusqlite::Error| failed(&error))?;
    let parsed = rows
        .into_iter()
        .map(|(name, hash, first, last, declaration)| {
            Ok(Announced {
                service: ServiceName::parse(&name)?,
                hash,
                first_time: disk::timestamp(first),
                last_time: disk::timestamp(last),
                declaration,
            })
        });
    parsed.collect()
}

/// How many invocations of each service have not ended.
pub(super) fn open(connection: &Connection) -> Result<Vec<(ServiceName, i64, i64)>> {
    let read = || {
        let mut select = connection.prepare("SELECT name, id, open FROM service")?;
        let rows = select.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(|error| failed(&error))?;
    let parsed = rows
        .into_iter()
        .map(|(name, id, open)| Ok((ServiceName::from_record(&name)?, id, open)));
    parsed.collect()
}

/// How many invocations of each service wait for an outcome from outside.
pub(super) fn awaited(connection: &Connection) -> Result<HashMap<ServiceName, usize>> {
    let read = || {
        let select = "SELECT service.name, count(*) FROM invocation
             JOIN service ON service.id = service
             WHERE awaited = 1 AND open_members IS NULL GROUP BY service.name";
        let mut select = connection.prepare(select)?;
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(|error| failed(&error))?;
    let parsed = rows.into_iter().map(|(name, count)| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok((ServiceName::from_record(&name)?, count))
    });
    parsed.collect()
}

/// The CID that was accepted with an idempotency key: for this service, where a file of format 1 has several.
pub(super) fn with_key(
    connection: &Connection,
    service: &ServiceName,
    key: &str,
) -> Result<Option<Cid>> {
    let read = || {
        let select = "SELECT cid FROM invocation
             WHERE idempotency_key = ?2
             ORDER BY service IS (SELECT id FROM service WHERE name = ?1) DESC, id LIMIT 1";
        let mut select = connection.prepare_cached(select)?;
        let found = select.query_row([service.as_str(), key], |row| row.get::<_, Vec<u8>>(0));
        found.optional()
    };
    let found = read().map_err(|error: rusqlite::Error| failed(&error))?;
    found.as_deref().map(disk::cid).transpose()
}
