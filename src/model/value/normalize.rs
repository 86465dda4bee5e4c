//! The canonical form of a value: what `google.protobuf.Struct` can carry.

use super::Value;
use super::convert::to_base64;
use super::number::is_safe;

impl Value {
    /// The value after a round trip through `google.protobuf.Struct`, which knows only doubles, text, booleans, lists
    /// and dicts.
    ///
    /// Whole numbers beyond ±(2^53−1) and [`Digits`](super::Digits) become decimal text. Bytes become base64 text (RFC
    /// 4648, padded), doubles without a fraction within that range become whole numbers. Every typed reader restores
    /// the exact value from the text.
    #[must_use]
    pub fn normalized(&self) -> Self {
        match self {
            Self::Null | Self::Bool(_) | Self::Text(_) => self.clone(),
            Self::Int(n) if is_safe(*n) => Self::Int(*n),
            Self::Int(n) => Self::Text(n.to_string()),
            Self::Float(x) => Self::from_double(*x),
            Self::Digits(digits) => Self::Text(digits.as_str().to_owned()),
            Self::Bytes(bytes) => Self::Text(to_base64(bytes)),
            Self::List(items) => Self::List(items.iter().map(Self::normalized).collect()),
            Self::Dict(dict) => Self::Dict(
                dict.iter()
                    .map(|(key, value)| (key, value.normalized()))
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::value::MAX_SAFE_INTEGER;

    #[test]
    fn normalized_values_fit_into_a_struct() {
        let cases = [
            (Value::Float(5.0), Value::Int(5)),
            (Value::Float(-0.0), Value::Float(-0.0)),
            (Value::Float(0.5), Value::Float(0.5)),
            (Value::Int(MAX_SAFE_INTEGER), Value::Int(MAX_SAFE_INTEGER)),
            (
                Value::Int(MAX_SAFE_INTEGER + 1),
                Value::from("9007199254740992"),
            ),
            (Value::Int(i64::MIN), Value::from("-9223372036854775808")),
            (Value::Float(1e300), Value::Float(1e300)),
            (
                Value::Bytes(Bytes::from_static(b"\0\xff")),
                Value::from("AP8="),
            ),
        ];
        for (value, normalized) in cases {
            assert_eq!(value.normalized(), normalized, "{value:?}");
            assert_eq!(normalized.normalized(), normalized, "{value:?} twice");
        }
    }
}
