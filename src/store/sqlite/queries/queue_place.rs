//! Finds what a pending invocation waits behind.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::lookup::Lookup;
use crate::engine::store::QueuePlace;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::store::blob;
use crate::store::ledger::Claims;
use crate::store::sqlite::error::failed;
use crate::store::sqlite::newest::AcceptedId;

/// The invocations of a service that can be claimed, before one of them. The index has them in this order.
const BEFORE: &str = "SELECT cid FROM pending CROSS JOIN invocation ON invocation.id = pending.id
     WHERE pending.service = (SELECT id FROM service WHERE name = ?1)
     AND leads = 1 AND (wake, pending.id) < (?2, ?3) ORDER BY wake, pending.id LIMIT ?4";

/// The first invocation with a concurrency key.
const HEAD: &str =
    "SELECT pending.id, cid FROM pending CROSS JOIN invocation ON invocation.id = pending.id
     WHERE pending.service = (SELECT id FROM service WHERE name = ?1)
     AND concurrency_key = ?2 ORDER BY awaited DESC, wake, pending.id LIMIT 1";

/// A pending invocation, and what is known of its service before the file is read.
pub(in crate::store::sqlite) struct Waiting<'a> {
    pub(in crate::store::sqlite) lookup: Lookup,
    pub(in crate::store::sqlite) service: &'a ServiceName,
    pub(in crate::store::sqlite) concurrency_key: Option<&'a str>,
    pub(in crate::store::sqlite) claims: &'a Claims,
    /// The unclaimed invocations that are as they were accepted and not in the table of pending ones, in order.
    pub(in crate::store::sqlite) accepted: &'a [AcceptedId],
}

/// What an invocation waits behind; nothing if it is not pending any more.
pub(in crate::store::sqlite) fn queue_place(
    connection: &Connection,
    waiting: &Waiting<'_>,
    max: usize,
) -> Result<QueuePlace> {
    let read = || {
        let Some(own) = waiting.position(connection)? else {
            return Ok(QueuePlace::default());
        };
        let ahead = waiting.ahead(connection, own, max)?;
        let head = waiting.head(connection)?;
        let head = head.filter(|(id, _)| *id != own.id);
        let key_holder = head.and_then(|(_, cid)| blob::cid(&cid).ok());
        Ok(QueuePlace { ahead, key_holder })
    };
    read().map_err(failed)
}

impl Waiting<'_> {
    fn position(&self, connection: &Connection) -> rusqlite::Result<Option<AcceptedId>> {
        let Some(id) = self.lookup.id(connection)? else {
            return Ok(None);
        };
        let mut select = connection.prepare_cached("SELECT wake FROM pending WHERE id = ?1")?;
        let wake = select.query_row([id], |row| row.get(0)).optional()?;
        let row = wake.map(|due| AcceptedId { due, id });
        let accepted = || self.accepted.iter().find(|one| one.id == id).copied();
        Ok(row.or_else(accepted))
    }

    fn ahead(
        &self,
        connection: &Connection,
        own: AcceptedId,
        max: usize,
    ) -> rusqlite::Result<usize> {
        // Claimed ones have rows, too.
        let limit = i64::try_from(max.saturating_add(self.claims.len())).unwrap_or(i64::MAX);
        let mut select = connection.prepare_cached(BEFORE)?;
        let mut rows = select.query(params![self.service.as_str(), own.due, own.id, limit])?;
        let mut ahead = self.accepted.iter().take_while(|one| **one < own).count();
        while let Some(row) = rows.next()?
            && ahead < max
        {
            let cid = blob::cid(row.get_ref(0)?.as_blob()?);
            let is_claimed = cid.is_ok_and(|cid: Cid| self.claims.contains(cid));
            ahead += usize::from(!is_claimed);
        }
        Ok(ahead.min(max))
    }

    fn head(&self, connection: &Connection) -> rusqlite::Result<Option<(i64, Vec<u8>)>> {
        let Some(key) = self.concurrency_key else {
            return Ok(None);
        };
        let mut select = connection.prepare_cached(HEAD)?;
        let named = params![self.service.as_str(), key];
        select
            .query_row(named, |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open::SCHEMA;

    /// However many are pending, only those before it are read, up to the limit.
    #[test]
    fn the_place_is_found_by_indexes_that_also_sort() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let plan = |statement: &str| {
            let explain = format!("EXPLAIN QUERY PLAN {statement}");
            let mut explain = connection.prepare(&explain).unwrap();
            let rows = explain.query_map(params!["a", "b", 1, 2], |row| row.get::<_, String>(3));
            match rows {
                Ok(rows) => rows.map(Result::unwrap).collect::<Vec<_>>().join("; "),
                Err(error) => panic!("{error}"),
            }
        };
        let before = plan(BEFORE);
        assert!(
            before.contains("INDEX claimable (service=? AND wake<?)"),
            "{before}"
        );
        let head = plan(&HEAD.replace("LIMIT 1", "LIMIT ?3 OFFSET ?4"));
        assert!(
            head.contains("INDEX alone (service=? AND concurrency_key=?)"),
            "{head}"
        );
        for plan in [before, head] {
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
