//! The error of the deserializer: a violation with its path.

use std::fmt;

use serde::de::{self, Unexpected};

use crate::model::error::Violation;
use crate::model::id::truncated;

/// A value that does not fit its type.
#[derive(Debug)]
pub struct Mismatch(Violation);

impl Mismatch {
    pub(super) fn into_violation(self) -> Violation {
        self.0
    }

    pub(super) fn under(self, key: &str) -> Self {
        Self(self.0.under(key))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Violation::new("", "INVALID", message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let message = format!(
            "{} is not {}",
            found(unexpected),
            expected_type(&expected.to_string())
        );
        Self(Violation::new("", "WRONG_TYPE", message))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let message = format!("{} is out of the range of {expected}", found(unexpected));
        Self(Violation::new("", "OUT_OF_RANGE", message))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(Violation::new("", "MISSING", "is required")).under(field)
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self(Violation::new("", "UNKNOWN_KEY", "is not declared")).under(field)
    }
}

/// The actual value, in terms that callers know.
fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Str(text) => format!("the text {:?}", truncated(text)),
        Unexpected::Signed(n) => n.to_string(),
        Unexpected::Unsigned(n) => n.to_string(),
        Unexpected::Float(x) => x.to_string(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a dict".to_owned(),
        other => other.to_string(),
    }
}

/// The expected type, in terms that callers of other languages know: serde names Rust's types.
fn expected_type(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128"
        | "usize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" => "text",
        "a sequence" => "a list",
        "a map" => "a dict",
        _ if expected.starts_with("struct ") => "a dict",
        other => other,
    }
}
