//! Forms (`application/x-www-form-urlencoded`) to values and back.
//!
//! A document is a dict of texts; a name that is repeated has a list. Fields are converted to the declared elements:
//! numbers and dates from their text, dicts from JSON, lists from one field for each item.

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::codec::limits::MAX_KEYS;
use crate::codec::{cell, json};
use crate::model::error::{Error, Result, Violation, Violations, reason};
use crate::model::sio::{Checked, Element, Elements, Shape, Sio, Type};
use crate::model::value::{Dict, Value};

/// What is not escaped besides letters and digits, as browsers do it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b' ');
/// The value of a checkbox that is checked.
const CHECKED: &str = "on";

/// The names and values of a form, in their order. A field without `=` has the empty value.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` with all fields that are not UTF-8, or for too many fields.
pub fn pairs(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let mut violations = Violations::default();
    let mut pairs = Vec::new();
    let fields = bytes.split(|byte| *byte == b'&');
    for (index, field) in fields.filter(|field| !field.is_empty()).enumerate() {
        if index >= MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} fields");
            return Err(malformed(Violation::new("", "TOO_MANY_KEYS", message)));
        }
        let mut parts = field.splitn(2, |byte| *byte == b'=');
        let name = decoded(parts.next().unwrap_or_default());
        let value = decoded(parts.next().unwrap_or_default());
        match (name, value) {
            (Some(name), Some(value)) => pairs.push((name, value)),
            _ => {
                let message = format!("field {}: is not UTF-8", index + 1);
                violations.add(Violation::new("", "NOT_UTF8", message));
            }
        }
    }
    violations.reject(reason::DOCUMENT_MALFORMED)?;
    Ok(pairs)
}

fn malformed(violation: Violation) -> Error {
    Error::violations(reason::DOCUMENT_MALFORMED, vec![violation])
}

/// A name or a value, with its escapes decoded; `None` where it is not UTF-8.
fn decoded(text: &[u8]) -> Option<String> {
    let spaced: Cow<'_, [u8]> = match text.contains(&b'+') {
        false => text.into(),
        true => {
            let space = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
            text.iter().map(space).collect::<Vec<u8>>().into()
        }
    };
    let bytes: Cow<'_, [u8]> = percent_decode(&spaced).into();
    String::from_utf8(bytes.into_owned()).ok()
}

/// All values of one name.
#[derive(Debug)]
struct Field {
    name: String,
    values: Vec<String>,
}

/// The fields, by first occurrence of their names.
fn fields(bytes: &[u8]) -> Result<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (name, value) in pairs(bytes)? {
        let place = places.get(&name).and_then(|place| fields.get_mut(*place));
        match place {
            Some(field) => field.values.push(value),
            None => {
                places.insert(name.clone(), fields.len());
                let values = vec![value];
                fields.push(Field { name, values });
            }
        }
    }
    Ok(fields)
}

/// Reads a form without a declaration: a dict of texts, and of lists of texts where a name is repeated.
///
/// # Errors
///
/// As for [`pairs`].
pub fn read(bytes: &[u8]) -> Result<Value> {
    let fields = fields(bytes)?.into_iter();
    let entries = fields.map(|Field { name, mut values }| {
        let value = match (values.len(), values.pop()) {
            (1, Some(only)) => Value::Text(only),
            (_, last) => {
                values.extend(last);
                values.into()
            }
        };
        (name, value)
    });
    Ok(Value::Dict(entries.collect()))
}

/// Reads a form for a declared input and checks it.
///
/// # Errors
///
/// As for [`pairs`]; `INPUT_INVALID` with all violations.
pub fn read_checked(bytes: &[u8], sio: &Sio, declared: &Elements) -> Result<Checked> {
    if declared.shape == Shape::Value {
        let message = "is a form, but the service takes a value that is not a dict: send JSON";
        let violation = Violation::new("", "WRONG_TYPE", message);
        return Err(Error::violations(reason::INPUT_INVALID, vec![violation]));
    }
    let mut violations = Violations::default();
    let mut dict = Dict::new();
    for Field { name, values } in fields(bytes)? {
        let element = declared.elements.iter().find(|one| one.name == name);
        match field_value(element, values, sio.has_secrets()) {
            Ok(Some(value)) => drop(dict.insert(name, value)),
            Ok(None) => {}
            Err(violation) => violations.add(violation.under(&name)),
        }
    }
    let value = match declared.shape {
        Shape::List => Value::List(vec![dict.into()]),
        Shape::Dict | Shape::Value => dict.into(),
    };
    match sio.check_input(value) {
        Ok(checked) => violations.reject(reason::INPUT_INVALID).map(|()| checked),
        Err(others) => {
            // What could not be read is missing as well: that is not reported twice.
            let unread = violations.kept.clone();
            let is_new = |one: &Violation| unread.iter().all(|known| known.path != one.path);
            let others = Violations {
                kept: others.kept.into_iter().filter(is_new).collect(),
                ..others
            };
            violations.extend(others);
            Err(violations.into_error(reason::INPUT_INVALID))
        }
    }
}

/// The value of a field; `None` where it is absent.
fn field_value(
    element: Option<&Element>,
    values: Vec<String>,
    has_secrets: bool,
) -> Result<Option<Value>, Violation> {
    let [text] = values.as_slice() else {
        return Ok(Some(values.into()));
    };
    match element.map(|element| &element.kind) {
        // An item of its own, unless it is the whole list.
        Some(Type::List(_)) if !text.trim_start().starts_with('[') && !text.is_empty() => {
            Ok(Some(values.into()))
        }
        Some(Type::Bool) if text == CHECKED => Ok(Some(true.into())),
        _ => cell::value(element, text, "field", has_secrets),
    }
}

/// Writes a dict. A list of scalars becomes one field for each item, and other lists and dicts become JSON. What is
/// null is left out.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` for anything but a dict; `VALUE_INVALID` for values that cannot be encoded.
pub fn write(value: &Value) -> Result<String> {
    let Value::Dict(dict) = value else {
        let message = format!(
            "{} cannot be written as a form: ask for JSON",
            value.kind_name()
        );
        return Err(Error::invalid_argument(reason::FORMAT_INVALID, message));
    };
    let mut out = String::new();
    let is_scalar = |item: &Value| !matches!(item, Value::List(_) | Value::Dict(_) | Value::Null);
    for (name, value) in dict.iter() {
        match value {
            Value::Null => {}
            Value::List(items) if items.len() > 1 && items.iter().all(is_scalar) => {
                for item in items {
                    add(&mut out, name, &text(item)?);
                }
            }
            other => add(&mut out, name, &text(other)?),
        }
    }
    Ok(out)
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Bytes(_) => match value.normalized() {
            Value::Text(base64) => Ok(base64),
            _ => Ok(String::new()),
        },
        other => json::write(other),
    }
}

fn add(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    let escaped = |text: &str| {
        utf8_percent_encode(text, ESCAPED)
            .to_string()
            .replace(' ', "+")
    };
    out.push_str(&escaped(name));
    out.push('=');
    out.push_str(&escaped(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;
    use crate::model::sio::{Bool, Date, Int, List, Secret, Text};

    #[test]
    fn a_form_is_a_dict_of_texts() {
        let value = read(b"a=1+2&b=%C3%A9%26&c&d=x&d=y&=e&%zz=100%&&").unwrap();
        let expected = dict! {
            "a": "1 2",
            "b": "é&",
            "c": "",
            "d": vec!["x", "y"],
            "": "e",
            "%zz": "100%",
        };
        assert_eq!(value, expected.into());
        assert_eq!(read(b"").unwrap(), dict! {}.into());
        let error = read(b"a=%FF&b=1&%C3=x").unwrap_err();
        assert_eq!(error.reason(), "DOCUMENT_MALFORMED");
        let messages: Vec<_> = error
            .field_violations()
            .iter()
            .map(|one| one.message.as_str())
            .collect();
        assert_eq!(messages, ["field 1: is not UTF-8", "field 3: is not UTF-8"]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (value, text) in [
            (
                dict! { "a": "x y", "é": "&=+%\r\n" },
                "a=x+y&%C3%A9=%26%3D%2B%25%0D%0A",
            ),
            (dict! { "l": vec!["a", "b"] }, "l=a&l=b"),
            (dict! {}, ""),
        ] {
            assert_eq!(write(&value.clone().into()).unwrap(), text);
            assert_eq!(read(text.as_bytes()).unwrap(), value.into());
        }
        let mixed = dict! { "n": 1, "none": Value::Null, "d": dict! { "a": 1 }, "one": vec![1] };
        assert_eq!(
            write(&mixed.into()).unwrap(),
            "n=1&d=%7B%22a%22%3A1%7D&one=%5B1%5D"
        );
        assert_eq!(write(&1.into()).unwrap_err().reason(), "FORMAT_INVALID");
    }

    fn declared() -> Sio {
        Sio::new()
            .input(Int("id"))
            .input(List("tags"))
            .input(List("counts").of(Int("")).optional())
            .input(Bool("agree").default(false))
            .input(Date("since").optional())
            .input(Text("name").optional())
            .input(Secret("password").optional())
    }

    fn checked(text: &str) -> Result<Value> {
        let sio = declared();
        let elements = sio.input.clone().unwrap();
        read_checked(text.as_bytes(), &sio, &elements).map(|checked| checked.value)
    }

    #[test]
    fn fields_have_the_declared_types() {
        let value = checked("id=7&tags=a&counts=1&counts=2&agree=on&since=&name=").unwrap();
        let expected = dict! {
            "id": 7,
            "tags": vec!["a"],
            "counts": vec![1, 2],
            "agree": true,
        };
        assert_eq!(value, expected.into());
        let value = checked("id=7&tags=[%22a%22,%22b%22]&since=2026-11-30").unwrap();
        assert_eq!(value["tags"], vec!["a", "b"].into());
        assert_eq!(value["agree"], false.into());
    }

    #[test]
    fn all_violations_are_reported_at_once() {
        let error = checked("id=x&tags=[1&agree=maybe&since=yesterday").unwrap_err();
        let mut paths: Vec<_> = error
            .field_violations()
            .iter()
            .map(|one| one.path.as_str())
            .collect();
        paths.sort_unstable();
        assert_eq!(error.reason(), "INPUT_INVALID");
        assert_eq!(paths, ["/agree", "/id", "/since", "/tags"]);
        let error = checked("id=1&id=2&tags=x").unwrap_err();
        assert_eq!(error.field_violations()[0].path, "/id");
    }

    #[test]
    fn a_value_that_is_no_dict_takes_no_form() {
        let sio = declared();
        let mut elements = sio.input.clone().unwrap();
        elements.shape = Shape::Value;
        let error = read_checked(b"a=1", &sio, &elements).unwrap_err();
        assert!(error.message().contains("send JSON"), "{error}");
    }
}
