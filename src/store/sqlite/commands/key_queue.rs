//! Concurrency keys: of the pending invocations of a service with the same key the first one is the head of a queue,
//! and only the head can be claimed.
//!
//! The head is stored (the column `leads`), so that a claim finds it by an index however long the queue is. A command
//! that may change the order reads the head before, and moves the mark after.

use rusqlite::{OptionalExtension as _, params};

use super::transaction::Tx;

/// The head of the queue of a concurrency key, as it was before the command.
pub(super) struct KeyQueueHead<'k> {
    service: i64,
    key: &'k str,
    head: Option<i64>,
}

impl<'k> KeyQueueHead<'k> {
    /// Reads the head of the queue of a service and key, before anything in it changes. `None` without a key.
    pub(super) fn read(tx: &Tx<'_>, key: Option<(i64, &'k str)>) -> rusqlite::Result<Option<Self>> {
        let Some((service, key)) = key else {
            return Ok(None);
        };
        Ok(Some(Self {
            service,
            key,
            head: head(tx, service, key)?,
        }))
    }

    /// Marks the invocation that is the head now.
    pub(super) fn update_head(self, tx: &Tx<'_>) -> rusqlite::Result<()> {
        let now = head(tx, self.service, self.key)?;
        if now == self.head {
            return Ok(());
        }
        let mut update = tx.prepare("UPDATE pending SET leads = ?2 WHERE id = ?1")?;
        for (id, is_head) in [(self.head, false), (now, true)] {
            if let Some(id) = id {
                update.execute(params![id, is_head])?;
            }
        }
        Ok(())
    }
}

fn head(tx: &Tx<'_>, service: i64, key: &str) -> rusqlite::Result<Option<i64>> {
    let select = "SELECT id FROM pending WHERE service = ?1 AND concurrency_key = ?2
         ORDER BY awaited DESC, wake, id LIMIT 1";
    let mut select = tx.prepare(select)?;
    select
        .query_row(params![service, key], |row| row.get(0))
        .optional()
}
