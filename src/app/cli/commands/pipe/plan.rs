//! What becomes of a row: the input of its call, and the columns of the output.

use super::args::{Pipe, RowFormat};
use super::input::Record;
use crate::app::cli::args::usage_error;
use crate::codec::csv::Columns;
use crate::codec::json;
use crate::codec::objects::response_value;
use crate::model::error::{Error, Result, reason};
use crate::model::payload::Payload;
use crate::model::sio::{Elements, Shape, Sio};
use crate::model::value::{Dict, Value};

/// How the columns begin that a file of failed rows has. They are not sent, so that it can be piped again.
pub(super) const OWN_PREFIX: &str = "pipe_";
/// The column of a response without declared elements.
const RESPONSE: &str = "response";

/// From rows to calls, and from responses to rows.
#[derive(Debug)]
pub(super) struct Plan {
    sio: Sio,
    /// Those of CSV.
    columns: Option<Columns>,
    keep: Vec<String>,
    output: Vec<String>,
}

impl Plan {
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` where a column of `--keep` is not in the input, or is in the output twice.
    pub(super) fn new(pipe: &Pipe, sio: Sio, columns: Option<Columns>) -> Result<Self> {
        let keep = pipe.keep.clone();
        if let Some(columns) = &columns {
            for name in &keep {
                if !columns.names().contains(name) {
                    let names = columns.names().join("`, `");
                    let message =
                        format!("`--keep {name}`: the columns of the input are `{names}`");
                    return Err(usage_error(message));
                }
            }
        }
        let mut output = keep.clone();
        match elements_of_dicts(sio.output.as_ref()) {
            Some(elements) => output.extend(elements.elements.iter().map(|it| it.name.clone())),
            None => output.push(RESPONSE.to_owned()),
        }
        for (at, name) in output.iter().enumerate() {
            if output.iter().take(at).any(|other| other == name) {
                let message = format!(
                    "the output would have two columns `{name}`: leave it out of `--keep` if it is also in the response"
                );
                return Err(usage_error(message));
            }
        }
        Ok(Self {
            sio,
            columns,
            keep,
            output,
        })
    }

    /// The columns of the output.
    pub(super) fn output_columns(&self) -> &[String] {
        &self.output
    }

    /// The columns of the input; `None` where it has none.
    pub(super) fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    /// The input of the call of a row.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` or `INPUT_INVALID`.
    pub(super) fn call_input(&self, record: &Record) -> Result<Value> {
        let Some(columns) = &self.columns else {
            return json::read(&record.row.text);
        };
        let cells = columns.cells(&record.row)?;
        let declared = self.sio.input.as_ref();
        let is_element =
            |name: &str| declared.is_some_and(|it| it.elements.iter().any(|it| it.name == name));
        let is_sent = |name: &str| {
            let is_only_kept = declared.is_some() && self.keep.iter().any(|kept| kept == name);
            is_element(name) || !(is_only_kept || name.starts_with(OWN_PREFIX))
        };
        let dict = columns.dict(&cells, declared, self.sio.has_secrets(), is_sent);
        let dict =
            dict.map_err(|violations| Error::violations(reason::INPUT_INVALID, violations))?;
        Ok(shaped(dict, declared))
    }

    /// The values of a row of the output, one for each column.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` where the response cannot be decoded.
    pub(super) fn output_values(&self, record: &Record, response: Payload) -> Result<Vec<Value>> {
        let mut values = self.kept(record)?;
        let mut response = response_value(response)?;
        if let (Some(name), Value::Dict(dict)) = (&self.sio.response_elem, &mut response)
            && let Some(inner) = dict.remove(name)
        {
            response = inner;
        }
        match (elements_of_dicts(self.sio.output.as_ref()), response) {
            (Some(elements), Value::Dict(mut dict)) => {
                let names = elements.elements.iter().map(|element| &element.name);
                values.extend(names.map(|name| dict.remove(name).unwrap_or(Value::Null)));
            }
            (Some(elements), _) => {
                values.extend(elements.elements.iter().map(|_| Value::Null));
            }
            (None, response) => values.push(response),
        }
        Ok(values)
    }

    fn kept(&self, record: &Record) -> Result<Vec<Value>> {
        if self.keep.is_empty() {
            return Ok(Vec::new());
        }
        let Some(columns) = &self.columns else {
            let mut input = json::read(&record.row.text)?;
            let mut value = |name: &String| match &mut input {
                Value::Dict(dict) => dict.remove(name).unwrap_or(Value::Null),
                _ => Value::Null,
            };
            return Ok(self.keep.iter().map(&mut value).collect());
        };
        let cells = columns.cells(&record.row)?;
        let value = |name: &String| {
            let at = columns.names().iter().position(|column| column == name);
            let cell = at.and_then(|at| cells.get(at));
            cell.map_or(Value::Null, |cell| Value::from(cell.as_str()))
        };
        Ok(self.keep.iter().map(value).collect())
    }
}

/// The dict of a row as its service takes it: alone, as the only one of a list, or its only value.
fn shaped(mut dict: Dict, declared: Option<&Elements>) -> Value {
    match declared.map(|declared| (declared.shape, declared.elements.as_slice())) {
        Some((Shape::List, _)) => Value::List(vec![Value::Dict(dict)]),
        Some((Shape::Value, [only])) => dict.remove(&only.name).unwrap_or(Value::Null),
        _ => Value::Dict(dict),
    }
}

/// The elements of an output that is one dict: they are columns.
fn elements_of_dicts(output: Option<&Elements>) -> Option<&Elements> {
    output.filter(|output| output.shape == Shape::Dict && !output.elements.is_empty())
}

/// The format of the rows of the output.
pub(super) fn row_of(columns: &[String], values: Vec<Value>) -> Value {
    let pairs = columns.iter().map(String::as_str).zip(values);
    Value::Dict(pairs.collect())
}

/// Whether the output is CSV: unless a program asks for something else, it is as the input.
pub(super) fn writes_csv(format: RowFormat, is_table: bool) -> bool {
    is_table && format == RowFormat::Csv
}
