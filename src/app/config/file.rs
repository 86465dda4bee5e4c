//! The file of configuration: TOML, with the line of each value.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entry::{Entry, Origin, Raw};
use super::problem::Problem;

/// The largest file.
const MAX_BYTES: u64 = 1 << 20;

/// The values of a file, and what is wrong with its syntax.
pub(super) fn read(path: &Path) -> (Vec<Entry>, Vec<Problem>) {
    let path = Arc::new(path.to_path_buf());
    match read_text(&path) {
        Ok(text) => parse(&path, &text),
        Err(problem) => (Vec::new(), vec![problem]),
    }
}

fn read_text(path: &Arc<PathBuf>) -> Result<String, Problem> {
    let problem =
        |code, message: String| Problem::new(Origin::File(Arc::clone(path), 0), code, message);
    let unreadable = |error: std::io::Error| problem("INVALID", format!("cannot be read: {error}"));
    let file = File::open(path.as_path()).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(problem("TOO_LARGE", "is larger than 1 MiB".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| problem("NOT_UTF8", "is not UTF-8".to_owned()))
}

/// The values of a text, and what is wrong with its syntax.
pub(super) fn parse(path: &Arc<PathBuf>, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let line = |at: usize| {
        let before = text.as_bytes().get(..at).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    };
    let problems = errors.iter().map(|error| {
        let at = error.span().map_or(0, |span| line(span.start));
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        Problem::new(Origin::File(Arc::clone(path), at), "MALFORMED", message)
    });
    let mut problems: Vec<Problem> = problems.collect();
    // Of a line that cannot be read, only that is said, once.
    problems.dedup_by_key(|problem| problem.origin.line());
    let mut entries = Vec::new();
    let origin = |at: usize| Origin::File(Arc::clone(path), line(at));
    collect(table.get_ref(), "", &origin, &mut entries);
    entries.retain(|entry| {
        let mut malformed = problems.iter().map(|problem| problem.origin.line());
        malformed.all(|line| line != entry.origin.line())
    });
    (entries, problems)
}

/// Adds the values of a table to `entries`, and tables without values as they are.
fn collect(
    table: &DeTable<'_>,
    prefix: &str,
    origin: &impl Fn(usize) -> Origin,
    entries: &mut Vec<Entry>,
) {
    for (name, value) in table {
        let key = format!("{prefix}{}", key_text(name.get_ref()));
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => {
                collect(inner, &format!("{key}."), origin, entries);
            }
            value => entries.push(Entry {
                key,
                value: Raw::Typed(to_json(value)),
                origin: origin(name.span().start),
            }),
        }
    }
}

/// A key with a dot is not a path.
fn key_text(name: &str) -> String {
    match name.contains('.') {
        true => format!("\"{name}\""),
        false => name.to_owned(),
    }
}

fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            // Larger than every option may be.
            Err(_) => number
                .as_str()
                .parse::<f64>()
                .map_or(Value::Null, Value::from),
        },
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map_or(Value::Null, Value::from),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(time) => Value::Object(Map::from_iter([(time.to_string(), Value::Null)])),
        DeValue::Array(items) => {
            let items = items.iter().map(Spanned::get_ref).map(to_json);
            items.collect()
        }
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(name, value)| (name.get_ref().to_string(), to_json(value.get_ref())));
            Value::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> (Vec<Entry>, Vec<Problem>) {
        parse(&Arc::new(PathBuf::from("cidery.toml")), text)
    }

    #[test]
    fn each_value_has_its_line() {
        let text = "# first\nlisten = \"a\"\n\n[limits]\nitems = 0x1F\n\"a.b\" = 1\n[empty]\n";
        let (entries, problems) = parsed(text);
        assert!(problems.is_empty(), "{problems:?}");
        let lines = entries
            .iter()
            .map(|entry| format!("{} {}", entry.origin, entry.key));
        let mut lines: Vec<_> = lines.collect();
        lines.sort();
        let expected = ["2 listen", "5 limits.items", "6 limits.\"a.b\"", "7 empty"];
        assert_eq!(lines, expected.map(|line| format!("cidery.toml:{line}")));
    }

    #[test]
    fn all_syntax_errors_are_found() {
        let (_, problems) = parsed("a = \nb = 1\nc == 2\n");
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| problem.origin.line())
            .collect();
        assert!(lines.contains(&1) && lines.contains(&3), "{problems:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_text_panics(text in "(([a-z.\"']{1,8}|\\[[a-z.\\[]{0,6}\\]|[={}\\[\\],#0-9e:_+-]|\\PC){1,6}\n?){0,8}") {
            let _ = parsed(&text);
        }
    }
}
