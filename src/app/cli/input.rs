//! The input of an invocation from arguments, a file, or standard input.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::args::usage_error;
use super::printer::Printer;
use super::stdin;
use crate::codec::json;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::payload::{Format, Payload};
use crate::model::value::{Dict, Value};

/// Input options.
#[derive(Args, Debug)]
pub(super) struct InputArgs {
    /// Elements of the input. A value that is valid JSON is read as JSON (`cust_id=1`, `tags=["a"]`,
    /// `zip='"01234"'`), any other value as text. Without KEY=VALUE, --json and --file, the input is read from
    /// standard input if that is a pipe or a file.
    #[arg(value_name = "KEY=VALUE", conflicts_with_all = ["json", "file", "format"])]
    elements: Vec<String>,
    #[command(flatten)]
    document: DocumentArgs,
}

/// An input document.
#[derive(Args, Debug, Default)]
pub(super) struct DocumentArgs {
    /// Input as JSON.
    #[arg(long, conflicts_with = "file", value_name = "JSON")]
    json: Option<String>,
    /// Input file. `-` is standard input.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Format of the file or standard input. Default: by file extension, otherwise JSON.
    #[arg(long, value_enum, conflicts_with = "json", value_name = "FORMAT")]
    format: Option<DocumentFormat>,
}

/// The format of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DocumentFormat {
    /// JSON (RFC 8259).
    Json,
    /// CSV (RFC 4180), with a header unless the service declares none.
    Csv,
    /// UTF-8 text.
    Text,
}

impl DocumentFormat {
    pub(super) fn format(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Csv => Format::Csv,
            Self::Text => Format::Text,
        }
    }
}

impl InputArgs {
    /// The input, encoded: a JSON document keeps every digit of numbers.
    pub(super) fn payload(self, printer: &Printer) -> Result<Payload> {
        if !self.elements.is_empty() {
            let text = json::write(&elements(&self.elements)?)?;
            return Ok(Payload::Document(text.into(), Format::Json));
        }
        let format = self.document.format;
        if let Some(document) = self.document.given()? {
            return Ok(document);
        }
        if format.is_some() || stdin::has_input() {
            let text = stdin::read(printer)?;
            // A scheduler or a script may pass an empty file where there is nothing to read.
            if format.is_some() || !text.trim_ascii().is_empty() {
                return document(text, format.map_or(Format::Json, DocumentFormat::format));
            }
        }
        Ok(Payload::Document("{}".into(), Format::Json))
    }
}

impl DocumentArgs {
    /// The document, if one is given; not from standard input.
    pub(super) fn payload(self) -> Result<Option<Payload>> {
        if self.format.is_some() && self.file.is_none() {
            return Err(usage_error("`--format` requires `--file`"));
        }
        self.given()
    }

    fn given(self) -> Result<Option<Payload>> {
        let (text, format) = match (self.json, self.file) {
            (Some(text), _) => (text.into_bytes(), Format::Json),
            (None, Some(path)) => {
                let format = self.format.map(DocumentFormat::format);
                let format = format.unwrap_or_else(|| format_of(&path));
                (read_file(&path)?, format)
            }
            (None, None) => return Ok(None),
        };
        document(text, format).map(Some)
    }
}

fn document(text: Vec<u8>, format: Format) -> Result<Payload> {
    if format == Format::Json {
        // Report syntax errors with line and column before connecting.
        json::read(&text)?;
    }
    Ok(Payload::Document(text.into(), format))
}

fn format_of(path: &std::path::Path) -> Format {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Format::Csv,
        Some("txt") => Format::Text,
        _ => Format::Json,
    }
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>> {
    let name = format!("`{}`", path.display());
    match path.as_os_str() == "-" {
        true => stdin::read_all("standard input", std::io::stdin()),
        false => match std::fs::File::open(path) {
            Ok(file) => stdin::read_all(&name, file),
            Err(error) => Err(stdin::cannot_read(&name, &error)),
        },
    }
}

fn elements(elements: &[String]) -> Result<Value> {
    let mut dict = Dict::new();
    let mut violations = Vec::new();
    for element in elements {
        match element.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                if dict.insert(key, element_value(value)).is_some() {
                    violations.push(Violation::new(
                        "",
                        "DUPLICATE_KEY",
                        format!("`{key}` is given twice"),
                    ));
                }
            }
            _ => {
                let meant = match element.strip_prefix('=') {
                    Some(value) => format!("KEY={value}"),
                    // A number, a dict or a list is the whole input.
                    None if json::read(element.as_bytes()).is_ok() => format!("--json '{element}'"),
                    None => format!("{element}=VALUE"),
                };
                let message = format!("`{element}` is not `KEY=VALUE`; did you mean `{meant}`?");
                violations.push(Violation::new("", "MALFORMED", message));
            }
        }
    }
    if violations.is_empty() {
        return Ok(Value::Dict(dict));
    }
    Err(Error::violations(reason::USAGE_INVALID, violations))
}

/// Parses a value as JSON if it is valid JSON. Numbers that would change when written back (`1.10`, `1e5`) stay text.
fn element_value(text: &str) -> Value {
    let as_text = || Value::Text(text.to_owned());
    match json::read(text.as_bytes()) {
        Ok(number @ (Value::Int(_) | Value::Float(_) | Value::Digits(_))) => {
            let same = json::write(&number).is_ok_and(|written| written == text.trim());
            if same { number } else { as_text() }
        }
        Ok(value) => value,
        Err(_) => as_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;

    #[test]
    fn valid_json_is_parsed_and_everything_else_is_text() {
        let typed = [
            "a=1", "b=x y", "c=[1,2]", "d=\"7\"", "e=", "f=a=b", "g=true", "h=1.10", "i=1.5",
        ];
        let value = elements(&typed.map(str::to_owned)).unwrap();
        let expected = dict! {
            "a": 1, "b": "x y", "c": [1, 2], "d": "7", "e": "", "f": "a=b", "g": true, "h": "1.10",
            "i": 1.5,
        };
        assert_eq!(value, Value::Dict(expected));
    }

    #[test]
    fn all_violations_are_reported_together() {
        let error = elements(&["a", "=1", "b=1", "b=2"].map(str::to_owned)).unwrap_err();
        assert_eq!(error.field_violations().len(), 3);
    }
}
