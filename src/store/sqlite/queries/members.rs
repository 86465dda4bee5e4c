//! Lists the members of a group.

use rusqlite::Connection;

use crate::model::error::Result;
use crate::model::id::Cid;
use crate::store::blob;
use crate::store::sqlite::error::failed;

/// The members of a group, with their positions.
pub(in crate::store::sqlite) fn members(
    connection: &Connection,
    group: Cid,
) -> Result<Vec<(u32, Cid)>> {
    let read = || {
        let select = "SELECT position, cid FROM invocation WHERE group_cid = ?1 ORDER BY position";
        let mut select = connection.prepare_cached(select)?;
        let rows = select.query_map([group.as_bytes()], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(failed)?;
    let decoded = rows
        .into_iter()
        .map(|(position, cid)| Ok((position, blob::cid(&cid)?)));
    decoded.collect()
}
