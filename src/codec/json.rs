//! JSON (RFC 8259) to values and back, with all digits of numbers.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_event_parser::{JsonEvent, JsonSyntaxError, LowLevelJsonParser, LowLevelJsonParserResult};

use crate::codec::json_syntax::{Expected, explain};
use crate::codec::json_valid;
use crate::codec::limits::{MAX_DEPTH, MAX_KEYS};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::truncated;
use crate::model::value::{Dict, Value};

/// How much room a text has at first, in bytes: most inputs and outputs of services are small.
const WRITTEN_CAPACITY: usize = 128;

/// Reads one JSON text.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DOCUMENT_MALFORMED` with the line and the column where the text is not JSON, has a duplicate
/// key, or exceeds a limit.
pub fn read(text: &[u8]) -> Result<Value> {
    read_nested(text, MAX_DEPTH)
}

/// Checks one JSON text.
///
/// # Errors
///
/// As for [`read`].
pub fn scan(text: &[u8]) -> Result<()> {
    match json_valid::is_valid(text, MAX_DEPTH) {
        true => Ok(()),
        false => read(text).map(drop),
    }
}

/// Reads one JSON text that is nested up to `max_depth` dicts and lists deep: a message with a value in it.
pub(in crate::codec) fn read_nested(text: &[u8], max_depth: usize) -> Result<Value> {
    match json_valid::read(text, max_depth) {
        Some(value) => Ok(value),
        None => read_any(text, max_depth),
    }
}

/// Reads one JSON text, or tells where it is not one.
pub(super) fn read_any(text: &[u8], max_depth: usize) -> Result<Value> {
    let mut events = Events::new(text);
    let mut open = Vec::new();
    let mut keys = 0;
    loop {
        let event = events.next();
        let event = event.map_err(|error| events.syntax_error(&error, Open::expected(&open)))?;
        let done = match event {
            JsonEvent::StartObject => {
                push(&mut open, Open::Dict(Dict::new(), None), max_depth, &events)?
            }
            JsonEvent::StartArray => push(&mut open, Open::List(Vec::new()), max_depth, &events)?,
            JsonEvent::ObjectKey(key) => {
                set_key(&mut open, key.into_owned(), &events)?;
                None
            }
            JsonEvent::EndObject | JsonEvent::EndArray => open.pop().map(Open::close),
            JsonEvent::Null => Some(Value::Null),
            JsonEvent::Boolean(flag) => Some(Value::Bool(flag)),
            JsonEvent::Number(number) => Some(Value::number(&number).unwrap_or_default()),
            JsonEvent::String(text) => Some(Value::Text(text.into_owned())),
            JsonEvent::Eof => return Err(events.malformed("NOT_JSON", "is empty")),
        };
        let Some(value) = done else { continue };
        keys += 1;
        if keys > MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} keys and items");
            return Err(events.malformed("TOO_MANY_KEYS", &message));
        }
        match open.last_mut() {
            Some(container) => container.add(value),
            None => {
                // Only whitespace may follow.
                let end = events.next();
                end.map_err(|error| events.syntax_error(&error, Expected::End))?;
                return Ok(value);
            }
        }
    }
}

/// A stream of parse events with their positions.
struct Events<'a> {
    text: &'a [u8],
    /// The bounds of the last event.
    before: usize,
    after: usize,
    parser: LowLevelJsonParser,
}

impl<'a> Events<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            before: 0,
            after: 0,
            parser: LowLevelJsonParser::new(),
        }
    }

    fn next(&mut self) -> std::result::Result<JsonEvent<'a>, JsonSyntaxError> {
        self.before = self.after;
        loop {
            let rest = self.text.get(self.after..).unwrap_or_default();
            let LowLevelJsonParserResult {
                event,
                consumed_bytes,
            } = self.parser.parse_next(rest, true);
            self.after += consumed_bytes;
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// The error of a text that is not JSON: where it is, and what was expected there.
    fn syntax_error(&self, error: &JsonSyntaxError, expected: Expected) -> Error {
        let offset = usize::try_from(error.location().start.offset).unwrap_or(usize::MAX);
        let (before, rest) = self
            .text
            .split_at_checked(offset)
            .unwrap_or((self.text, b""));
        let message = explain(error.message(), before, rest, expected);
        malformed_at("NOT_JSON", &message, before)
    }

    /// The error at the position of the last event.
    fn malformed(&self, code: &'static str, message: &str) -> Error {
        let between = self.text.get(self.before..self.after).unwrap_or_default();
        let skipped = between
            .iter()
            .take_while(|byte| b" \t\r\n,:".contains(byte))
            .count();
        let head = self.text.get(..self.before + skipped).unwrap_or_default();
        malformed_at(code, message, head)
    }
}

/// A container that is still open.
enum Open {
    Dict(Dict, Option<String>),
    List(Vec<Value>),
}

impl Open {
    /// What may follow in the innermost container.
    fn expected(open: &[Self]) -> Expected {
        match open.last() {
            None => Expected::Value,
            Some(Self::List(_)) => Expected::Item,
            Some(Self::Dict(_, None)) => Expected::Key,
            Some(Self::Dict(_, Some(_))) => Expected::ValueOfKey,
        }
    }

    fn add(&mut self, value: Value) {
        match self {
            Self::Dict(dict, key) => {
                dict.insert(key.take().unwrap_or_default(), value);
            }
            Self::List(items) => items.push(value),
        }
    }

    fn close(self) -> Value {
        match self {
            Self::Dict(dict, _) => Value::Dict(dict),
            Self::List(items) => Value::List(items),
        }
    }
}

fn push(
    open: &mut Vec<Open>,
    container: Open,
    max_depth: usize,
    events: &Events<'_>,
) -> Result<Option<Value>> {
    if open.len() == max_depth {
        let message = format!("is nested deeper than {max_depth} dicts and lists");
        return Err(events.malformed("TOO_DEEP", &message));
    }
    open.push(container);
    Ok(None)
}

fn set_key(open: &mut [Open], key: String, events: &Events<'_>) -> Result<()> {
    if let Some(Open::Dict(dict, current)) = open.last_mut() {
        if dict.contains_key(&key) {
            let message = format!("has the key `{}` twice", truncated(&key));
            return Err(events.malformed("DUPLICATE_KEY", &message));
        }
        *current = Some(key);
    }
    Ok(())
}

/// The error of a malformed text, at the end of `head`.
fn malformed_at(code: &'static str, message: &str, head: &[u8]) -> Error {
    let head = String::from_utf8_lossy(head);
    let line = head.matches('\n').count() + 1;
    let column = head.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let message = format!("line {line}, column {column}: {message}");
    let violation = Violation::new("", code, message);
    Error::violations(reason::DOCUMENT_MALFORMED, vec![violation])
        .with_info("line", line)
        .with_info("column", column)
}

/// Writes a value as one JSON text. Bytes become base64 text.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for NaN and infinities.
pub fn write(value: &Value) -> Result<String> {
    let mut out = String::with_capacity(WRITTEN_CAPACITY);
    compact(&mut out, value)
        .map_err(|violation| Error::violations(reason::VALUE_INVALID, vec![violation]))?;
    Ok(out)
}

/// Appends a value as JSON.
pub(in crate::codec) fn compact(out: &mut String, value: &Value) -> Result<(), Violation> {
    match value {
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                compact(out, item).map_err(|v| v.under(&index.to_string()))?;
            }
            out.push(']');
        }
        Value::Dict(dict) => {
            out.push('{');
            for (index, (key, value)) in dict.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quoted(out, key);
                out.push(':');
                compact(out, value).map_err(|v| v.under(key))?;
            }
            out.push('}');
        }
        leaf => scalar(out, leaf)?,
    }
    Ok(())
}

/// Writes a value for people: indented, with short lists of scalars on one line.
#[must_use]
pub fn pretty(value: &Value) -> String {
    let mut out = String::new();
    indented(&mut out, value, 0);
    out
}

/// Writes a value as [`pretty`] does, in the line of an entry at this level.
pub(in crate::codec) fn indented(out: &mut String, value: &Value, level: usize) {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    };
    match value {
        Value::List(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                indented(out, item, level + 1);
            }
            line(out, level);
            out.push(']');
        }
        Value::Dict(dict) if !dict.is_empty() => {
            out.push('{');
            for (index, (key, value)) in dict.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                quoted(out, key);
                out.push_str(": ");
                indented(out, value, level + 1);
            }
            line(out, level);
            out.push('}');
        }
        Value::List(_) => out.push_str("[]"),
        Value::Dict(_) => out.push_str("{}"),
        leaf => {
            // People see every value, encodable or not.
            if scalar(out, leaf).is_err()
                && let Value::Float(x) = leaf
            {
                let _ = write!(out, "{x}");
            }
        }
    }
}

fn scalar(out: &mut String, value: &Value) -> Result<(), Violation> {
    match value {
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(n) => {
            let _ = write!(out, "{n}");
        }
        Value::Float(x) if x.is_finite() => {
            // The shortest text that parses to the same double.
            let _ = write!(out, "{x:?}");
        }
        Value::Float(x) => {
            let message = format!("is {x}, which is not a JSON number");
            return Err(Violation::new("", "NOT_FINITE", message));
        }
        Value::Digits(digits) => out.push_str(digits.as_str()),
        Value::Text(text) => quoted(out, text),
        Value::Bytes(bytes) => quoted(out, &STANDARD.encode(bytes)),
        Value::Null | Value::List(_) | Value::Dict(_) => out.push_str("null"),
    }
    Ok(())
}

/// Appends a text as JSON.
pub(in crate::codec) fn quoted(out: &mut String, text: &str) {
    let is_escaped = |byte: u8| matches!(byte, b'"' | b'\\' | ..b' ' | 0x7f);
    out.push('"');
    let mut rest = text;
    while let Some(end) = rest.bytes().position(is_escaped) {
        // What is escaped is ASCII.
        let (run, after) = rest.split_at(end);
        out.push_str(run);
        let mut after = after.chars();
        match after.next().unwrap_or_default() {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;

    fn round_trip(text: &str) {
        let value = read(text.as_bytes()).unwrap();
        assert_eq!(write(&value).unwrap(), text);
    }

    #[test]
    fn numbers_keep_every_digit() {
        for text in [
            "9007199254740993",
            "123456789012345678901234567890",
            "0.1234567890123456789",
            "1e300",
            "-0.0",
            r#"{"z":1,"a":[true,false,null,"\"\\\n\u0001é"]}"#,
            "[]",
            "{}",
            "\"\"",
        ] {
            round_trip(text);
        }
    }

    #[test]
    fn malformed_text_is_reported_with_line_and_column() {
        let error = read(b"{\"a\": 1,\n  \"b\": x}").unwrap_err();
        assert_eq!(error.reason(), "DOCUMENT_MALFORMED");
        assert_eq!(error.fact("line"), Some("2"));
        assert_eq!(error.fact("column"), Some("8"));
    }

    #[test]
    fn anything_but_one_json_text_is_rejected() {
        for (text, code) in [
            ("", "NOT_JSON"),
            ("1 2", "NOT_JSON"),
            ("{\"a\":1,\"a\":2}", "DUPLICATE_KEY"),
            ("01", "NOT_JSON"),
            ("[1,]", "NOT_JSON"),
            ("NaN", "NOT_JSON"),
            ("\"\u{0}\"", "NOT_JSON"),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            let violation = &error.field_violations()[0];
            assert_eq!(violation.code, code, "{text:?}: {violation:?}");
        }
        let error = read("{\"ä\":1,\n  \"ä\":2}".as_bytes()).unwrap_err();
        assert_eq!(
            (error.fact("line"), error.fact("column")),
            (Some("2"), Some("3"))
        );
        let deep = "[".repeat(10_000);
        assert_eq!(
            read(deep.as_bytes()).unwrap_err().field_violations()[0].code,
            "TOO_DEEP"
        );
        assert!(read(b"\"\xff\"").is_err());
    }

    #[test]
    fn a_syntax_error_says_what_was_expected() {
        for (text, expected) in [
            ("{a: 1}", "line 1, column 2: expected a double-quoted key"),
            ("{'a': 1}", "line 1, column 2: expected a double-quoted key"),
            (
                "{name: 1}",
                "line 1, column 2: expected a double-quoted key",
            ),
            ("{1: 1}", "line 1, column 2: expected a double-quoted key"),
            (
                "{\"a\": 1, b: 2}",
                "line 1, column 10: expected a double-quoted key",
            ),
            (
                "{",
                "line 1, column 2: unexpected end: expected a double-quoted key",
            ),
            ("{\"a\" 1}", "line 1, column 6: expected `:`"),
            ("{\"a\": x}", "line 1, column 7: expected a value"),
            (
                "{\"a\": 1 \"b\": 2}",
                "line 1, column 9: expected `,` or `}`",
            ),
            (
                "{\"a\": 1",
                "line 1, column 8: unexpected end: expected `,` or `}`",
            ),
            (
                "{\"a\": 1,}",
                "line 1, column 9: trailing commas are not allowed",
            ),
            ("[1 2]", "line 1, column 4: expected `,` or `]`"),
            ("[x]", "line 1, column 2: expected a value or `]`"),
            ("[1,]", "line 1, column 4: trailing commas are not allowed"),
            ("[\n  nul", "line 2, column 3: expected a value or `]`"),
            ("", "line 1, column 1: unexpected end: expected a value"),
            ("pen", "line 1, column 1: expected a value"),
            ("NaN", "line 1, column 1: expected a value"),
            (
                "1 2",
                "line 1, column 3: unexpected text after the JSON value",
            ),
            ("\"abc", "line 1, column 1: unterminated string"),
            ("{\"ü\": \"a", "line 1, column 7: unterminated string"),
            ("\"a\\xb\"", "line 1, column 3: invalid escape in a string"),
            (
                "\"\u{1}\"",
                "line 1, column 2: control characters in a string must be escaped",
            ),
            ("[-x]", "line 1, column 3: invalid number"),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert_eq!(error.message(), expected, "{text}");
        }
    }

    #[test]
    fn pretty_text_parses_to_the_same_value() {
        let value = Value::from(dict! { "a": vec![1, 2], "b": Dict::new(), "c": "x\ny" });
        assert_eq!(read(pretty(&value).as_bytes()).unwrap(), value);
    }
}
