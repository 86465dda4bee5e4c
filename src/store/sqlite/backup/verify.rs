//! Verifies a copy: by reading all of it, as a node would.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::progress::{Stop, ended};
use crate::model::error::{Error, Kind, Result, reason};
use crate::store::sqlite::error::failed;
use crate::store::sqlite::read_only::ReadOnlyStore;

/// After so many steps of SQLite, progress is shown: a page that is checked, or an instruction of its machine.
const STEPS: i32 = 5_000;
/// After so many times, others get the processor.
const STEPS_BETWEEN_PAUSES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(1);
/// How often a page is read of a store with many small invocations: as the tree is walked, row by row, and to count.
/// Pages of large values are read once, so that their progress ends early.
const READS: f64 = 2.5;

/// Verifies a copy, and returns how many invocations are in it. `generation`, `bytes`: of the snapshot that it is of.
/// `shown`: gets how much is done, from 0 to 1.
///
/// # Errors
///
/// `DATA_LOSS` / `STORE_DAMAGED`; `CANCELLED`.
pub(super) fn verify(
    path: &Path,
    generation: i64,
    bytes: u64,
    stop: &Arc<Stop>,
    shown: impl Fn(f64) + Send + 'static,
) -> Result<u64> {
    shown(0.0);
    let mut copy = ReadOnlyStore::open(path)?;
    let length = std::fs::metadata(path).map_or(0, |found| found.len());
    if length != bytes {
        return Err(unsound(&format!("it has {length} bytes, not {bytes}")));
    }
    let (of_handler, begun, mut calls) = (Arc::clone(stop), bytes_read(), 0_u32);
    let handler = move || {
        calls = calls.wrapping_add(1);
        if let (Some(now), Some(begun)) = (bytes_read(), begun) {
            shown(now.saturating_sub(begun) as f64 / (bytes.max(1) as f64 * READS));
        }
        match calls.is_multiple_of(STEPS_BETWEEN_PAUSES) {
            true => of_handler.pause(PAUSE),
            false => of_handler.is_stopped(),
        }
    };
    copy.connection
        .progress_handler(STEPS, Some(handler))
        .map_err(failed)?;
    let checked = check(&copy.connection, generation);
    checked.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => ended(),
        _ => failed(error),
    })?
}

/// How many bytes this thread has read from files, where the system counts them (Linux).
fn bytes_read() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let count = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
    count?.parse().ok()
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
