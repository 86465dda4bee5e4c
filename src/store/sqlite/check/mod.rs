//! Checks a store, or a copy of one, by reading it: what SQLite finds, and the invariants of the tables.

mod contents;
mod fault;
mod rules;

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Rows};

use self::contents::{check_declarations, check_invocations, check_operators, check_retries};
pub(crate) use self::fault::Fault;
use self::fault::{FaultKind, Faults};
use self::rules::RULES;
use super::error::{failed, is_damage};
use super::keys::{KeyUsage, read_usage};
use super::migrate::FORMAT;
use super::read_only::ReadOnlyStore;
use crate::model::error::Result;
use crate::store::blob;
use crate::store::cipher::{BlobCipher, StoreKeys};

/// How far a time may be ahead of the clock of this machine, which may be wrong as well: a year. Damage is most often
/// centuries off.
const CLOCK_AHEAD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What a check has found.
#[derive(Debug)]
pub(crate) struct CheckReport {
    /// The database.
    pub(crate) file: PathBuf,
    /// The number of its format. Of an earlier format than the present one, the tables are not checked: a node upgrades
    /// the file when it opens it.
    pub(crate) format: i32,
    pub(crate) is_earlier_format: bool,
    /// Whether a node uses it, or has not closed it.
    pub(crate) has_log: bool,
    pub(crate) generation: u64,
    pub(crate) invocations: u64,
    /// How many of them have not ended.
    pub(crate) pending: u64,
    /// The keys that it needs, and what is not encrypted.
    pub(crate) keys: Vec<KeyUsage>,
    /// How many invocations were not read, since their keys were not given.
    pub(crate) unread: u64,
    pub(crate) faults: Vec<Fault>,
    /// Whether the limit has left out faults.
    pub(crate) is_cut: bool,
}

/// Checks a database, or the one in a directory, and names up to `limit` faults. A node may use it meanwhile. What is
/// encrypted is read with the keys that are `given`; the rest is checked without.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: there is no store, or one of a newer version. `UNAVAILABLE` /
/// `STORE_FAILED` where the disk fails.
pub(crate) fn check(
    path: &Path,
    given: Option<StoreKeys>,
    limit: usize,
    now: Timestamp,
) -> Result<CheckReport> {
    let store = ReadOnlyStore::open(path)?;
    let mut checker = Checker {
        connection: &store.connection,
        faults: Faults::new(limit),
    };
    let is_earlier_format = store.format < FORMAT;
    checker.check_file()?;
    let generation = checker.number("SELECT value FROM meta WHERE key = 'generation'")?;
    let invocations = checker.number("SELECT count(*) FROM invocation")?;
    let open = match is_earlier_format {
        true => "SELECT count(*) FROM invocation WHERE state < 2",
        false => "SELECT (SELECT count(*) FROM invocation) - (SELECT count(*) FROM outcome)",
    };
    let pending = checker.number(open)?;
    let (mut keys, mut unread) = (Vec::new(), 0);
    if !is_earlier_format {
        checker.check_tables(now)?;
        let cipher = BlobCipher::new(given, false);
        checker.contents(|connection, faults| {
            unread = check_invocations(connection, &cipher, generation, faults)?;
            Ok(())
        })?;
        checker.contents(|connection, faults| check_retries(connection, &cipher, faults))?;
        checker.contents(check_declarations)?;
        checker.contents(|connection, faults| check_operators(connection, &cipher, faults))?;
        checker.contents(|connection, _| {
            keys = read_usage(connection)?;
            Ok(())
        })?;
    }
    let Faults { found, is_cut, .. } = checker.faults;
    Ok(CheckReport {
        file: store.file,
        format: store.format,
        is_earlier_format,
        has_log: store.wal_bytes.is_some(),
        generation,
        invocations,
        pending,
        keys,
        unread,
        faults: found,
        is_cut,
    })
}

/// A check under way.
struct Checker<'c> {
    connection: &'c Connection,
    faults: Faults,
}

impl Checker<'_> {
    /// What SQLite finds: pages that it refuses, rows that break their table, indexes that disagree with it.
    fn check_file(&mut self) -> Result<()> {
        let limit = i64::try_from(self.faults.left()).unwrap_or(i64::MAX);
        let pragma = format!("PRAGMA integrity_check({})", limit.saturating_add(1));
        self.each_row(&pragma, &[], |faults, row| {
            let found: String = row.get(0)?;
            Ok(match found.as_str() {
                "ok" => true,
                _ => faults.add(FaultKind::Damaged, None, found),
            })
        })
    }

    /// The invariants of the tables.
    fn check_tables(&mut self, now: Timestamp) -> Result<()> {
        let latest = blob::nanos(now.saturating_add(CLOCK_AHEAD).unwrap_or(Timestamp::MAX));
        for rule in RULES {
            let values: &[i64] = match rule.select.contains("?1") {
                true => &[latest],
                false => &[],
            };
            self.each_row(rule.select, values, |faults, row| {
                let cid = row.get::<_, Option<Vec<u8>>>(0)?;
                let cid = cid.and_then(|cid| blob::cid(&cid).ok());
                Ok(faults.add(rule.kind, cid, row.get(1)?))
            })?;
        }
        Ok(())
    }

    /// Passes the rows of a statement to a function until no more faults are asked for. What is damaged is a fault, and
    /// the check goes on.
    fn each_row(
        &mut self,
        select: &str,
        values: &[i64],
        mut each: impl FnMut(&mut Faults, &rusqlite::Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<()> {
        self.contents(|connection, faults| {
            let mut select = connection.prepare(select)?;
            let mut rows: Rows<'_> = select.query(rusqlite::params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                if !each(faults, row)? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Runs a part of the check. What is damaged is a fault, and the check goes on.
    fn contents(
        &mut self,
        check: impl FnOnce(&Connection, &mut Faults) -> rusqlite::Result<()>,
    ) -> Result<()> {
        if self.faults.is_cut {
            return Ok(());
        }
        match check(self.connection, &mut self.faults) {
            Err(error) if is_damage(&error) => {
                self.faults.add(FaultKind::Damaged, None, error.to_string());
                Ok(())
            }
            checked => checked.map_err(failed),
        }
    }

    /// A number; 0 where it cannot be read.
    fn number(&mut self, select: &str) -> Result<u64> {
        let mut number = 0;
        self.each_row(select, &[], |_, row| {
            number = row.get::<_, i64>(0)?;
            Ok(true)
        })?;
        Ok(u64::try_from(number).unwrap_or_default())
    }
}
