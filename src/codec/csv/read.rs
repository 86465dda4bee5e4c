//! Reads CSV documents, with a declaration or without one.

use std::collections::HashSet;
use std::str;

use csv::{ByteRecord, ReaderBuilder};

use super::malformed::{MalformedRows, malformed};
use super::row_lines::lines_of_rows;
use crate::codec::cell;
use crate::codec::limits::MAX_KEYS;
use crate::model::error::{Error, Result, TOO_MANY_KEYS, Violation, reason};
use crate::model::id::truncated;
use crate::model::sio::{Checked, CsvOptions, Element, Elements, Sio};
use crate::model::value::{Dict, Value};

/// The byte order mark that spreadsheets write.
const BYTE_ORDER_MARK: char = '\u{feff}';
const TOO_MANY_CELLS: &str = "TOO_MANY_CELLS";
pub(super) const NOT_UTF8: &str = "NOT_UTF8";
pub(super) const NOT_UTF8_MESSAGE: &str = "is not UTF-8";

/// Reads a document without a declaration: all cells are texts.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` with the line and the column; with all malformed rows.
pub fn read(bytes: &[u8], options: CsvOptions) -> Result<Value> {
    let mut rows = Vec::new();
    let mut malformed = MalformedRows::default();
    let columns = |header: Option<Vec<String>>| header.unwrap_or_default();
    for_each_row(bytes, options, columns, |columns, row| {
        let mut dict = Dict::with_capacity(row.cells.len());
        if options.header && row.cells.len() > columns.len() {
            let message = too_many_cells(columns.len(), &row);
            malformed.add(row.line, TOO_MANY_CELLS, &message);
            return;
        }
        for (index, cell) in row.cells.iter().enumerate() {
            let Ok(cell) = str::from_utf8(cell) else {
                let message = format!("cell {} {NOT_UTF8_MESSAGE}", index + 1);
                malformed.add(row.line, NOT_UTF8, &message);
                continue;
            };
            match columns.get(index) {
                Some(name) => dict.insert(name.as_str(), cell),
                None => dict.insert((index + 1).to_string(), cell),
            };
        }
        rows.push(Value::Dict(dict));
    })?;
    match malformed.into_error() {
        None => Ok(Value::List(rows)),
        Some(error) => Err(error),
    }
}

/// Reads a document for a declared input and checks each row.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` with the line and the column; `INPUT_INVALID` with all violations, each
/// with its line.
pub fn read_checked(bytes: &[u8], sio: &Sio, declared: &Elements) -> Result<Checked> {
    let mut check = sio.check_rows(declared);
    // With secrets, messages must not contain cells.
    let has_secrets = sio.has_secrets();
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
    for_each_row(bytes, sio.csv, columns, |columns, row| {
        let named = columns.iter().zip(row.cells.iter());
        let named = named.map(|((name, element), cell)| (name.as_str(), *element, cell));
        let (dict, mut violations) = row_dict(named, has_secrets);
        if row.cells.len() > columns.len() {
            let message = too_many_cells(columns.len(), &row);
            violations.insert(0, Violation::new("", TOO_MANY_CELLS, message));
        }
        check.add(row.line, dict, violations);
    })?;
    check
        .finish()
        .map_err(|violations| violations.into_error(reason::INPUT_INVALID))
}

/// The values of cells, each with the name and the element of its column, and what is wrong with them.
pub(super) fn row_dict<'a>(
    columns: impl Iterator<Item = (&'a str, Option<&'a Element>, &'a [u8])>,
    has_secrets: bool,
) -> (Dict, Vec<Violation>) {
    let mut dict = Dict::with_capacity(columns.size_hint().0);
    let mut violations = Vec::new();
    for (name, element, cell) in columns {
        let value = match str::from_utf8(cell) {
            Ok(text) => cell::value(element, text, "cell", has_secrets),
            Err(_) => Err(Violation::new("", NOT_UTF8, NOT_UTF8_MESSAGE)),
        };
        match value {
            Ok(Some(value)) => drop(dict.insert(name, value)),
            Ok(None) => {}
            Err(violation) => violations.push(violation.under(name)),
        }
    }
    (dict, violations)
}

pub(super) fn too_many_cells(columns: usize, row: &Row<'_>) -> String {
    format!("has {} cells; there are {columns} columns", row.cells.len())
}

/// One row of a document.
pub(super) struct Row<'a> {
    pub(super) cells: &'a ByteRecord,
    pub(super) line: u64,
}

/// Calls `each` for each row. `columns` receives the header, if there is one, before the first row.
fn for_each_row<C>(
    bytes: &[u8],
    options: CsvOptions,
    columns: impl Fn(Option<Vec<String>>) -> C,
    mut each: impl FnMut(&C, Row<'_>),
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
        .map_err(|error| reader_error(&error))?
    {
        let line = lines.next().unwrap_or_default();
        let row = Row {
            cells: &cells,
            line,
        };
        keys += cells.len() + 1;
        if keys > MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} cells");
            return Err(malformed(line, None, TOO_MANY_KEYS, &message));
        }
        let Some(columns_of_all) = &columns_of_all else {
            columns_of_all = Some(columns(Some(header(&row)?)));
            continue;
        };
        each(columns_of_all, row);
    }
    Ok(())
}

pub(super) fn header(row: &Row<'_>) -> Result<Vec<String>> {
    let mut names = Vec::with_capacity(row.cells.len());
    let mut seen = HashSet::new();
    let mut malformed = MalformedRows::default();
    for (index, cell) in row.cells.iter().enumerate() {
        let is_space = |c: char| c.is_ascii_whitespace() || c == BYTE_ORDER_MARK;
        let Ok(cell) = str::from_utf8(cell) else {
            let message = format!("cell {} {NOT_UTF8_MESSAGE}", index + 1);
            malformed.add(row.line, NOT_UTF8, &message);
            continue;
        };
        let name = cell.trim_matches(is_space).to_owned();
        if !seen.insert(name.clone()) {
            let message = format!("has two columns named `{}`", truncated(&name));
            malformed.add(row.line, "DUPLICATE_KEY", &message);
        }
        names.push(name);
    }
    match malformed.into_error() {
        None => Ok(names),
        Some(error) => Err(error),
    }
}

fn reader_error(error: &csv::Error) -> Error {
    let line = error.position().map_or(1, csv::Position::line);
    malformed(line, None, "NOT_CSV", &error.to_string())
}
