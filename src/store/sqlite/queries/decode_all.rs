//! Reads all invocations, one at a time.

use rusqlite::Connection;

use super::row::{COLUMNS, Decoder, InvocationRow, NEXT_COLUMN, STATE_TABLES};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::store::cipher::BlobCipher;

/// Decodes all invocations in the order of acceptance, and passes each with its id to a function, until that returns
/// `false`. Those without a service are left out.
pub(in crate::store::sqlite) fn decode_all(
    connection: &Connection,
    cipher: &BlobCipher,
    mut each: impl FnMut(i64, Option<Cid>, Result<Invocation>) -> bool,
) -> rusqlite::Result<()> {
    let select = format!(
        "SELECT {COLUMNS}, service.name, invocation.id FROM invocation {STATE_TABLES}
         JOIN service ON service.id = invocation.service ORDER BY invocation.id"
    );
    let mut select = connection.prepare(&select)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (name, id) = (
            row.get::<_, String>(NEXT_COLUMN)?,
            row.get(NEXT_COLUMN + 1)?,
        );
        let row = InvocationRow::of(row)?;
        let cid = row.cid();
        let decoder = Decoder::of(cipher);
        let decoded = ServiceName::from_record(&name).and_then(|name| row.decode(&name, decoder));
        if !each(id, cid, decoded) {
            break;
        }
    }
    Ok(())
}
