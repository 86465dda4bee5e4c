//! Values as text: JSON, as in documents.

use std::fmt;

use crate::codec::json;
use crate::model::value::{Dict, Value};

/// JSON: on one line with `{}`, indented with `{:#}`.
///
/// Bytes are base64 text. NaN and infinities, which JSON does not have, are written as Rust writes them; a value that
/// has some is always indented.
///
/// ```
/// use cidery::{Value, dict};
///
/// let value = Value::from(dict! { "name": "Ann", "tags": [1, 2] });
/// assert_eq!(value.to_string(), r#"{"name":"Ann","tags":[1,2]}"#);
/// ```
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compact = match f.alternate() {
            true => None,
            false => json::write(self).ok(),
        };
        f.write_str(&compact.unwrap_or_else(|| json::pretty(self)))
    }
}

/// As for [`Value`].
impl fmt::Display for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::from(self.clone()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;

    #[test]
    fn values_are_shown_as_json() {
        let dict = dict! { "n": 1, "t": "a\"b", "l": [Value::Null, true.into()] };
        let compact = r#"{"n":1,"t":"a\"b","l":[null,true]}"#;
        assert_eq!(dict.to_string(), compact);
        let value = Value::from(dict);
        assert_eq!(value.to_string(), compact);
        let indented = format!("{value:#}");
        assert_eq!(json::read(indented.as_bytes()).unwrap(), value);
        assert!(indented.contains("\n  \"n\": 1"), "{indented}");
        assert_eq!(Value::from("text").to_string(), "\"text\"");
        assert_eq!(Value::Float(f64::NAN).to_string(), "NaN");
    }
}
