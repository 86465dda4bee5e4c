//! A scan of a document: the line in which each row begins, and quotes that the reader accepts and RFC 4180 does not.

use super::malformed::malformed;
use crate::model::error::Result;
use crate::model::sio::CsvOptions;

/// Finds the line in which each row begins. Rejects what the reader accepts: unterminated quotes, and text after a
/// closing quote.
pub(super) fn lines_of_rows(bytes: &[u8], options: CsvOptions) -> Result<Vec<u64>> {
    #[derive(PartialEq)]
    enum At {
        Begin,
        Plain,
        Quoted { line: u64, column: u64 },
        Ended,
    }
    let mut lines = Vec::new();
    let (mut line, mut column) = (1, 0);
    let (mut at, mut row_is_empty) = (At::Begin, true);
    for (index, &byte) in bytes.iter().enumerate() {
        column += 1;
        let ends_row = byte == b'\n' || byte == b'\r';
        if row_is_empty && !ends_row {
            lines.push(line);
            row_is_empty = false;
        }
        at = match at {
            At::Quoted { .. } if byte == options.quote => At::Ended,
            At::Quoted { .. } => at,
            // A doubled quote is part of the text.
            At::Ended if byte == options.quote => At::Quoted { line, column },
            _ if ends_row => {
                row_is_empty = true;
                At::Begin
            }
            _ if byte == options.delimiter => At::Begin,
            At::Begin if byte == options.quote => At::Quoted { line, column },
            At::Ended => {
                let message = "there is text after the closing quote of a cell";
                return Err(malformed(line, Some(column), "NOT_CSV", message));
            }
            At::Begin | At::Plain => At::Plain,
        };
        let ends_line = byte == b'\n' || (byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'));
        if ends_line {
            line += 1;
            column = 0;
        }
    }
    match at {
        At::Quoted { line, column } => {
            let message = "the quote that begins here is not closed";
            Err(malformed(line, Some(column), "NOT_CSV", message))
        }
        _ => Ok(lines),
    }
}
