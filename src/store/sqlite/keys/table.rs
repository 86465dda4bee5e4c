//! The table of keys: checked and updated when the file is opened, before anything else is written.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::usage::needed;
use crate::engine::clock::Clock;
use crate::model::error::Result;
use crate::store::cipher::{BlobCipher, StoreKey, keys_missing};
use crate::store::sqlite::blob;
use crate::store::sqlite::error::failed;

const NOTE: &str = "INSERT INTO store_key (id, first_time, sample) VALUES (?1, ?2, ?3)
     ON CONFLICT (id) DO UPDATE SET last_id = NULL";

/// A key that the file was written with.
pub(super) struct KnownKey {
    pub(super) id: String,
    pub(super) first_time: i64,
    pub(super) last_id: Option<i64>,
    sample: Vec<u8>,
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

/// Checks that all keys that the file needs are there, and notes the one that encrypts. Those that nothing needs any
/// more, and that are not there, are forgotten.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `STORE_KEY_MISSING`; / `STORE_KEY_INVALID`: a key is not the one that was used before.
pub(in crate::store::sqlite) fn open_keys(
    connection: &Connection,
    cipher: &BlobCipher,
) -> Result<()> {
    let ring = cipher.keys().map(|keys| keys.ring());
    let (mut missing, known) = (Vec::new(), known_keys(connection).map_err(failed)?);
    for known in &known {
        match ring.as_ref().and_then(|ring| ring.get(&known.id)) {
            Some(key) => key.check_sample(&known.sample)?,
            None => missing.push(known),
        }
    }
    let (needed, unneeded): (Vec<_>, Vec<_>) = match missing.is_empty() {
        true => Default::default(),
        false => {
            let needed = needed(connection, &missing)?;
            missing
                .into_iter()
                .partition(|key| needed.contains(&key.id))
        }
    };
    if !needed.is_empty() {
        let ids: Vec<_> = needed.iter().map(|key| key.id.as_str()).collect();
        return Err(keys_missing("the store is encrypted with", &ids));
    }
    for key in unneeded {
        let forget = "DELETE FROM store_key WHERE id = ?1";
        connection.execute(forget, [&key.id]).map_err(failed)?;
        tracing::info!(key = key.id, "nothing in the store needs this key any more");
    }
    let Some(ring) = ring else {
        return Ok(());
    };
    let first = ring.first();
    tracing::info!(
        key = first.id(),
        others = ring.iter().count() - 1,
        "the store is encrypted"
    );
    let outdate = "UPDATE store_key SET last_id = (SELECT coalesce(max(id), 0) FROM invocation)
         WHERE id != ?1 AND last_id IS NULL";
    connection.execute(outdate, [first.id()]).map_err(failed)?;
    note_key(connection, first).map_err(failed)?
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
