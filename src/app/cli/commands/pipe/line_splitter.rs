//! Splits a document into its lines, as its bytes arrive. At most one line is held.

use crate::codec::csv::RowText;
use crate::model::error::{Error, Result, reason};

/// The state between two pieces of a document.
#[derive(Debug)]
pub(super) struct LineSplitter {
    max_bytes: usize,
    text: Vec<u8>,
    line: u64,
}

impl LineSplitter {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            text: Vec::new(),
            line: 1,
        }
    }

    /// Takes bytes until a line that is not blank is complete; `None` where all are taken before.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE` for a longer line.
    pub(super) fn next_row(&mut self, bytes: &mut &[u8]) -> Result<Option<RowText>> {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.push(text)?;
            *bytes = rest;
            if end.is_none() {
                return Ok(None);
            }
            *bytes = rest.get(1..).unwrap_or_default();
            let row = self.last_row();
            self.line += 1;
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }

    /// The last line, where the document does not end with a line end.
    pub(super) fn last_row(&mut self) -> Option<RowText> {
        let text = std::mem::take(&mut self.text);
        let line = self.line;
        (!text.trim_ascii().is_empty()).then_some(RowText { line, text })
    }

    fn push(&mut self, text: &[u8]) -> Result<()> {
        if self.text.len() + text.len() > self.max_bytes {
            let (line, limit) = (self.line, self.max_bytes);
            let message = format!("line {line} is longer than {limit} bytes");
            let error = Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message);
            return Err(error.with_retryable(false));
        }
        self.text.extend_from_slice(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_in_pieces_of_any_size() {
        let text = b"1\n\n  \n[2,\"x\"]\r\n3";
        for size in 1..=text.len() {
            let mut splitter = LineSplitter::new(10);
            let mut rows = Vec::new();
            for mut piece in text.chunks(size) {
                while let Some(row) = splitter.next_row(&mut piece).unwrap() {
                    rows.push(row);
                }
            }
            rows.extend(splitter.last_row());
            let rows: Vec<_> = rows.iter().map(|row| (row.line, &*row.text)).collect();
            let expected: [(u64, &[u8]); 3] = [(1, b"1"), (4, b"[2,\"x\"]\r"), (5, b"3")];
            assert_eq!(rows, expected, "{size}");
        }
        let mut splitter = LineSplitter::new(3);
        let error = splitter.next_row(&mut &b"1234"[..]).unwrap_err();
        assert_eq!(error.reason(), reason::MESSAGE_TOO_LARGE);
    }
}
