//! Writes values as CSV documents.

use std::collections::HashSet;

use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};

use crate::codec::json;
use crate::model::error::{Error, Result, reason};
use crate::model::sio::{CsvOptions, Elements};
use crate::model::value::{Dict, Value};

/// Writes a dict or a list of dicts, one row each, with CRLF line endings. The columns are the declared elements, or
/// all keys in order of first occurrence.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for anything but dicts; `VALUE_INVALID` for values that cannot be encoded.
pub fn write(value: &Value, declared: Option<&Elements>, options: CsvOptions) -> Result<Vec<u8>> {
    let rows: Vec<&Dict> = match value {
        Value::Dict(dict) => vec![dict],
        Value::List(items) => items.iter().map(as_row).collect::<Result<_>>()?,
        other => return Err(not_tabular(other)),
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
    let mut writer = writer(options).from_writer(Vec::new());
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
    finished(writer)
}

/// Writes one row, with a CRLF line ending: its cells are these values, in this order.
///
/// # Errors
///
/// `VALUE_INVALID` for values that cannot be encoded.
#[cfg(feature = "cli")]
pub(crate) fn write_row<'a>(
    values: impl IntoIterator<Item = &'a Value>,
    options: CsvOptions,
) -> Result<Vec<u8>> {
    let cells: Vec<String> = values.into_iter().map(cell).collect::<Result<_>>()?;
    // The buffer of the writer is as large as most rows.
    let mut writer = writer(options).buffer_capacity(512).from_writer(Vec::new());
    written(writer.write_record(cells))?;
    finished(writer)
}

fn writer(options: CsvOptions) -> WriterBuilder {
    let mut builder = WriterBuilder::new();
    builder
        .delimiter(options.delimiter)
        .quote(options.quote)
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::CRLF);
    builder
}

fn written(outcome: csv::Result<()>) -> Result<()> {
    outcome.map_err(|error| Error::invalid_argument(reason::VALUE_INVALID, error.to_string()))
}

fn finished(writer: Writer<Vec<u8>>) -> Result<Vec<u8>> {
    writer
        .into_inner()
        .map_err(|error| Error::internal(reason::VALUE_INVALID, error.to_string()))
}

fn as_row(item: &Value) -> Result<&Dict> {
    item.as_dict().ok_or_else(|| not_tabular(item))
}

fn not_tabular(value: &Value) -> Error {
    let message = format!(
        "{} cannot be written as CSV rows: ask for JSON",
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
