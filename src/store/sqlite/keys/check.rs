//! Checks the keys when a file is opened, before anything else is written.

use rusqlite::Connection;

use super::table::{known_keys, note_key};
use super::usage::needed;
use crate::model::error::Result;
use crate::store::cipher::{BlobCipher, keys_missing};
use crate::store::sqlite::error::failed;

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
