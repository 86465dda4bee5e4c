//! What a store contains, and what takes its room: read from the file, whether or not a node uses it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use super::error::{failed, is_damage};
use super::keys::read_usage;
use super::migrate::FORMAT;
use super::read_only::ReadOnlyStore;
use crate::model::error::Result;
use crate::store::blob;

/// What a store contains.
#[derive(Debug)]
pub(crate) struct StoreStats {
    /// The database.
    pub(crate) file: PathBuf,
    /// The number of its format.
    pub(crate) format: i32,
    /// How often it was opened.
    pub(crate) generation: u64,
    /// Whether it was closed cleanly: nothing uses it, and it did not crash.
    pub(crate) is_clean: bool,
    /// The size of the database, without its log.
    pub(crate) bytes: u64,
    /// The size of its write-ahead log.
    pub(crate) wal_bytes: u64,
    /// How much of the database is free, and will be used again or returned to the disk.
    pub(crate) free_bytes: u64,
    /// When the first and the last invocation that it contains were accepted.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) newest: Option<Timestamp>,
    pub(crate) tables: Vec<TableStats>,
    /// The services with invocations that have not ended, those with most first. Groups have no name.
    pub(crate) pending: Vec<PendingStats>,
    /// The ids of the keys with which it is encrypted, in the order of their first use.
    pub(crate) key_ids: Vec<String>,
}

/// A table.
#[derive(Debug, Default)]
pub(crate) struct TableStats {
    pub(crate) name: String,
    pub(crate) rows: u64,
    /// The pages of its rows, and those of its indexes; `None` if SQLite was compiled without `dbstat`.
    pub(crate) bytes: Option<u64>,
    pub(crate) index_bytes: Option<u64>,
}

/// The invocations of a service that have not ended.
#[derive(Debug)]
pub(crate) struct PendingStats {
    pub(crate) service: String,
    pub(crate) count: u64,
    /// When the first of them is due.
    pub(crate) due: Timestamp,
}

/// Reads what is in a database, or in the one in a directory. All pages are read.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: there is no store, or one of a newer version. `DATA_LOSS` /
/// `STORE_DAMAGED`; `UNAVAILABLE` / `STORE_FAILED` where the disk fails.
pub(crate) fn stats(path: &Path) -> Result<StoreStats> {
    let store = ReadOnlyStore::open(path)?;
    read(&store).map_err(|error| {
        let cause = error.to_string();
        let failure = failed(error);
        let message = format!("cannot read `{}`: {cause}", store.file.display());
        match failure.reason() {
            crate::model::error::reason::STORE_DAMAGED => {
                failure.with_message(format!("{message}; `cidery store check` names all faults"))
            }
            _ => failure.with_message(message),
        }
    })
}

fn read(store: &ReadOnlyStore) -> rusqlite::Result<StoreStats> {
    let connection = &store.connection;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let meta = |key: &str| {
        let select = "SELECT value FROM meta WHERE key = ?1";
        let value = connection.query_row(select, [key], |row| row.get::<_, i64>(0));
        value.optional().map(Option::unwrap_or_default)
    };
    let page_bytes = pragma("page_size")?;
    let accepted = |order: &str| {
        let select = format!("SELECT accept_time FROM invocation ORDER BY id {order} LIMIT 1");
        let time = connection.query_row(&select, [], |row| row.get(0));
        time.optional().map(|time| time.map(blob::timestamp))
    };
    Ok(StoreStats {
        file: store.file.clone(),
        format: store.format,
        generation: count(meta("generation")?),
        is_clean: meta("clean")? == 1,
        bytes: count(pragma("page_count")?.saturating_mul(page_bytes)),
        wal_bytes: store.wal_bytes.unwrap_or_default(),
        free_bytes: count(pragma("freelist_count")?.saturating_mul(page_bytes)),
        oldest: accepted("ASC")?,
        newest: accepted("DESC")?,
        tables: tables(connection)?,
        pending: pending(connection, store.format)?,
        key_ids: key_ids(connection, store.format)?,
    })
}

/// The keys that are needed to read all of it. Earlier formats are not encrypted.
fn key_ids(connection: &Connection, format: i32) -> rusqlite::Result<Vec<String>> {
    let exists = "SELECT count(*) FROM sqlite_schema WHERE name = 'store_key'";
    if format < FORMAT || connection.query_row(exists, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(Vec::new());
    }
    let usage = read_usage(connection)?.into_iter();
    let needed = usage.filter(|key| key.invocations > 0 || key.operations > 0);
    Ok(needed.filter_map(|key| key.id).collect())
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<TableStats>> {
    let mut select = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?;
    let names = select.query_map([], |row| row.get(0))?;
    let names = names.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut sizes = match sizes(connection) {
        Err(error) if is_damage(&error) => return Err(error),
        sizes => sizes.ok(),
    };
    let described = names.into_iter().map(|name| {
        let select = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let rows = count(connection.query_row(&select, [], |row| row.get(0))?);
        let sizes = sizes.as_mut();
        let sizes = sizes.map(|sizes| sizes.remove(&name).unwrap_or_default());
        Ok(TableStats {
            name,
            rows,
            bytes: sizes.map(|(bytes, _)| bytes),
            index_bytes: sizes.map(|(_, bytes)| bytes),
        })
    });
    described.collect()
}

/// How many bytes each table and its indexes have.
fn sizes(connection: &Connection) -> rusqlite::Result<BTreeMap<String, (u64, u64)>> {
    let select = "SELECT parts.tbl_name, parts.type = 'index', dbstat.pgsize FROM dbstat
         JOIN sqlite_schema AS parts ON parts.name = dbstat.name WHERE dbstat.aggregate = TRUE";
    let mut select = connection.prepare(select)?;
    let mut rows = select.query([])?;
    let mut sizes = BTreeMap::<String, (u64, u64)>::new();
    while let Some(row) = rows.next()? {
        let (of_table, of_indexes) = sizes.entry(row.get(0)?).or_default();
        let part = match row.get(1)? {
            true => of_indexes,
            false => of_table,
        };
        *part = part.saturating_add(count(row.get(2)?));
    }
    Ok(sizes)
}

/// In the present format, invocations that the indexes lack may have no row among the pending ones.
fn pending(connection: &Connection, format: i32) -> rusqlite::Result<Vec<PendingStats>> {
    let open = match format < FORMAT {
        true => "SELECT service, due FROM invocation WHERE state < 2",
        false => {
            "SELECT service, due FROM pending UNION ALL SELECT service, accept_time FROM invocation
             WHERE id > (SELECT value FROM meta WHERE key = 'indexed')
                 AND NOT EXISTS (SELECT 1 FROM pending WHERE pending.id = invocation.id)
                 AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = invocation.id)"
        }
    };
    let select = format!(
        "SELECT coalesce(service.name, ''), count(*), min(due) FROM ({open}) AS open
         LEFT JOIN service ON service.id = open.service GROUP BY open.service ORDER BY 2 DESC, 1"
    );
    let mut select = connection.prepare(&select)?;
    let rows = select.query_map([], |row| {
        Ok(PendingStats {
            service: row.get(0)?,
            count: count(row.get(1)?),
            due: blob::timestamp(row.get(2)?),
        })
    })?;
    rows.collect()
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
