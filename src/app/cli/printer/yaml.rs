//! Values as YAML, with every digit of their numbers.

use crate::codec::json;
use crate::model::value::Value;

/// Words that YAML 1.1 or 1.2 reads as something else than text.
const RESERVED: [&str; 13] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan", "infinity", "_",
];

/// Writes a value in block style, without a final line end.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    write_at(value, 0, &mut out);
    out
}

fn write_at(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Dict(dict) if !dict.is_empty() => {
            for (index, (key, value)) in dict.iter().enumerate() {
                if index > 0 {
                    line_end(indent, out);
                }
                out.push_str(&text(key));
                out.push(':');
                if is_block(value) {
                    // A list may be as deep as its key.
                    let indent = indent + usize::from(matches!(value, Value::Dict(_))) * 2;
                    line_end(indent, out);
                    write_at(value, indent, out);
                } else {
                    out.push(' ');
                    write_at(value, indent, out);
                }
            }
        }
        Value::List(list) if !list.is_empty() => {
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    line_end(indent, out);
                }
                out.push_str("- ");
                write_at(value, indent + 2, out);
            }
        }
        Value::Text(value) => out.push_str(&text(value)),
        // The other scalars, `{}` and `[]` are the same in JSON.
        value => out.push_str(&json::write(value).unwrap_or_else(|_| "null".to_owned())),
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Dict(dict) => !dict.is_empty(),
        Value::List(list) => !list.is_empty(),
        _ => false,
    }
}

fn line_end(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A plain scalar where it cannot be read as anything else, otherwise a JSON string, which is a scalar of YAML too.
fn text(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(is_word)
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    match is_plain {
        true => text.to_owned(),
        false => json::write(&Value::Text(text.to_owned())).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;

    #[test]
    fn values_are_written_in_block_style() {
        let value = dict! {
            "name": "customer.get",
            "empty": dict! {},
            "list": vec![Value::from(1), dict! { "a": "no", "b": vec![2] }.into()],
            "dict": dict! { "text": "a b\n\u{1b}", "null": Value::Null },
        };
        let expected = r#"name: customer.get
empty: {}
list:
- 1
- a: "no"
  b:
  - 2
dict:
  text: "a b\n\u001b"
  "null": null"#;
        assert_eq!(write(&value.into()), expected);
    }
}
