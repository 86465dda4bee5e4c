//! The conversion of what callers pass as an input, or emit as an item, to a payload.

use std::any::Any;

use bytes::Bytes;
use serde::Serialize;

use crate::model::error::Result;
use crate::model::payload::Payload;
use crate::model::value::{Dict, Value, to_value};

/// What can be the input of a call: a reference to anything that implements `serde::Serialize`, or a value.
///
/// By value it is a [`Dict`], a [`Value`], a [`Payload`], `()` for no input, a text, a number, a bool, [`Bytes`], or a
/// `Vec` of such values.
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
    message = "`{Self}` cannot be passed by value as an input",
    label = "pass a reference: `&value`",
    note = "an input is a reference to a type that implements `serde::Serialize`, or a `Dict`, `Value`, `Payload`, \
            `String`, number, bool, `Bytes`, `Vec` of these, or `()`"
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

impl IntoPayload for Payload {
    #[inline]
    fn into_payload(self) -> Result<Payload> {
        Ok(self)
    }
}

impl IntoPayload for Dict {
    #[inline]
    fn into_payload(self) -> Result<Payload> {
        Ok(self.into())
    }
}

impl IntoPayload for () {
    fn into_payload(self) -> Result<Payload> {
        Ok(Payload::empty())
    }
}

impl<T: Into<Value>> IntoPayload for Vec<T> {
    fn into_payload(self) -> Result<Payload> {
        Ok(Payload::Value(self.into()))
    }
}

macro_rules! values {
    ($($type:ty),*) => {
        $(
            impl IntoPayload for $type {
                fn into_payload(self) -> Result<Payload> {
                    Ok(Payload::Value(self.into()))
                }
            }
        )*
    };
}

values!(
    Value, String, Bytes, bool, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, usize, f64
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
        assert_eq!(value("text"), Value::from("text"));
        assert_eq!(value(7_u8), Value::Int(7));
        assert!(().into_payload().unwrap().same_bytes(&Payload::empty()));
    }

    #[test]
    fn what_cannot_be_serialized_is_an_error() {
        let map = std::collections::HashMap::from([(vec![1], 2)]);
        let error = (&map).into_payload().unwrap_err();
        assert_eq!(error.reason(), "VALUE_INVALID");
    }
}
