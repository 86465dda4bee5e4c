//! A scan of a document, byte by byte: where each row begins and ends, and quotes that the reader accepts and RFC 4180
//! does not. Documents of one message are scanned as a whole (`row_lines`), longer ones piece by piece
//! (`row_splitter`).

use super::malformed::malformed;
use crate::model::error::Result;
use crate::model::sio::CsvOptions;

/// Where a byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before a row: it is a line end.
    Between,
    /// It is the first one of a row.
    Begin,
    /// It continues a row.
    Within,
    /// It is the line end after a row.
    End,
}

/// The state of a scan.
#[derive(Debug)]
pub(super) struct RowScanner {
    options: CsvOptions,
    line: u64,
    column: u64,
    at: At,
    is_between_rows: bool,
    /// The last byte was CR: a LF after it ends the same line.
    after_return: bool,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Begin,
    Plain,
    Quoted { line: u64, column: u64 },
    Ended,
}

impl RowScanner {
    pub(super) fn new(options: CsvOptions) -> Self {
        Self {
            options,
            line: 1,
            column: 0,
            at: At::Begin,
            is_between_rows: true,
            after_return: false,
        }
    }

    /// The line of the next byte.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Scans one byte.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` for text after a closing quote.
    pub(super) fn step(&mut self, byte: u8) -> Result<Place> {
        self.column += 1;
        let ends_line = byte == b'\n' || byte == b'\r';
        let mut place = match (self.is_between_rows, ends_line) {
            (true, true) => Place::Between,
            (true, false) => Place::Begin,
            (false, _) => Place::Within,
        };
        self.is_between_rows &= ends_line;
        self.at = match self.at {
            At::Quoted { .. } if byte == self.options.quote => At::Ended,
            At::Quoted { .. } => self.at,
            // A doubled quote is part of the text.
            At::Ended if byte == self.options.quote => self.quoted(),
            _ if ends_line => {
                if place == Place::Within {
                    place = Place::End;
                }
                self.is_between_rows = true;
                At::Begin
            }
            _ if byte == self.options.delimiter => At::Begin,
            At::Begin if byte == self.options.quote => self.quoted(),
            At::Ended => {
                let message = "there is text after the closing quote of a cell";
                return Err(malformed(self.line, Some(self.column), "NOT_CSV", message));
            }
            At::Begin | At::Plain => At::Plain,
        };
        if ends_line {
            self.line += u64::from(byte == b'\r' || !self.after_return);
            self.column = 0;
        }
        self.after_return = byte == b'\r';
        Ok(place)
    }

    fn quoted(&self) -> At {
        At::Quoted {
            line: self.line,
            column: self.column,
        }
    }

    /// Checks the end of the document.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` for a quote that is not closed.
    pub(super) fn finish(&self) -> Result<()> {
        match self.at {
            At::Quoted { line, column } => {
                let message = "the quote that begins here is not closed";
                Err(malformed(line, Some(column), "NOT_CSV", message))
            }
            At::Begin | At::Plain | At::Ended => Ok(()),
        }
    }
}
