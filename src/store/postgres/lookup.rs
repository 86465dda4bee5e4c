//! Looks up one invocation, by its CID or its idempotency key, and those that belong to it.

use std::sync::Arc;

use super::connection::Link;
use super::error::Failed;
use super::new_rows::{cid, uuid};
use super::row::{ReadBy, columns, decode, state_tables};
use super::shared::Shared;
use crate::engine::store::{BoundedRead, Child, Stored, Tombstone};
use crate::model::access::{Principal, Principals};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::store::blob;
use crate::store::state_column::decode_state;

const REGISTERED: &str =
    "SELECT id, accept_id, until IS NOT NULL, state, end_time, owner, owner_group
     FROM registry WHERE cid = $1";
const BY_KEY: &str = "SELECT cid FROM idempotency WHERE key = $1";
const GET: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM invocation ",
    state_tables!(),
    " WHERE invocation.id = $1"
);
const BYTES: &str = "SELECT coalesce(outcome.bytes, pending.bytes, 0)
         + coalesce(length(coalesce(outcome.progress, pending.progress)), 0)
     FROM registry LEFT JOIN outcome USING (id) LEFT JOIN pending USING (id) WHERE registry.cid = $1";
const ENDED: &str = "SELECT registry.cid FROM registry LEFT JOIN outcome USING (id)
     WHERE registry.cid = ANY ($1::uuid[]) AND (until IS NOT NULL OR outcome.id IS NOT NULL)";
const MEMBERS: &str = "SELECT position, cid FROM invocation WHERE group_cid = $1 ORDER BY position";
const CHILDREN: &str = "SELECT cid, request FROM invocation WHERE parent = $1 ORDER BY id LIMIT $2";

/// What the registry knows of a CID.
pub(super) struct Registered {
    pub(super) id: i64,
    pub(super) accept_id: i64,
    tombstone: Option<Result<Tombstone>>,
}

pub(super) async fn registered(link: &Link, cid: Cid) -> Result<Option<Registered>, Failed> {
    let rows = link.query(REGISTERED, &[&uuid(cid)]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let is_removed: bool = row.try_get(2)?;
    let tombstone = match is_removed {
        false => None,
        true => {
            let (state, end_time): (Option<i16>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
            let name = |name: Option<&[u8]>| {
                name.map(|name| Principal::known(&String::from_utf8_lossy(name)))
            };
            let (owner, group) = (name(row.try_get(5)?), name(row.try_get(6)?));
            let owner = owner.map(|owner| {
                Arc::new(Principals {
                    principal: None,
                    acting_principal: Some(owner),
                    acting_group: group,
                })
            });
            let state = decode_state(state.unwrap_or_default().into());
            Some(state.map(|state| Tombstone {
                state,
                end_time: blob::timestamp(end_time.unwrap_or_default()),
                owner,
            }))
        }
    };
    Ok(Some(Registered {
        id: row.try_get(0)?,
        accept_id: row.try_get(1)?,
        tombstone,
    }))
}

pub(super) async fn by_idempotency_key(link: &Link, key: &[u8]) -> Result<Option<Cid>, Failed> {
    let rows = link.query(BY_KEY, &[&key]).await?;
    let row = rows.first();
    Ok(row.map(|row| row.try_get(0).map(cid)).transpose()?)
}

/// Reads an invocation, or its tombstone.
pub(super) async fn get(link: &Link, shared: &Shared, named: Cid) -> Result<Stored, Failed> {
    let Some(registered) = registered(link, named).await? else {
        return Ok(Stored::Unknown);
    };
    if let Some(tombstone) = registered.tombstone {
        return Ok(Stored::Removed(tombstone?));
    }
    let rows = link.query(GET, &[&registered.id]).await?;
    let Some(row) = rows.first() else {
        // It was removed in between.
        return Ok(Stored::Unknown);
    };
    let services = &shared.services;
    services
        .meet_ids(link, std::iter::once(row.try_get(1)?))
        .await?;
    let found = decode(row, services, &shared.cipher, ReadBy::Anyone)??;
    Ok(Stored::Found(Box::new(found)))
}

/// Reads an invocation that has at most `max_bytes`.
pub(super) async fn get_up_to(
    link: &Link,
    shared: &Shared,
    named: Cid,
    max_bytes: usize,
) -> Result<BoundedRead, Failed> {
    let rows = link.query(BYTES, &[&uuid(named)]).await?;
    let bytes: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    match usize::try_from(bytes).unwrap_or_default() {
        bytes if bytes > max_bytes => Ok(BoundedRead::Larger(bytes)),
        _ => Ok(BoundedRead::Read(get(link, shared, named).await?)),
    }
}

/// Those that have ended.
pub(super) async fn ended(link: &Link, cids: &[Cid]) -> Result<Vec<Cid>, Failed> {
    let cids: Vec<_> = cids.iter().copied().map(uuid).collect();
    let rows = link.query(ENDED, &[&cids]).await?;
    rows.iter().map(|row| Ok(cid(row.try_get(0)?))).collect()
}

pub(super) async fn members(link: &Link, group: Cid) -> Result<Vec<(u32, Cid)>, Failed> {
    let rows = link.query(MEMBERS, &[&uuid(group)]).await?;
    let member = |row: &tokio_postgres::Row| {
        let position: i32 = row.try_get(0)?;
        Ok((
            u32::try_from(position).unwrap_or_default(),
            cid(row.try_get(1)?),
        ))
    };
    rows.iter().map(member).collect()
}

pub(super) async fn children(
    link: &Link,
    shared: &Shared,
    parent: Cid,
    max: usize,
) -> Result<Vec<Child>, Failed> {
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = link.query(CHILDREN, &[&uuid(parent), &limit]).await?;
    let child = |row: &tokio_postgres::Row| {
        let (cid, request) = (cid(row.try_get(0)?), row.try_get(1)?);
        let is_callback = blob::decode_is_callback(cid, request, &shared.cipher)?;
        Ok(Child { cid, is_callback })
    };
    rows.iter().map(child).collect()
}
