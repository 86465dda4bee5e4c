//! The conversion of what callers pass as an input, or emit as an item, to a payload.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::Serialize;

use crate::model::error::Result;
use crate::model::payload::Payload;
use crate::model::value::{Dict, Value, to_value};

/// What can be the input of a call or an item: a reference to anything that implements `serde::Serialize`, or a value.
///
/// By value it is a [`Dict`], a [`Value`], a [`Payload`], `()` for no input, a text, a number, a bool, [`Bytes`], or a
/// `Vec`, an array, an `Option` or a map of anything that implements `serde::Serialize`. A value of any other type is
/// passed by reference.
///
/// ```
/// # use cidery::{Context, Result, dict};
/// #[derive(serde::Serialize)]
/// struct Lookup { cust_id: u64 }
///
/// # async fn handler(ctx: Context) -> Result<()> {
/// let request = Lookup { cust_id: 1 };
/// ctx.invoke("crm.lookup", &request).await?;
/// ctx.invoke("crm.lookup", dict! { "cust_id": 1 }).await?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an input or an item",
    label = "expected a reference to a type that implements `serde::Serialize`",
    note = "for a type of your own: `#[derive(serde::Serialize)]`, and pass a reference: `&value`",
    note = "by value: a `Dict`, `Value`, `Payload`, `String`, number, bool, `Bytes` or `()`, or a `Vec`, array, \
            `Option` or map of values that implement `serde::Serialize`"
)]
pub trait IntoPayload {
    /// Converts it to a payload.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `VALUE_INVALID` where it cannot be serialized.
    fn into_payload(self) -> Result<Payload>;
}

impl<T: Serialize + ?Sized> IntoPayload for &T {
    fn into_payload(self) -> Result<Payload> {
        to_value(self).map(Payload::Value)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for Payload {
    #[inline]
    fn into_payload(self) -> Result<Payload> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for Dict {
    #[inline]
    fn into_payload(self) -> Result<Payload> {
        Ok(self.into())
    }
}

#[diagnostic::do_not_recommend]
impl IntoPayload for () {
    fn into_payload(self) -> Result<Payload> {
        Ok(Payload::empty())
    }
}

/// Lists of values and of dicts are moved.
impl<T: Serialize + 'static> IntoPayload for Vec<T> {
    fn into_payload(self) -> Result<Payload> {
        let mut items = Some(self);
        let any: &mut dyn Any = &mut items;
        if let Some(values) = any.downcast_mut::<Option<Vec<Value>>>() {
            return Ok(Payload::Value(values.take().unwrap_or_default().into()));
        }
        if let Some(dicts) = any.downcast_mut::<Option<Vec<Dict>>>() {
            return Ok(Payload::Value(dicts.take().unwrap_or_default().into()));
        }
        to_value(&items).map(Payload::Value)
    }
}

impl<T: Serialize + 'static, const N: usize> IntoPayload for [T; N] {
    fn into_payload(self) -> Result<Payload> {
        Vec::from(self).into_payload()
    }
}

impl<T: Serialize> IntoPayload for Option<T> {
    fn into_payload(self) -> Result<Payload> {
        (&self).into_payload()
    }
}

impl<K: Serialize, V: Serialize> IntoPayload for BTreeMap<K, V> {
    fn into_payload(self) -> Result<Payload> {
        (&self).into_payload()
    }
}

impl<K: Serialize, V: Serialize, S> IntoPayload for HashMap<K, V, S> {
    fn into_payload(self) -> Result<Payload> {
        (&self).into_payload()
    }
}

macro_rules! values {
    ($($type:ty),*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl IntoPayload for $type {
                fn into_payload(self) -> Result<Payload> {
                    Ok(Payload::Value(self.into()))
                }
            }
        )*
    };
}

values!(
    Value, String, Bytes, bool, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, usize, f32, f64
);

impl Payload {
    /// Converts a serializable value. Values and dicts are moved, not serialized: the compiler removes all branches but
    /// one for each type.
    pub(crate) fn serialize<T: Serialize + 'static>(value: T) -> Result<Self> {
        let mut value = Some(value);
        let any: &mut dyn Any = &mut value;
        if let Some(value) = any.downcast_mut::<Option<Value>>() {
            return Ok(Self::Value(value.take().unwrap_or_default()));
        }
        if let Some(dict) = any.downcast_mut::<Option<Dict>>() {
            return Ok(dict.take().unwrap_or_default().into());
        }
        if any.is::<Option<()>>() {
            return Ok(Self::empty());
        }
        to_value(&value).map(Self::Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;

    #[derive(Serialize)]
    struct Place {
        item: &'static str,
        count: u8,
    }

    fn value(input: impl IntoPayload) -> Value {
        match input.into_payload().unwrap() {
            Payload::Value(value) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn references_are_serialized_and_values_are_moved() {
        let place = Place {
            item: "pen",
            count: 2,
        };
        let expected = Value::from(dict! { "item": "pen", "count": 2 });
        assert_eq!(value(&place), expected);
        assert_eq!(value(expected.clone()), expected);
        assert_eq!(value(&expected), expected);
        assert_eq!(value(vec![dict! { "n": 1 }])[0]["n"], Value::Int(1));
        assert_eq!(value(vec![Value::Int(1)])[0], Value::Int(1));
        assert_eq!(value(vec![place])[0], expected);
        assert_eq!(value(["a", "b"])[1], Value::from("b"));
        assert_eq!(value(Some(7)), Value::Int(7));
        assert_eq!(value(None::<u8>), Value::Null);
        assert_eq!(value(HashMap::from([("n", 1)]))["n"], Value::Int(1));
        assert_eq!(value(BTreeMap::from([("n", 1)]))["n"], Value::Int(1));
        assert_eq!(value(0.5_f32), Value::Float(0.5));
        assert_eq!(value("text"), Value::from("text"));
        assert_eq!(value(7_u8), Value::Int(7));
        assert!(().into_payload().unwrap().same_bytes(&Payload::empty()));
    }

    #[test]
    fn what_cannot_be_serialized_is_an_error() {
        let map = HashMap::from([(vec![1], 2)]);
        let error = (&map).into_payload().unwrap_err();
        assert_eq!(error.reason(), "VALUE_INVALID");
    }
}
