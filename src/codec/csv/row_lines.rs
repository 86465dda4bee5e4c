//! The line in which each row of a document begins, for messages.

use super::row_scanner::{Place, RowScanner};
use crate::model::error::Result;
use crate::model::sio::CsvOptions;

/// Finds the line in which each row begins. Rejects what the reader accepts: unterminated quotes, and text after a
/// closing quote.
pub(super) fn lines_of_rows(bytes: &[u8], options: CsvOptions) -> Result<Vec<u64>> {
    let mut scanner = RowScanner::new(options);
    let mut lines = Vec::new();
    for &byte in bytes {
        let line = scanner.line();
        if scanner.step(byte)? == Place::Begin {
            lines.push(line);
        }
    }
    scanner.finish()?;
    Ok(lines)
}
