//! CSV (RFC 4180) to values and back.
//!
//! A document is a list of dicts, one a row. Where elements are declared, cells become what the elements say: numbers
//! and dates are read from their text, lists and dicts from JSON. An empty cell is absent, except where a text is
//! required: there it is the empty one.

use std::collections::HashSet;
use std::str;

use csv::{ByteRecord, QuoteStyle, ReaderBuilder, Terminator, WriterBuilder};

use crate::codec::json;
use crate::codec::limits::MAX_KEYS;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::shortened;
use crate::model::sio::{Checked, CsvOptions, Element, Elements, Sio, Type};
use crate::model::value::{Dict, Value};

/// What spreadsheets begin their files with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a document for a service that declares nothing: all cells are texts.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` with the line and the column.
pub fn read(bytes: &[u8], options: CsvOptions) -> Result<Value> {
    let mut rows = Vec::new();
    let columns = |header: Option<Vec<String>>| header.unwrap_or_default();
    each_row(bytes, options, columns, |columns, row| {
        let mut dict = Dict::with_capacity(row.cells.len());
        if options.header && row.cells.len() > columns.len() {
            return Err(too_many_cells(columns.len(), &row).into_error());
        }
        for (index, cell) in row.cells.iter().enumerate() {
            let cell = row.text(cell)?;
            match columns.get(index) {
                Some(name) => dict.insert(name.as_str(), cell),
                None => dict.insert((index + 1).to_string(), cell),
            };
        }
        rows.push(Value::Dict(dict));
        Ok(())
    })?;
    Ok(Value::List(rows))
}

/// Reads a document for a service that declares its input, and checks each row.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` with the line and the column; `INPUT_INVALID` with all violations, each
/// with its line.
pub fn read_checked(bytes: &[u8], sio: &Sio, declared: &Elements) -> Result<Checked> {
    let mut check = sio.check_rows(declared);
    // Checked as to whether cells may be shown.
    let hides = sio.has_secrets();
    let columns = |header: Option<Vec<String>>| match header {
        Some(names) => names
            .into_iter()
            .map(|name| {
                let element = declared
                    .elements
                    .iter()
                    .find(|element| element.name == name);
                (name, element)
            })
            .collect::<Vec<_>>(),
        None => declared
            .elements
            .iter()
            .map(|e| (e.name.clone(), Some(e)))
            .collect(),
    };
    each_row(bytes, sio.csv, columns, |columns, row| {
        let mut dict = Dict::with_capacity(columns.len());
        let mut faults = Vec::new();
        if row.cells.len() > columns.len() {
            faults.push(too_many_cells(columns.len(), &row).violation);
        }
        for ((name, element), cell) in columns.iter().zip(row.cells.iter()) {
            match cell_value(*element, row.text(cell)?, hides) {
                Ok(Some(value)) => drop(dict.insert(name.as_str(), value)),
                Ok(None) => {}
                Err(fault) => faults.push(fault.under(name)),
            }
        }
        check.add(row.line, dict, faults);
        Ok(())
    })?;
    check
        .finish()
        .map_err(|faults| faults.into_error(reason::INPUT_INVALID))
}

/// What a cell says; `None` where it is absent.
fn cell_value(
    element: Option<&Element>,
    cell: &str,
    hides: bool,
) -> Result<Option<Value>, Violation> {
    let Some(element) = element else {
        return Ok(Some(Value::from(cell)));
    };
    let is_text = matches!(element.kind, Type::Text | Type::Secret | Type::AsIs);
    match &element.kind {
        _ if cell.is_empty() => Ok((is_text && !element.optional).then(|| Value::from(cell))),
        Type::List(_) | Type::Dict(_) | Type::DictList(_) => {
            json::read(cell.as_bytes()).map(Some).map_err(|_| {
                let message = match hides {
                    true => "the cell is not JSON".to_owned(),
                    false => format!("the cell {:?} is not JSON", shortened(cell)),
                };
                Violation::new("", "MALFORMED", message)
            })
        }
        _ => Ok(Some(Value::from(cell))),
    }
}

/// A row with too many cells.
struct TooMany {
    line: u64,
    violation: Violation,
}

impl TooMany {
    fn into_error(self) -> Error {
        malformed(self.line, None, "TOO_MANY_CELLS", &self.violation.message)
    }
}

fn too_many_cells(columns: usize, row: &Row<'_>) -> TooMany {
    let message = format!("has {} cells; there are {columns} columns", row.cells.len());
    TooMany {
        line: row.line,
        violation: Violation::new("", "TOO_MANY_CELLS", message),
    }
}

/// One row of a document.
struct Row<'a> {
    cells: &'a ByteRecord,
    line: u64,
}

impl Row<'_> {
    fn text<'a>(&self, cell: &'a [u8]) -> Result<&'a str> {
        str::from_utf8(cell).map_err(|_| malformed(self.line, None, "NOT_UTF8", "is not UTF-8"))
    }
}

/// Reads the rows one after another; the header, where there is one, becomes columns first.
fn each_row<C>(
    bytes: &[u8],
    options: CsvOptions,
    columns: impl Fn(Option<Vec<String>>) -> C,
    mut each: impl FnMut(&C, Row<'_>) -> Result<()>,
) -> Result<()> {
    let mark = BYTE_ORDER_MARK.encode_utf8(&mut [0; 4]).len();
    let begins_with_mark = str::from_utf8(bytes.get(..mark).unwrap_or_default())
        .is_ok_and(|head| head.starts_with(BYTE_ORDER_MARK));
    let bytes = match begins_with_mark {
        true => bytes.get(mark..).unwrap_or_default(),
        false => bytes,
    };
    let lines = lines_of_rows(bytes, options)?;
    let mut lines = lines.into_iter();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.delimiter)
        .quote(options.quote)
        .from_reader(bytes);
    let mut cells = ByteRecord::new();
    let mut columns_of_all = (!options.header).then(|| columns(None));
    let mut keys = 0;
    while reader
        .read_byte_record(&mut cells)
        .map_err(|error| unreadable(&error))?
    {
        let line = lines.next().unwrap_or_default();
        let row = Row {
            cells: &cells,
            line,
        };
        keys += cells.len() + 1;
        if keys > MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} cells");
            return Err(malformed(line, None, "TOO_MANY_KEYS", &message));
        }
        let Some(columns_of_all) = &columns_of_all else {
            columns_of_all = Some(columns(Some(header(&row)?)));
            continue;
        };
        each(columns_of_all, row)?;
    }
    Ok(())
}

fn header(row: &Row<'_>) -> Result<Vec<String>> {
    let mut names = Vec::with_capacity(row.cells.len());
    let mut seen = HashSet::new();
    for cell in row.cells {
        let is_space = |c: char| c.is_ascii_whitespace() || c == BYTE_ORDER_MARK;
        let name = row.text(cell)?.trim_matches(is_space).to_owned();
        if !seen.insert(name.clone()) {
            let message = format!("has two columns named `{}`", shortened(&name));
            return Err(malformed(row.line, None, "DUPLICATE_KEY", &message));
        }
        names.push(name);
    }
    Ok(names)
}

/// The line in which each row begins. What the reader would let pass is found here: quotes that do not end, and text
/// after the one that does.
fn lines_of_rows(bytes: &[u8], options: CsvOptions) -> Result<Vec<u64>> {
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
            // Doubled: one that belongs to the text.
            At::Ended if byte == options.quote => At::Quoted { line, column },
            _ if ends_row => {
                row_is_empty = true;
                At::Begin
            }
            _ if byte == options.delimiter => At::Begin,
            At::Begin if byte == options.quote => At::Quoted { line, column },
            At::Ended => {
                let message = "there is text after the quote that ends a cell";
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
            let message = "the quote that begins here does not end";
            Err(malformed(line, Some(column), "NOT_CSV", message))
        }
        _ => Ok(lines),
    }
}

fn unreadable(error: &csv::Error) -> Error {
    let line = error.position().map_or(1, csv::Position::line);
    malformed(line, None, "NOT_CSV", &error.to_string())
}

/// What is wrong, where: in a line, and at a column where that is known.
fn malformed(line: u64, column: Option<u64>, code: &'static str, message: &str) -> Error {
    let place = column
        .map(|column| format!(", column {column}"))
        .unwrap_or_default();
    let message = format!("line {line}{place}: {message}");
    let violation = Violation::new("", code, message);
    let error = Error::violations(reason::DOCUMENT_MALFORMED, vec![violation]);
    let error = error.with_info("line", line);
    match column {
        Some(column) => error.with_info("column", column),
        None => error,
    }
}

/// Writes a dict or a list of dicts: one row each, lines ended by CRLF. The columns are the declared elements, or all
/// keys in the order in which they first come.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for anything but dicts; `VALUE_INVALID` for what cannot be written.
pub fn write(value: &Value, declared: Option<&Elements>, options: CsvOptions) -> Result<Vec<u8>> {
    let rows: Vec<&Dict> = match value {
        Value::Dict(dict) => vec![dict],
        Value::List(items) => items.iter().map(row_of).collect::<Result<_>>()?,
        other => return Err(no_rows(other)),
    };
    let mut columns: Vec<&str> = Vec::new();
    match declared {
        Some(declared) => columns.extend(declared.elements.iter().map(|e| e.name.as_str())),
        None => {
            let mut seen = HashSet::new();
            columns.extend(
                rows.iter()
                    .flat_map(|row| row.keys())
                    .filter(|key| seen.insert(*key)),
            );
        }
    }
    let mut writer = WriterBuilder::new()
        .delimiter(options.delimiter)
        .quote(options.quote)
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    let written = |outcome: csv::Result<()>| {
        outcome.map_err(|error| Error::invalid_argument(reason::VALUE_INVALID, error.to_string()))
    };
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    if options.header {
        written(writer.write_record(&columns))?;
    }
    for row in rows {
        let cells = columns
            .iter()
            .map(|name| row.get(name).map_or_else(|| Ok(String::new()), cell));
        written(writer.write_record(cells.collect::<Result<Vec<_>>>()?))?;
    }
    writer
        .into_inner()
        .map_err(|error| Error::internal(reason::VALUE_INVALID, error.to_string()))
}

fn row_of(item: &Value) -> Result<&Dict> {
    item.as_dict().ok_or_else(|| no_rows(item))
}

fn no_rows(value: &Value) -> Error {
    let message = format!(
        "{} cannot be written as CSV, which has rows of cells: ask for JSON",
        value.kind_name()
    );
    Error::invalid_argument(reason::FORMAT_INVALID, message)
}

fn cell(value: &Value) -> Result<String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Text(text) => Ok(text.clone()),
        Value::Bytes(_) => match value.normalized() {
            Value::Text(base64) => Ok(base64),
            _ => Ok(String::new()),
        },
        other => json::write(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;
    use crate::model::sio::{Bool, Date, Decimal, Int, List, Text};

    fn customers() -> Sio {
        Sio::new()
            .input(Int("cust_id"))
            .input(Text("name"))
            .optional_input(Date("since"))
            .optional_input(Decimal("credit"))
            .optional_input(Bool("is_active").default(true))
            .optional_input(List("tags").of(Type::Text))
            .list_input()
            .prepared()
            .unwrap()
    }

    fn read_all(sio: &Sio, text: &str) -> Result<Checked> {
        read_checked(text.as_bytes(), sio, sio.input.as_ref().unwrap())
    }

    #[test]
    fn cells_become_what_the_elements_say() {
        let text = "\u{feff}name, cust_id,credit,extra,tags\r\n\r\n\"Smith, A\",0012,1.10,x,\"[\"\"a\"\"]\"\r\n,2\r\n";
        let checked = read_all(&customers(), text).unwrap();
        let expected = vec![
            dict! { "cust_id": 12, "name": "Smith, A", "credit": "1.10", "is_active": true, "tags": ["a"] },
            dict! { "cust_id": 2, "name": "", "is_active": true },
        ];
        assert_eq!(checked.value, expected.into());
        assert_eq!(checked.ignored.to_text(), "*/extra");
    }

    #[test]
    fn without_a_header_columns_are_in_declaration_order() {
        let options = CsvOptions {
            header: false,
            delimiter: b';',
            quote: b'\'',
        };
        let sio = customers().csv(options);
        let checked = read_all(&sio, "1;'a;b';2026-01-31\n").unwrap();
        assert_eq!(checked.value[0]["name"], Value::from("a;b"));
        let written = write(&checked.value, sio.input.as_ref(), options).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "1;'a;b';2026-01-31;;true;\r\n"
        );
    }

    #[test]
    fn rows_that_fail_are_named_by_their_line() {
        let text = "cust_id,name\n1,a\n\n\"x\",\"b\nc\"\n3\n4,d,e\n";
        let error = read_all(&customers(), text).unwrap_err();
        let said: Vec<String> = error
            .field_violations()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            said,
            [
                "`/1/cust_id`: line 4: the text \"x\" is not a whole number",
                "`/2/name`: line 6: is required",
                "`/3`: line 7: has 3 cells; there are 2 columns",
            ]
        );
    }

    #[test]
    fn what_is_malformed_is_named_by_line_and_column() {
        for (text, line, column, code) in [
            ("a,b\n1,\"x", "2", "3", "NOT_CSV"),
            ("a,b\n1,\"x\"y\n", "2", "6", "NOT_CSV"),
        ] {
            let error = read(text.as_bytes(), CsvOptions::default()).unwrap_err();
            assert_eq!(error.reason(), "DOCUMENT_MALFORMED");
            assert_eq!(error.field_violations()[0].code, code, "{text:?}");
            assert_eq!(
                (error.fact("line"), error.fact("column")),
                (Some(line), Some(column)),
                "{text:?}"
            );
        }
        for (text, line, code) in [
            (&b"a\n\xff\n"[..], "2", "NOT_UTF8"),
            (b"a,a\n", "1", "DUPLICATE_KEY"),
            // Lines that end as they did on old machines.
            (b"a\r1\r1,2\r", "3", "TOO_MANY_CELLS"),
        ] {
            let error = read(text, CsvOptions::default()).unwrap_err();
            assert_eq!(error.field_violations()[0].code, code);
            assert_eq!(
                (error.fact("line"), error.fact("column")),
                (Some(line), None),
                "{error}"
            );
        }
    }

    #[test]
    fn undeclared_cells_are_texts_and_columns_all_keys() {
        let value = read(b"a,b\n1,x\n", CsvOptions::default()).unwrap();
        assert_eq!(value, vec![dict! { "a": "1", "b": "x" }].into());
        let rows = vec![dict! { "a": 1 }, dict! { "b": true, "a": Value::Null }];
        let written = write(&rows.into(), None, CsvOptions::default()).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "a,b\r\n1,\r\n,true\r\n"
        );
        assert!(write(&Value::Int(1), None, CsvOptions::default()).is_err());
    }

    #[test]
    fn a_dict_takes_one_row() {
        let sio = Sio::new().input(Int("a")).prepared().unwrap();
        assert_eq!(
            read_all(&sio, "a\n1\n").unwrap().value,
            dict! { "a": 1 }.into()
        );
        let error = read_all(&sio, "a\nx\n").unwrap_err();
        assert_eq!(error.field_violations()[0].path, "/a");
        assert_eq!(
            read_all(&sio, "a\n1\n2\n").unwrap_err().field_violations()[0].code,
            "WRONG_TYPE"
        );
        assert!(read_all(&sio, "").is_err());
    }
}
