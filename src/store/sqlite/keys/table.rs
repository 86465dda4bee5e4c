//! The table of keys: those that the file was written with.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::engine::clock::Clock;
use crate::model::error::Result;
use crate::store::blob;
use crate::store::cipher::StoreKey;

const NOTE: &str = "INSERT INTO store_key (id, first_time, sample) VALUES (?1, ?2, ?3)
     ON CONFLICT (id) DO UPDATE SET last_id = NULL";

/// A key that the file was written with.
pub(super) struct KnownKey {
    pub(super) id: String,
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "the commands show it")
    )]
    pub(super) first_time: i64,
    pub(super) last_id: Option<i64>,
    pub(super) sample: Vec<u8>,
}

/// The keys that the file was written with, in the order of their first use.
pub(super) fn known_keys(connection: &Connection) -> rusqlite::Result<Vec<KnownKey>> {
    let select = "SELECT id, first_time, last_id, sample FROM store_key ORDER BY first_time, id";
    let mut select = connection.prepare(select)?;
    let rows = select.query_map([], |row| {
        Ok(KnownKey {
            id: row.get(0)?,
            first_time: row.get(1)?,
            last_id: row.get(2)?,
            sample: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// Notes that a key encrypts from now on. The inner error: another key with its id was used before.
pub(in crate::store::sqlite) fn note_key(
    connection: &Connection,
    key: &StoreKey,
) -> rusqlite::Result<Result<()>> {
    let select = "SELECT sample FROM store_key WHERE id = ?1";
    let known = connection.query_row(select, [key.id()], |row| row.get::<_, Vec<u8>>(0));
    let sample = match known.optional()?.map_or_else(
        || key.sample(),
        |sample| key.check_sample(&sample).map(|()| sample),
    ) {
        Ok(sample) => sample,
        Err(error) => return Ok(Err(error)),
    };
    let now = blob::nanos(Clock::System.now());
    connection.execute(NOTE, params![key.id(), now, sample])?;
    Ok(Ok(()))
}
