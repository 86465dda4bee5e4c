//! Looks up one invocation, by its CID or its idempotency key.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{BYTES, COLUMNS, Decoder, InvocationRow, NEXT_COLUMN, STATE_TABLES};
use crate::engine::store::{BoundedRead, Stored, Tombstone};
use crate::model::access::{Principal, Principals};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::error::failed;
use crate::store::state_column::decode_state;

/// Where an invocation may be found: its CID, and its id if it was among the newest ones.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::sqlite) struct Lookup {
    pub(in crate::store::sqlite) cid: Cid,
    pub(in crate::store::sqlite) newest: Option<i64>,
}

impl Lookup {
    pub(super) fn id(self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        match self.newest {
            Some(id) => Ok(Some(id)),
            None => indexed_id(connection, self.cid).optional(),
        }
    }
}

/// The id of an invocation, by the index.
pub(in crate::store::sqlite) fn indexed_id(
    connection: &Connection,
    cid: Cid,
) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT id FROM cid_index WHERE cid = ?1")?;
    select.query_row([cid.as_bytes()], |row| row.get(0))
}

/// Reads an invocation, or its tombstone.
pub(in crate::store::sqlite) fn get(
    connection: &Connection,
    lookup: Lookup,
    cipher: &BlobCipher,
) -> Result<Stored> {
    let cid = lookup.cid;
    let read = || {
        let found = match lookup.id(connection)? {
            Some(id) => by_id(connection, id)?,
            None => None,
        };
        if let Some(found) = found {
            return Ok(Ok(found));
        }
        Ok(Err(tombstone(connection, cid)?))
    };
    match read().map_err(failed)? {
        Ok((found, name)) => {
            let invocation =
                found.decode(&ServiceName::from_record(&name)?, Decoder::of(cipher))?;
            Ok(Stored::Found(Box::new(invocation)))
        }
        Err(Some(tombstone)) => Ok(Stored::Removed(tombstone?)),
        Err(None) => Ok(Stored::Unknown),
    }
}

fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<(InvocationRow, String)>> {
    let select = format!(
        "SELECT {COLUMNS}, service.name FROM invocation {STATE_TABLES}
         JOIN service ON service.id = invocation.service WHERE invocation.id = ?1"
    );
    let mut select = connection.prepare_cached(&select)?;
    let found = select.query_row([id], |row| {
        Ok((InvocationRow::of(row)?, row.get(NEXT_COLUMN)?))
    });
    found.optional()
}

/// Reads an invocation that has at most `max_bytes`.
pub(in crate::store::sqlite) fn get_up_to(
    connection: &Connection,
    lookup: Lookup,
    max_bytes: usize,
    cipher: &BlobCipher,
) -> Result<BoundedRead> {
    let read = || {
        let Some(id) = lookup.id(connection)? else {
            return Ok(None);
        };
        let select =
            format!("SELECT {BYTES} FROM invocation {STATE_TABLES} WHERE invocation.id = ?1");
        let mut select = connection.prepare_cached(&select)?;
        let bytes = select.query_row([id], |row| row.get::<_, i64>(0));
        bytes.optional()
    };
    let bytes = read().map_err(failed)?;
    match usize::try_from(bytes.unwrap_or_default()).unwrap_or_default() {
        bytes if bytes > max_bytes => Ok(BoundedRead::Larger(bytes)),
        _ => get(connection, lookup, cipher).map(BoundedRead::Read),
    }
}

/// The tombstone of an invocation that was removed. The inner error: it is damaged.
pub(in crate::store::sqlite) fn tombstone(
    connection: &Connection,
    cid: Cid,
) -> rusqlite::Result<Option<Result<Tombstone>>> {
    let select = "SELECT state, end_time, owner.name, team.name FROM tombstone
         LEFT JOIN principal AS owner ON owner.id = tombstone.owner
         LEFT JOIN principal AS team ON team.id = tombstone.owner_group WHERE cid = ?1";
    let mut select = connection.prepare_cached(select)?;
    let tombstone = select.query_row([cid.as_bytes()], |row| {
        let end_time = blob::timestamp(row.get(1)?);
        let state = decode_state(row.get(0)?);
        let name = |column| row.get::<_, Option<String>>(column);
        let (owner, group) = (name(2)?, name(3)?);
        let owner = owner.map(|owner| {
            Arc::new(Principals {
                principal: None,
                acting_principal: Some(Principal::known(&owner)),
                acting_group: group.as_deref().map(Principal::known),
            })
        });
        Ok(state.map(|state| Tombstone {
            state,
            end_time,
            owner,
        }))
    });
    tombstone.optional()
}

/// The invocation of an owner with an idempotency key: that of this service, if a file of format 1 has several.
pub(in crate::store::sqlite) fn find_by_idempotency_key(
    connection: &Connection,
    service: &ServiceName,
    key: &str,
    owner: Option<&Principal>,
) -> Result<Option<Cid>> {
    let read = || {
        let select = "SELECT cid FROM invocation
             WHERE idempotency_key = ?2
                 AND CASE WHEN ?3 IS NULL THEN owner IS NULL
                     ELSE owner = (SELECT id FROM principal WHERE name = ?3) END
             ORDER BY service IS (SELECT id FROM service WHERE name = ?1) DESC, id LIMIT 1";
        let mut select = connection.prepare_cached(select)?;
        let owner = owner.map(Principal::as_str);
        let found = select.query_row(params![service.as_str(), key, owner], |row| {
            row.get::<_, Vec<u8>>(0)
        });
        found.optional()
    };
    let found = read().map_err(failed)?;
    found.as_deref().map(blob::cid).transpose()
}
