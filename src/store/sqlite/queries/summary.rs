//! Summaries: counts of the invocations that match a filter. They are added up here: SQLite would sort all rows to
//! group them.

use std::collections::HashSet;

use rusqlite::{Connection, Row};

use super::conditions::{FAILURE_REASON, IS_HELD, STATE};
use super::part::{Part, Rows};
use super::scan::scan;
use super::service_names::ServiceNames;
use crate::engine::store::{Filter, SummaryPart};
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::invocation::{State, Summaries, SummaryCount, SummaryKey};
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::state_column::decode_state;

/// How many rows one query counts. The next one waits behind other readers.
const MAX_COUNTED: usize = 20_000;

/// Counts a part of the invocations that match a filter, newest first, with the failure if the file is damaged.
/// `last_id`: the highest id that was given out.
pub(in crate::store::sqlite) fn summarize(
    connection: &Connection,
    filter: &Filter,
    running: &HashSet<Cid>,
    before: Option<u64>,
    last_id: i64,
    cipher: &BlobCipher,
) -> Result<(SummaryPart, Option<Error>)> {
    let counts = CountedRows {
        running,
        services: ServiceNames::default(),
        summaries: Summaries::default(),
    };
    let mut part = Part::new(filter, counts, MAX_COUNTED, cipher);
    let (next, damage) = scan(connection, filter, before, last_id, &mut part)?;
    let summaries = part.rows.summaries.into_each().collect();
    Ok((SummaryPart { summaries, next }, damage))
}

/// Rows that are being counted.
struct CountedRows<'r> {
    running: &'r HashSet<Cid>,
    services: ServiceNames,
    summaries: Summaries,
}

impl CountedRows<'_> {
    fn key(&mut self, cid: Cid, row: &Row<'_>) -> rusqlite::Result<Result<SummaryKey>> {
        let service = self.services.name(row.get(1)?, row.get_ref(2)?.as_str()?);
        let service = match service {
            Ok(service) => service,
            Err(error) => return Ok(Err(error)),
        };
        let state = match decode_state(row.get(3)?) {
            Ok(State::Pending { .. }) => State::ACCEPTED,
            Ok(ended) => ended,
            Err(error) => return Ok(Err(error)),
        };
        let is_waiting = row.get(4)?;
        let is_running = !state.is_terminal() && (is_waiting || self.running.contains(&cid));
        Ok(Ok(SummaryKey {
            service,
            state: if is_running { State::RUNNING } else { state },
            held: !is_running && row.get(5)?,
            failure_reason: row.get(6)?,
        }))
    }
}

impl Rows for CountedRows<'_> {
    const WIDTH: usize = 9;

    fn columns() -> String {
        format!(
            "invocation.cid, invocation.service, service.name, {STATE}, coalesce(pending.awaited, 0),
             coalesce({IS_HELD}, 0), {FAILURE_REASON}, invocation.accept_time, outcome.end_time"
        )
    }

    /// Those that cannot be read are left out.
    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let Ok(cid) = blob::cid(row.get_ref(0)?.as_blob()?) else {
            return Ok(true);
        };
        if let Ok(key) = self.key(cid, row)? {
            let end_time = row.get::<_, Option<i64>>(8)?.map(blob::timestamp);
            let accept_time = blob::timestamp(row.get(7)?);
            let count = SummaryCount::one(cid, accept_time, end_time);
            self.summaries.add(key, &count);
        }
        Ok(true)
    }
}
