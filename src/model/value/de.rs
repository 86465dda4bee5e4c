//! Deserializes types from a [`Value`]. A mismatch is a violation with its path.

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::convert::from_base64;
use super::mismatch::Mismatch;
use super::{Digits, Key, Value};
use crate::model::error::{Error, Result, reason};

/// Converts a value to a type.
///
/// Numbers are also read from text, exactly, since `google.protobuf.Struct` carries numbers beyond a double as text.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `INPUT_INVALID` with a violation that names the path.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    T::deserialize(value)
        .map_err(|error| Error::violations(reason::INPUT_INVALID, vec![error.into_violation()]))
}

/// Reads a number from text where the type expects a number.
macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
                let parsed = match &self {
                    Self::Text(text) => text.parse::<$type>().ok(),
                    Self::Digits(digits) => digits.as_str().parse::<$type>().ok(),
                    _ => None,
                };
                match parsed {
                    Some(number) => visitor.$visit(number),
                    None => self.deserialize_any(visitor),
                }
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Value {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(flag) => visitor.visit_bool(flag),
            Self::Int(n) => visitor.visit_i64(n),
            Self::Float(x) => visitor.visit_f64(x),
            Self::Digits(Digits(text)) | Self::Text(text) => visitor.visit_string(text),
            Self::Bytes(bytes) => visitor.visit_byte_buf(bytes.into()),
            Self::List(items) => visitor.visit_seq(Items {
                items: items.into_iter(),
                index: 0,
            }),
            Self::Dict(dict) => visitor.visit_map(Fields {
                fields: dict.into_iter(),
                current: None,
            }),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match &self {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the result is only compared with infinity"
            )]
            Self::Float(x) if (*x as f32).is_infinite() => Err(de::Error::custom(format!(
                "{x} is beyond the range of a float"
            ))),
            _ => self.deserialize_f64(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        // Only numbers are accepted: text such as `inf` is no number in any data format.
        match self {
            Self::Digits(digits) => match digits.as_str().parse::<f64>() {
                Ok(x) if x.is_finite() => visitor.visit_f64(x),
                _ => Err(de::Error::custom(format!("{digits} is out of range"))),
            },
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Text(text) => match from_base64(&text) {
                Some(bytes) => visitor.visit_byte_buf(bytes),
                None => Err(de::Error::custom("is not base64 (RFC 4648)")),
            },
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Null => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            // The empty dict stands for no input, which a handler declares as `()`.
            Self::Dict(dict) if dict.is_empty() => visitor.visit_unit(),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self {
            Self::Text(variant) => visitor.visit_enum(Variant {
                variant,
                content: None,
            }),
            Self::Dict(dict) if dict.len() == 1 => {
                let (variant, content) = dict.into_iter().next().unwrap_or_default();
                visitor.visit_enum(Variant {
                    variant: variant.into(),
                    content: Some(content),
                })
            }
            other => Err(de::Error::custom(format!(
                "is {}, not the name of a variant or a dict with that one key",
                other.kind_name()
            ))),
        }
    }

    forward_to_deserialize_any! {
        bool char str string unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Mismatch> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mismatch> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(item)
            .map(Some)
            .map_err(|error| error.under(&index.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Fields {
    fields: indexmap::map::IntoIter<Key, Value>,
    current: Option<(Key, Value)>,
}

impl<'de> de::MapAccess<'de> for Fields {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mismatch> {
        let Some((key, value)) = self.fields.next() else {
            return Ok(None);
        };
        let name = seed.deserialize(key.as_str().into_deserializer())?;
        self.current = Some((key, value));
        Ok(Some(name))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        let (key, value) = self.current.take().unwrap_or_default();
        seed.deserialize(value).map_err(|error| error.under(&key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

struct Variant {
    variant: String,
    content: Option<Value>,
}

impl<'de> de::EnumAccess<'de> for Variant {
    type Error = Mismatch;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content), Mismatch> {
        let variant = seed.deserialize(self.variant.into_deserializer())?;
        Ok((variant, Content(self.content)))
    }
}

struct Content(Option<Value>);

impl<'de> de::VariantAccess<'de> for Content {
    type Error = Mismatch;

    fn unit_variant(self) -> Result<(), Mismatch> {
        match self.0 {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(de::Error::custom("this variant has no content")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mismatch> {
        seed.deserialize(self.0.unwrap_or_default())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        self.0.unwrap_or_default().deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.0.unwrap_or_default().deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::dict;
    use crate::model::value::Dict;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Order {
        id: u64,
        #[serde(default)]
        note: Option<String>,
        lines: Vec<Line>,
        kind: Shipping,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Line {
        sku: String,
        count: i8,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    enum Shipping {
        Plain,
        Express { days: u8 },
    }

    fn order() -> Dict {
        dict! {
            "id": "18446744073709551615",
            "lines": vec![dict! { "sku": "x", "count": 3 }],
            "kind": "Plain",
        }
    }

    #[test]
    fn integers_are_read_from_text_exactly() {
        let order: Order = from_value(order().into()).unwrap();
        assert_eq!(order.id, u64::MAX);
        assert_eq!(order.kind, Shipping::Plain);
        assert_eq!(order.note, None);
    }

    #[test]
    fn a_mismatch_is_reported_with_its_path() {
        let check = |input: Dict, path: &str, code: &str| {
            let error = from_value::<Order>(input.into()).unwrap_err();
            let violation = error.field_violations().first().unwrap().clone();
            assert_eq!((violation.path.as_str(), &*violation.code), (path, code));
        };
        let mut input = order();
        input["lines"] = vec![dict! { "sku": "x", "count": "many" }].into();
        check(input, "/lines/0/count", "WRONG_TYPE");
        let mut input = order();
        input["lines"] = vec![dict! { "count": 1 }].into();
        check(input, "/lines/0/sku", "MISSING");
        let mut input = order();
        input["kind"] = dict! { "Express": dict! { "days": 300 } }.into();
        check(input, "/kind/days", "OUT_OF_RANGE");
    }

    #[test]
    fn bytes_are_read_from_base64() {
        let bytes: bytes::Bytes = from_value(Value::from("AP8=")).unwrap();
        assert_eq!(bytes.as_ref(), b"\0\xff");
    }

    #[test]
    fn a_value_inside_a_type_is_any_value() {
        #[derive(Deserialize)]
        struct Envelope {
            any: Value,
        }
        let any = Value::from(dict! { "x": vec![1, 2] });
        let envelope: Envelope = from_value(dict! { "any": any.clone() }.into()).unwrap();
        assert_eq!(envelope.any, any);
    }
}
