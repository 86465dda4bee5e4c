//! Groups: accepted with all of their members or with none, and due once the last of those has ended.

use rusqlite::{Connection, params};

use super::rows::NewGroup;
use super::work::{Work, full};
use super::{blob, failed};
use crate::engine::store::Acceptance;
use crate::model::error::Result;
use crate::model::id::Cid;

impl Work<'_> {
    pub(super) fn accept_group(
        &mut self,
        new: &NewGroup,
        room: bool,
    ) -> rusqlite::Result<Result<Acceptance>> {
        if let Some(known) = self.known_before(&new.group)? {
            return Ok(known);
        }
        if !room {
            return Ok(self.known(&new.group)?.unwrap_or_else(|| Err(full())));
        }
        // A service is there or not whatever becomes of the group: outside of what may be taken back.
        for row in new.rows() {
            self.service(&row.service)?;
        }
        self.transaction.execute_batch("SAVEPOINT batch")?;
        let taken = self.insert_all(new);
        if !matches!(taken, Ok(Ok(_))) {
            self.transaction.execute_batch("ROLLBACK TO batch")?;
        }
        self.transaction.execute_batch("RELEASE batch")?;
        match taken? {
            Ok(services) => {
                for service in services {
                    *self.open.entry(service).or_default() += 1;
                }
                Ok(Ok(Acceptance::Stored))
            }
            Err(cid) if cid == new.group.cid => {
                Ok(self.known(&new.group)?.unwrap_or_else(|| Err(full())))
            }
            Err(member) => Ok(Ok(Acceptance::MemberKnown(member))),
        }
    }

    /// Stores a group with its members; answers with their services, or with the first one of them that was accepted
    /// before.
    fn insert_all(
        &mut self,
        new: &NewGroup,
    ) -> rusqlite::Result<std::result::Result<Vec<i64>, Cid>> {
        let Some(service) = self.insert(&new.group)? else {
            return Ok(Err(new.group.cid));
        };
        let mut services = vec![service];
        for member in &new.members {
            let is_new = self.known_before(member)?.is_none();
            match if is_new { self.insert(member)? } else { None } {
                Some(service) => services.push(service),
                None => return Ok(Err(member.cid)),
            }
        }
        Ok(Ok(services))
    }

    /// A member has ended; where it was the last one, its group is due.
    pub(super) fn end_member(&self, group: &[u8]) -> rusqlite::Result<()> {
        let update = "UPDATE invocation SET open_members = open_members - 1,
             wake = CASE WHEN open_members = 1 THEN due ELSE wake END
             WHERE cid = ?1 AND state < 2 AND open_members > 0";
        self.transaction.prepare_cached(update)?.execute([group])?;
        Ok(())
    }

    /// A group has ended: its members are removed when their time has come, and not before it is.
    pub(super) fn release_members(&self, group: Cid, purge_time: i64) -> rusqlite::Result<()> {
        let update = "UPDATE invocation SET held = 0, purge_time = max(purge_time, ?2),
             tombstone_until = tombstone_until + max(purge_time, ?2) - purge_time
             WHERE group_cid = ?1";
        self.transaction
            .prepare_cached(update)?
            .execute(params![group.as_bytes(), purge_time])?;
        Ok(())
    }
}

/// The members of a group, with their places.
pub(super) fn members(connection: &Connection, group: Cid) -> Result<Vec<(u32, Cid)>> {
    let read = || {
        let select = "SELECT position, cid FROM invocation WHERE group_cid = ?1 ORDER BY position";
        let mut select = connection.prepare_cached(select)?;
        let rows = select.query_map([group.as_bytes()], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(|error: rusqlite::Error| failed(&error))?;
    let decoded = rows
        .into_iter()
        .map(|(position, cid)| Ok((position, blob::cid(&cid)?)));
    decoded.collect()
}
