//! Reads what workers declared of their services.

use rusqlite::Connection;

use crate::engine::store::StoredDeclaration;
use crate::model::access::Principal;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::store::blob;
use crate::store::sqlite::error::failed;

/// Reads all declarations that have not been forgotten.
pub(in crate::store::sqlite) fn declarations(
    connection: &Connection,
) -> Result<Vec<StoredDeclaration>> {
    let read = || {
        let select =
            "SELECT service, hash, first_time, last_time, declaration, principal FROM announced";
        let mut select = connection.prepare_cached(select)?;
        let rows = select.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, Vec<u8>>(4)?,
                row.get::<_, Option<String>>(5)?,
            ))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(failed)?;
    let parsed = rows
        .into_iter()
        .map(|(name, hash, first, last, declaration, principal)| {
            Ok(StoredDeclaration {
                service: ServiceName::parse(&name)?,
                hash,
                first_time: blob::timestamp(first),
                last_time: blob::timestamp(last),
                declaration,
                principal: principal.as_deref().map(Principal::known),
            })
        });
    parsed.collect()
}
