//! Formats of the file: how one that an earlier version wrote becomes one of this version.
//!
//! What was written is never lost: each step runs in the transaction that raises the number.

use rusqlite::Connection;

/// The format that this version writes (`user_version`).
pub(super) const FORMAT: i32 = 4;

/// The steps: the first makes format 2 of format 1, and so on.
const STEPS: [&str; 3] = [
    // 2: what waits for another one with its concurrency key is not looked at when something is claimed; what workers
    // declared is remembered; what is over is found; a key accepts one invocation, whatever its service.
    "ALTER TABLE invocation ADD COLUMN leads INTEGER NOT NULL DEFAULT 1;
     UPDATE invocation SET leads = 0 WHERE state < 2 AND concurrency_key IS NOT NULL AND id != (
         SELECT first.id FROM invocation AS first WHERE first.service = invocation.service
         AND first.state < 2 AND first.concurrency_key = invocation.concurrency_key
         ORDER BY first.wake, first.id LIMIT 1);
     ALTER TABLE invocation ADD COLUMN over INTEGER;
     CREATE INDEX overdue ON invocation (over) WHERE state < 2 AND over IS NOT NULL;
     DROP INDEX idempotency;
     CREATE INDEX idempotency ON invocation (idempotency_key) WHERE idempotency_key IS NOT NULL;
     DROP INDEX pending;
     CREATE INDEX pending ON invocation (service, wake) WHERE state < 2 AND leads = 1;
     CREATE TABLE announced (
         service TEXT NOT NULL, hash TEXT NOT NULL, first_time INTEGER NOT NULL, last_time INTEGER NOT NULL,
         declaration BLOB NOT NULL, PRIMARY KEY (service, hash)
     ) STRICT, WITHOUT ROWID;",
    // 3: outcomes are awaited from outside; lists by service, and of what failed, have indexes.
    "ALTER TABLE invocation ADD COLUMN later BLOB;
     ALTER TABLE invocation ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0;
     DROP INDEX alone;
     CREATE INDEX alone ON invocation (service, concurrency_key, awaited DESC, wake, id)
         WHERE state < 2 AND concurrency_key IS NOT NULL;
     CREATE INDEX awaited ON invocation (id) WHERE awaited = 1;
     CREATE INDEX of_service ON invocation (service);
     CREATE INDEX failures ON invocation (state) WHERE state > 2;",
    // 4: groups.
    "ALTER TABLE invocation ADD COLUMN group_cid BLOB;
     ALTER TABLE invocation ADD COLUMN position INTEGER;
     ALTER TABLE invocation ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE invocation ADD COLUMN open_members INTEGER;
     CREATE INDEX members ON invocation (group_cid, position) WHERE group_cid IS NOT NULL;
     DROP INDEX purge;
     CREATE INDEX purge ON invocation (purge_time) WHERE purge_time IS NOT NULL AND held = 0;",
];

/// Whether a format can be brought to this version's.
pub(super) fn is_known(format: i32) -> bool {
    (1..=FORMAT).contains(&format)
}

/// Brings a file of an earlier format to this version's.
pub(super) fn migrate(connection: &Connection, format: i32) -> rusqlite::Result<()> {
    let done = usize::try_from(format - 1).unwrap_or_default();
    for (step, next) in STEPS.iter().skip(done).zip(format + 1..) {
        tracing::info!(format = next, "bringing the store to a newer format");
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {step} PRAGMA user_version = {next}; COMMIT;"
        ))?;
    }
    Ok(())
}
