//! Verifies a copy: by reading all of it, as a node would.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::progress::{Stop, ended};
use crate::model::error::{Error, Kind, Result, reason};
use crate::store::sqlite::error::failed;
use crate::store::sqlite::read_only::ReadOnlyStore;

/// After so many steps of SQLite others get the processor.
const STEPS: i32 = 20_000;
const PAUSE: Duration = Duration::from_millis(1);

/// Verifies a copy, and returns how many invocations are in it. `generation`, `bytes`: of the snapshot that it is of.
///
/// # Errors
///
/// `DATA_LOSS` / `STORE_DAMAGED`; `CANCELLED`.
pub(super) fn verify(
    path: &Path,
    generation: i64,
    bytes: u64,
    stop: &Arc<Stop>,
    shown: impl Fn(f64),
) -> Result<u64> {
    let mut copy = ReadOnlyStore::open(path)?;
    let length = std::fs::metadata(path).map_or(0, |found| found.len());
    if length != bytes {
        return Err(unsound(&format!("it has {length} bytes, not {bytes}")));
    }
    let of_handler = Arc::clone(stop);
    let pause = move || of_handler.pause(PAUSE);
    copy.connection
        .progress_handler(STEPS, Some(pause))
        .map_err(failed)?;
    let checked = check(&copy.connection, generation);
    shown(1.0);
    checked.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => ended(),
        _ => failed(error),
    })?
}

fn check(copy: &Connection, generation: i64) -> rusqlite::Result<Result<u64>> {
    let first_fault = "PRAGMA quick_check(1)";
    let verdict: String = copy.query_row(first_fault, [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Err(unsound(&verdict)));
    }
    let select = "SELECT value FROM meta WHERE key = 'generation'";
    let copied: i64 = copy.query_row(select, [], |row| row.get(0))?;
    if copied != generation {
        let fault = format!("it has generation {copied}, not {generation}");
        return Ok(Err(unsound(&fault)));
    }
    let count: i64 = copy.query_row("SELECT count(*) FROM invocation", [], |row| row.get(0))?;
    Ok(Ok(u64::try_from(count).unwrap_or_default()))
}

/// `DATA_LOSS` / `STORE_DAMAGED`: what was copied is damaged, since the pages are copied as they are.
fn unsound(fault: &str) -> Error {
    let message = format!(
        "the copy is not sound, and is removed: {fault}; `cidery store check` of the data directory names all faults"
    );
    Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message)
}
