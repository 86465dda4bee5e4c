//! UTF-8 text documents.

use crate::codec::json;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::value::Value;

/// Reads a document.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` with line and column where it is not UTF-8.
pub fn read(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count()
            + 1;
        let message = format!("line {line}, column {column}: is not UTF-8");
        Error::violations(
            reason::DOCUMENT_MALFORMED,
            vec![Violation::new("", "NOT_UTF8", message)],
        )
        .with_info("line", line)
        .with_info("column", column)
    })
}

/// Writes a text, a number or a boolean, or the only element of a dict if it is one of these.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for anything else.
pub fn write(value: &Value) -> Result<String> {
    let mut value = value;
    loop {
        match value {
            Value::Text(text) => return Ok(text.clone()),
            Value::Null => return Ok(String::new()),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Digits(_) => {
                return json::write(value);
            }
            Value::Bytes(bytes) if let Ok(text) = std::str::from_utf8(bytes) => {
                return Ok(text.to_owned());
            }
            Value::Dict(dict) if dict.is_empty() => return Ok(String::new()),
            Value::Dict(dict) if dict.len() == 1 => match dict.iter().next() {
                Some((_, inner)) => value = inner,
                None => return Ok(String::new()),
            },
            Value::Bytes(_) | Value::List(_) | Value::Dict(_) => {
                let message = format!(
                    "{} cannot be written as text: ask for JSON",
                    value.kind_name()
                );
                return Err(Error::invalid_argument(reason::FORMAT_INVALID, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;

    #[test]
    fn only_single_values_are_written_as_text() {
        for (value, text) in [
            (Value::from("a\nb"), "a\nb"),
            (Value::Int(7), "7"),
            (dict! { "answer": dict! { "n": true } }.into(), "true"),
            (dict! {}.into(), ""),
        ] {
            assert_eq!(write(&value).unwrap(), text);
        }
        assert_eq!(
            write(&vec![1].into()).unwrap_err().reason(),
            "FORMAT_INVALID"
        );
        assert_eq!(read(b"ab\nc\xff").unwrap_err().fact("column"), Some("2"));
    }
}
