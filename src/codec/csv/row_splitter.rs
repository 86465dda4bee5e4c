//! Splits a document of any length into its rows, as its bytes arrive. At most one row is held. `cidery pipe` reads
//! with it.

use csv::{ByteRecord, ReaderBuilder};

use super::malformed::{MalformedRows, malformed};
use super::read::{NOT_UTF8, NOT_UTF8_MESSAGE, Row, header, row_dict, too_many_cells};
use super::row_scanner::{Place, RowScanner};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::sio::{CsvOptions, Elements};
use crate::model::value::Dict;

/// The byte order mark that spreadsheets write, in UTF-8.
const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// One row as it is in the document, without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowText {
    /// The line in which it begins.
    pub(crate) line: u64,
    pub(crate) text: Vec<u8>,
}

/// The state between two pieces of a document.
#[derive(Debug)]
pub(crate) struct RowSplitter {
    scanner: RowScanner,
    max_bytes: usize,
    row: Vec<u8>,
    line: u64,
    /// How many bytes of the document are a mark so far; `None` after its beginning.
    mark: Option<usize>,
}

impl RowSplitter {
    /// `max_bytes` is the longest row.
    pub(crate) fn new(options: CsvOptions, max_bytes: usize) -> Self {
        Self {
            scanner: RowScanner::new(options),
            max_bytes,
            row: Vec::new(),
            line: 1,
            mark: Some(0),
        }
    }

    /// Takes bytes until a row is complete; `None` where all are taken before.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED`; `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE` for a longer row.
    pub(crate) fn next_row(&mut self, bytes: &mut &[u8]) -> Result<Option<RowText>> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if let Some(found) = self.mark {
                if MARK.get(found) == Some(&byte) {
                    self.mark = Some(found + 1);
                    continue;
                }
                self.mark = None;
                if found < MARK.len() {
                    // What began like a mark is text.
                    for &byte in MARK.iter().take(found) {
                        self.step(byte)?;
                    }
                }
            }
            if self.step(byte)? {
                return Ok(Some(self.take()));
            }
        }
        Ok(None)
    }

    /// The last row, where the document does not end with a line end.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` for a quote that is not closed.
    pub(crate) fn last_row(&mut self) -> Result<Option<RowText>> {
        self.scanner.finish()?;
        Ok((!self.row.is_empty()).then(|| self.take()))
    }

    /// Whether the byte ends a row.
    fn step(&mut self, byte: u8) -> Result<bool> {
        let line = self.scanner.line();
        match self.scanner.step(byte)? {
            Place::Between => return Ok(false),
            Place::End => return Ok(true),
            Place::Begin => self.line = line,
            Place::Within => {}
        }
        if self.row.len() >= self.max_bytes {
            let (line, limit) = (self.line, self.max_bytes);
            let message = format!("the row in line {line} is longer than {limit} bytes");
            let error = Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message);
            return Err(error.with_retryable(false));
        }
        self.row.push(byte);
        Ok(false)
    }

    fn take(&mut self) -> RowText {
        RowText {
            line: self.line,
            text: std::mem::take(&mut self.row),
        }
    }
}

/// The columns of a document that is read row by row.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    names: Vec<String>,
    options: CsvOptions,
}

impl Columns {
    /// Those of a header.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED`, also for two columns of one name.
    pub(crate) fn of_header(row: &RowText, options: CsvOptions) -> Result<Self> {
        let cells = record(row, options)?;
        let line = row.line;
        let names = header(&Row {
            cells: &cells,
            line,
        })?;
        Ok(Self { names, options })
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The cells of a row, in the order of the columns. One that is too short ends with empty cells.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED`: it is not UTF-8, or has more cells than there are columns.
    pub(crate) fn cells(&self, row: &RowText) -> Result<Vec<String>> {
        let record = record(row, self.options)?;
        let line = row.line;
        let mut malformed = MalformedRows::default();
        if record.len() > self.names.len() {
            let cells = &record;
            let message = too_many_cells(self.names.len(), &Row { cells, line });
            malformed.add(line, "TOO_MANY_CELLS", &message);
        }
        let mut cells = Vec::with_capacity(self.names.len());
        for (index, cell) in record.iter().enumerate().take(self.names.len()) {
            if std::str::from_utf8(cell).is_err() {
                let message = format!("cell {} {NOT_UTF8_MESSAGE}", index + 1);
                malformed.add(line, NOT_UTF8, &message);
            }
            cells.push(String::from_utf8_lossy(cell).into_owned());
        }
        cells.resize(self.names.len(), String::new());
        match malformed.into_error() {
            None => Ok(cells),
            Some(error) => Err(error),
        }
    }

    /// The dict of a row's cells, for those columns that `is_sent` names: declared ones are converted as in a whole
    /// document. With secrets, messages must not contain cells.
    ///
    /// # Errors
    ///
    /// What is wrong with cells.
    pub(crate) fn dict(
        &self,
        cells: &[String],
        declared: Option<&Elements>,
        has_secrets: bool,
        is_sent: impl Fn(&str) -> bool,
    ) -> std::result::Result<Dict, Vec<Violation>> {
        let named = self.names.iter().zip(cells);
        let named = named.filter(|(name, _)| is_sent(name));
        let columns = named.map(|(name, cell)| {
            let elements = declared.map(|declared| &declared.elements);
            let mut elements = elements.into_iter().flatten();
            let element = elements.find(|element| element.name == *name);
            (name.as_str(), element, cell.as_bytes())
        });
        match row_dict(columns, has_secrets) {
            (dict, violations) if violations.is_empty() => Ok(dict),
            (_, violations) => Err(violations),
        }
    }
}

/// The cells of one row. Its bytes are those of a whole row: the reader finds one record.
fn record(row: &RowText, options: CsvOptions) -> Result<ByteRecord> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.delimiter)
        .quote(options.quote)
        .buffer_capacity(row.text.len().max(1))
        .from_reader(row.text.as_slice());
    let mut record = ByteRecord::new();
    let read = reader.read_byte_record(&mut record);
    read.map_err(|error| malformed(row.line, None, "NOT_CSV", &error.to_string()))?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &[u8], size: usize) -> Result<Vec<(u64, String)>> {
        let mut splitter = RowSplitter::new(CsvOptions::default(), 20);
        let mut rows = Vec::new();
        for mut piece in text.chunks(size) {
            while let Some(row) = splitter.next_row(&mut piece)? {
                rows.push(row);
            }
        }
        rows.extend(splitter.last_row()?);
        let text = |row: RowText| (row.line, String::from_utf8(row.text).unwrap());
        Ok(rows.into_iter().map(text).collect())
    }

    #[test]
    fn rows_are_the_same_in_pieces_of_any_size() {
        let text = "\u{feff}\"a\",b\r\n\r\n1,\"x\r\ny\"\"\"\n2,3\r4,";
        let expected = [
            (1, "\"a\",b"),
            (3, "1,\"x\r\ny\"\"\""),
            (5, "2,3"),
            (6, "4,"),
        ];
        let expected = expected.map(|(line, text)| (line, text.to_owned()));
        for size in 1..=text.len() {
            assert_eq!(split(text.as_bytes(), size).unwrap(), expected, "{size}");
        }
        // It begins as a mark does.
        assert_eq!(
            split("\u{f000}1\n".as_bytes(), 1).unwrap()[0].1,
            "\u{f000}1"
        );
    }

    #[test]
    fn a_row_has_a_limit_and_quotes_are_closed() {
        let error = split(&[b'a'; 21], 4).unwrap_err();
        assert_eq!(error.reason(), reason::MESSAGE_TOO_LARGE);
        for text in ["a\n\"b", "a\n\"b\"c"] {
            let error = split(text.as_bytes(), 3).unwrap_err();
            let found = (error.reason(), error.fact("line"));
            assert_eq!(found, (reason::DOCUMENT_MALFORMED, Some("2")), "{text}");
        }
    }

    #[test]
    fn short_rows_are_filled_and_long_ones_refused() {
        let options = CsvOptions::default();
        let row = |text: &str| RowText {
            line: 7,
            text: text.into(),
        };
        let columns = Columns::of_header(&row("a, b"), options).unwrap();
        assert_eq!(columns.names(), ["a", "b"]);
        assert_eq!(columns.cells(&row("1")).unwrap(), ["1", ""]);
        let error = columns.cells(&row("1,2,3")).unwrap_err();
        assert_eq!(error.fact("line"), Some("7"));
        let dict = columns.dict(&["1".into(), "2".into()], None, false, |name| name == "b");
        assert_eq!(dict.unwrap(), crate::dict! { "b": "2" });
    }
}
