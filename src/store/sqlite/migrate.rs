//! Migrations: brings a file of an earlier format to the format of this version.
//!
//! Each step is one transaction with the number of its format, so that a crash leaves the file in the format before or
//! after it.

use rusqlite::Connection;

/// The format that this version writes: the `user_version` of the file.
pub(super) const FORMAT: i32 = 5;

/// The steps: the first one migrates format 1 to format 2, and so on.
const STEPS: [&str; 4] = [
    // 2: claims skip invocations that wait for their concurrency key; declarations of workers are remembered; expired
    // invocations are found by an index; an idempotency key identifies one invocation, whatever its service.
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
    // 3: completion from outside; indexes for lists by service and of failures.
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
    // 5: rows that are written once, pending ones apart from them.
    include_str!("format_5.sql"),
];

/// Tables that files of this format may lack: the first ones were written without them. Made where a file is opened, as
/// they are in `schema.sql`.
pub(super) const ADDED_TABLES: [(&str, &str); 6] = [
    ("principal", "id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE"),
    (
        "operation",
        "id BLOB PRIMARY KEY, state INTEGER NOT NULL, create_time INTEGER NOT NULL, end_time INTEGER,
         request BLOB NOT NULL, position INTEGER NOT NULL, progress BLOB NOT NULL",
    ),
    (
        "service_control",
        "service TEXT PRIMARY KEY, pause_time INTEGER, pause_reason TEXT NOT NULL, pause_principal TEXT NOT NULL,
         background_only INTEGER NOT NULL, disable_time INTEGER, disable_reason TEXT NOT NULL,
         disable_principal TEXT NOT NULL",
    ),
    (
        "retry",
        "id INTEGER PRIMARY KEY, retried_as BLOB NOT NULL",
    ),
    (
        "store_key",
        "id TEXT PRIMARY KEY, first_time INTEGER NOT NULL, last_id INTEGER, sample BLOB NOT NULL",
    ),
    (
        "api_key",
        "id TEXT PRIMARY KEY, secret_hash BLOB NOT NULL, principal TEXT NOT NULL, principal_group TEXT,
         rights BLOB NOT NULL, create_time INTEGER NOT NULL, created_by TEXT, expire_time INTEGER,
         revoke_time INTEGER, quota BLOB",
    ),
];
/// A column with the id of a principal.
const PRINCIPAL: &str = "INTEGER REFERENCES principal (id)";
/// Columns that they may lack, each with its table and its type.
const ADDED_COLUMNS: [(&str, &str, &str); 7] = [
    ("invocation", "principal", PRINCIPAL),
    ("invocation", "owner", PRINCIPAL),
    ("invocation", "owner_group", PRINCIPAL),
    ("tombstone", "owner", PRINCIPAL),
    ("tombstone", "owner_group", PRINCIPAL),
    ("api_key", "quota", "BLOB"),
    ("announced", "principal", "TEXT"),
];
/// Indexes that they may lack.
const ADDED_INDEXES: &str = "CREATE INDEX IF NOT EXISTS dead_letters ON pending (id, due)
         WHERE due >= 9223372036854775807 AND awaited = 0;
     CREATE INDEX IF NOT EXISTS failed_at ON outcome (end_time, failure_reason) WHERE state = 3;
     CREATE INDEX IF NOT EXISTS asked ON invocation (principal) WHERE principal IS NOT NULL;
     CREATE INDEX IF NOT EXISTS owned ON invocation (owner) WHERE owner IS NOT NULL;
     CREATE INDEX IF NOT EXISTS owned_by_group ON invocation (owner_group) WHERE owner_group IS NOT NULL;";

/// Whether this version can open a format.
pub(super) fn is_known(format: i32) -> bool {
    (1..=FORMAT).contains(&format)
}

/// Migrates a file of an earlier format to the format of this version.
pub(super) fn migrate(connection: &Connection, format: i32) -> rusqlite::Result<()> {
    let done = usize::try_from(format - 1).unwrap_or_default();
    for (step, next) in STEPS.iter().skip(done).zip(format + 1..) {
        tracing::info!(format = next, "migrating the store to a newer format");
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {step} PRAGMA user_version = {next}; COMMIT;"
        ))?;
    }
    for (name, columns) in ADDED_TABLES {
        let rows = match name {
            "retry" | "principal" => "STRICT",
            _ => "STRICT, WITHOUT ROWID",
        };
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {name} ({columns}) {rows};"
        ))?;
    }
    for (table, column, kind) in ADDED_COLUMNS {
        add_column(connection, table, column, kind)?;
    }
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {ADDED_INDEXES} COMMIT;"))
}

/// Adds a column, unless it is there.
fn add_column(
    connection: &Connection,
    table: &str,
    column: &str,
    kind: &str,
) -> rusqlite::Result<()> {
    let select = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
    let is_there: bool = connection.query_row(select, [table, column], |row| row.get(0))?;
    match is_there {
        true => Ok(()),
        false => {
            connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {kind};"))
        }
    }
}
