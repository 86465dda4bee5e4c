//! Conversions from plain Rust types to values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Dict, Value};

pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

macro_rules! from {
    ($($type:ty: $name:ident => $value:expr;)*) => {
        $(
            impl From<$type> for Value {
                fn from($name: $type) -> Self {
                    $value
                }
            }
        )*
    };
}

from! {
    (): _unit => Self::Null;
    bool: flag => Self::Bool(flag);
    i8: n => Self::Int(n.into());
    i16: n => Self::Int(n.into());
    i32: n => Self::Int(n.into());
    i64: n => Self::Int(n);
    u8: n => Self::Int(n.into());
    u16: n => Self::Int(n.into());
    u32: n => Self::Int(n.into());
    u64: n => Self::from_whole(n);
    u128: n => Self::from_whole(n);
    i128: n => Self::from_whole(n);
    usize: n => Self::from_whole(n);
    f32: x => Self::from_f32(x);
    f64: x => Self::Float(x);
    &str: text => Self::Text(text.to_owned());
    String: text => Self::Text(text);
    &String: text => Self::Text(text.clone());
    Bytes: bytes => Self::Bytes(bytes);
    Dict: dict => Self::Dict(dict);
}

impl Value {
    /// Converts a float through its shortest text: `0.1_f32` is 0.1, not 0.10000000149011612.
    pub(super) fn from_f32(x: f32) -> Self {
        Self::Float(x.to_string().parse().unwrap_or_else(|_| f64::from(x)))
    }

    /// Converts an integer of any width exactly.
    pub(super) fn from_whole<N: TryInto<i64> + ToString + Copy>(n: N) -> Self {
        match n.try_into() {
            Ok(n) => Self::Int(n),
            Err(_) => Self::number(&n.to_string()).unwrap_or_default(),
        }
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_integers_stay_exact() {
        assert_eq!(Value::from(7_u64), Value::Int(7));
        assert_eq!(
            Value::from(u64::MAX),
            Value::number("18446744073709551615").unwrap()
        );
        assert_eq!(Value::from(i128::from(i64::MIN)), Value::Int(i64::MIN));
        assert_eq!(Value::from(0.1_f32), Value::Float(0.1));
    }
}
