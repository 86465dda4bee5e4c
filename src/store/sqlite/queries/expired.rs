//! Finds pending invocations that have expired.

use rusqlite::Connection;

use super::row::{COLUMNS, Decoder, InvocationRow, NEXT_COLUMN, Readable};
use crate::model::error::Result;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::error::{failed, is_damage};

/// Finds pending invocations that have expired at `now`, those that expired first.
pub(in crate::store::sqlite) fn expired(
    connection: &Connection,
    now: i64,
    max: usize,
    cipher: &BlobCipher,
) -> Result<Readable> {
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let decoder = Decoder::of(cipher);
    let read = match read_expired(connection, now, limit, decoder) {
        Err(error) if is_damage(&error) => read_readable(connection, now, limit, decoder),
        read => read,
    };
    read.map_err(failed)
}

fn read_expired(
    connection: &Connection,
    now: i64,
    limit: i64,
    decoder: Decoder<'_>,
) -> rusqlite::Result<Readable> {
    let select = format!(
        "SELECT {COLUMNS}, service.name FROM pending CROSS JOIN invocation ON invocation.id = pending.id
         LEFT JOIN outcome ON outcome.id = invocation.id JOIN service ON service.id = invocation.service
         WHERE pending.over <= ?1 ORDER BY pending.over LIMIT ?2"
    );
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query([now, limit])?;
    let mut found = Readable::default();
    while let Some(row) = rows.next()? {
        let name: String = row.get(NEXT_COLUMN)?;
        found.decode(InvocationRow::of(row)?, &name, decoder);
    }
    Ok(found)
}

/// The same where the file is damaged: the ids are in the index alone, and each row is read on its own.
fn read_readable(
    connection: &Connection,
    now: i64,
    limit: i64,
    decoder: Decoder<'_>,
) -> rusqlite::Result<Readable> {
    let select = "SELECT id FROM pending WHERE over <= ?1 ORDER BY over LIMIT ?2";
    let mut select = connection.prepare_cached(select)?;
    let ids = select.query_map([now, limit], |row| row.get(0))?;
    let mut found = Readable::default();
    for id in ids {
        if let Some((row, name, _)) = found.read_row(connection, id?)? {
            found.decode(row, &name, decoder);
        }
    }
    Ok(found)
}
