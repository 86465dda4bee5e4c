//! The value of a response.

use crate::codec::payload;
use crate::model::error::Result;
use crate::model::payload::{Format, Payload};
use crate::model::value::Value;

/// The value of a response. A document of CSV or text, and a form, is text.
///
/// # Errors
///
/// As for [`payload::decode`].
pub(crate) fn response_value(payload: Payload) -> Result<Value> {
    match payload {
        Payload::Document(bytes, Format::Csv | Format::Text | Format::Form) => {
            Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
        payload => payload::decode(payload),
    }
}
