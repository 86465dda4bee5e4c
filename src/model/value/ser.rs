//! Serializes types to a [`Value`].

use std::fmt;

use bytes::Bytes;
use serde::ser::{self, Serialize};

use super::{Dict, Value};
use crate::model::error::{Error, Result, Violation, reason};

/// Converts a serializable type to a value.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` where the type's own `Serialize` fails, or a map has keys that are not text.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value> {
    value.serialize(ToValue).map_err(Error::from)
}

/// The error of a `Serialize` implementation.
#[derive(Debug)]
pub struct SerializeError(String);

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SerializeError {}

impl ser::Error for SerializeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[diagnostic::do_not_recommend]
impl From<SerializeError> for Error {
    fn from(error: SerializeError) -> Self {
        let violation = Violation::new("", "NOT_SERIALIZABLE", error.0);
        Self::violations(reason::VALUE_INVALID, vec![violation])
    }
}

type Serialized<T = Value> = std::result::Result<T, SerializeError>;

struct ToValue;

impl ser::Serializer for ToValue {
    type Ok = Value;
    type Error = SerializeError;
    type SerializeSeq = ListBuilder;
    type SerializeTuple = ListBuilder;
    type SerializeTupleStruct = ListBuilder;
    type SerializeTupleVariant = ListBuilder;
    type SerializeMap = DictBuilder;
    type SerializeStruct = DictBuilder;
    type SerializeStructVariant = DictBuilder;

    fn serialize_bool(self, v: bool) -> Serialized {
        Ok(v.into())
    }
    fn serialize_i8(self, v: i8) -> Serialized {
        Ok(v.into())
    }
    fn serialize_i16(self, v: i16) -> Serialized {
        Ok(v.into())
    }
    fn serialize_i32(self, v: i32) -> Serialized {
        Ok(v.into())
    }
    fn serialize_i64(self, v: i64) -> Serialized {
        Ok(v.into())
    }
    fn serialize_i128(self, v: i128) -> Serialized {
        Ok(v.into())
    }
    fn serialize_u8(self, v: u8) -> Serialized {
        Ok(v.into())
    }
    fn serialize_u16(self, v: u16) -> Serialized {
        Ok(v.into())
    }
    fn serialize_u32(self, v: u32) -> Serialized {
        Ok(v.into())
    }
    fn serialize_u64(self, v: u64) -> Serialized {
        Ok(v.into())
    }
    fn serialize_u128(self, v: u128) -> Serialized {
        Ok(v.into())
    }
    fn serialize_f32(self, v: f32) -> Serialized {
        Ok(Value::from_f32(v))
    }
    fn serialize_f64(self, v: f64) -> Serialized {
        Ok(v.into())
    }
    fn serialize_char(self, v: char) -> Serialized {
        Ok(Value::Text(v.into()))
    }
    fn serialize_str(self, v: &str) -> Serialized {
        Ok(v.into())
    }
    fn serialize_bytes(self, v: &[u8]) -> Serialized {
        Ok(Value::Bytes(Bytes::copy_from_slice(v)))
    }
    fn serialize_none(self) -> Serialized {
        Ok(Value::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Serialized {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Serialized {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Serialized {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Serialized {
        Ok(variant.into())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Serialized {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Serialized {
        tagged(Some(variant), value.serialize(self)?)
    }
    fn serialize_seq(self, len: Option<usize>) -> Serialized<ListBuilder> {
        Ok(ListBuilder::new(len.unwrap_or(0), None))
    }
    fn serialize_tuple(self, len: usize) -> Serialized<ListBuilder> {
        Ok(ListBuilder::new(len, None))
    }
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Serialized<ListBuilder> {
        Ok(ListBuilder::new(len, None))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Serialized<ListBuilder> {
        Ok(ListBuilder::new(len, Some(variant)))
    }
    fn serialize_map(self, len: Option<usize>) -> Serialized<DictBuilder> {
        Ok(DictBuilder::new(len.unwrap_or(0), None))
    }
    fn serialize_struct(self, _: &'static str, len: usize) -> Serialized<DictBuilder> {
        Ok(DictBuilder::new(len, None))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Serialized<DictBuilder> {
        Ok(DictBuilder::new(len, Some(variant)))
    }
}

fn tagged(variant: Option<&'static str>, value: Value) -> Serialized {
    Ok(match variant {
        None => value,
        Some(variant) => Value::Dict(Dict::from_iter([(variant, value)])),
    })
}

struct ListBuilder {
    items: Vec<Value>,
    variant: Option<&'static str>,
}

impl ListBuilder {
    fn new(len: usize, variant: Option<&'static str>) -> Self {
        // The length is a hint, which may be wrong.
        let items = Vec::with_capacity(len.min(1_024));
        Self { items, variant }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Serialized<()> {
        self.items.push(value.serialize(ToValue)?);
        Ok(())
    }

    fn finish(self) -> Serialized {
        tagged(self.variant, Value::List(self.items))
    }
}

macro_rules! list_like {
    ($($trait:ident :: $method:ident),*) => {
        $(
            impl ser::$trait for ListBuilder {
                type Ok = Value;
                type Error = SerializeError;

                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Serialized<()> {
                    self.push(value)
                }
                fn end(self) -> Serialized {
                    self.finish()
                }
            }
        )*
    };
}

list_like!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

struct DictBuilder {
    dict: Dict,
    key: Option<String>,
    variant: Option<&'static str>,
}

impl DictBuilder {
    fn new(len: usize, variant: Option<&'static str>) -> Self {
        Self {
            dict: Dict::with_capacity(len.min(1_024)),
            key: None,
            variant,
        }
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Serialized<()> {
        self.dict.insert(key, value.serialize(ToValue)?);
        Ok(())
    }

    fn finish(self) -> Serialized {
        tagged(self.variant, Value::Dict(self.dict))
    }
}

macro_rules! struct_like {
    ($($trait:ident),*) => {
        $(
            impl ser::$trait for DictBuilder {
                type Ok = Value;
                type Error = SerializeError;

                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    key: &'static str,
                    value: &T,
                ) -> Serialized<()> {
                    self.field(key, value)
                }
                fn end(self) -> Serialized {
                    self.finish()
                }
            }
        )*
    };
}

struct_like!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for DictBuilder {
    type Ok = Value;
    type Error = SerializeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Serialized<()> {
        self.key = Some(match key.serialize(ToValue)? {
            Value::Text(text) => text,
            Value::Int(n) => n.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Digits(digits) => digits.to_string(),
            other => {
                let message = format!("a key of a map is {}, not text", other.kind_name());
                return Err(SerializeError(message));
            }
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Serialized<()> {
        let key = self.key.take().unwrap_or_default();
        self.dict.insert(key, value.serialize(ToValue)?);
        Ok(())
    }

    fn end(self) -> Serialized {
        self.finish()
    }
}

/// A value as a field of a user's type. Digits become text, since no serde format carries them as a number.
impl Serialize for Value {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(n) => serializer.serialize_i64(*n),
            Self::Float(x) => serializer.serialize_f64(*x),
            Self::Digits(digits) => serializer.serialize_str(digits.as_str()),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(items) => serializer.collect_seq(items),
            Self::Dict(dict) => dict.serialize(serializer),
        }
    }
}

impl Serialize for Dict {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::dict;

    #[derive(Serialize)]
    struct Order {
        id: u64,
        rate: f32,
        note: Option<&'static str>,
        kind: Shipping,
        lines: Vec<(String, i8)>,
    }

    #[derive(Serialize)]
    enum Shipping {
        Express { days: u8 },
    }

    #[test]
    fn types_become_dicts_in_declaration_order() {
        let order = Order {
            id: u64::MAX,
            rate: 0.1,
            note: None,
            kind: Shipping::Express { days: 2 },
            lines: vec![("x".into(), -1)],
        };
        let Value::Dict(dict) = to_value(&order).unwrap() else {
            panic!("a struct is a dict");
        };
        assert_eq!(
            dict.keys().collect::<Vec<_>>(),
            ["id", "rate", "note", "kind", "lines"]
        );
        assert_eq!(dict["id"], Value::from(u64::MAX));
        assert_eq!(dict["rate"], Value::Float(0.1));
        assert_eq!(dict["note"], Value::Null);
        assert_eq!(
            dict["kind"],
            Value::from(dict! { "Express": dict! { "days": 2 } })
        );
        assert_eq!(dict["lines"][0][1], Value::Int(-1));
    }
}
