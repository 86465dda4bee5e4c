//! `Any` in JSON: its type in `@type`, and the fields of its message beside it.

use prost_reflect::MessageDescriptor;

use super::scalar::{from_base64, wrong_type};
use super::{FindType, well_known};
use crate::model::error::Violation;
use crate::model::value::{Dict, Value};

/// The key of the type.
pub(super) const TYPE: &str = "@type";
/// The key of a message that is no dict in JSON, and of the bytes of one whose type is not known.
pub(super) const CONTENT: &str = "value";

/// What an `Any` is made of.
pub(super) enum AnyParts<'a> {
    /// A message that is a dict.
    Fields {
        url: &'a str,
        message: MessageDescriptor,
        keys: Vec<(&'a str, &'a Value)>,
    },
    /// A message with a form of its own.
    Whole {
        url: &'a str,
        message: MessageDescriptor,
        value: &'a Value,
    },
    /// A message of a type that is not known.
    Encoded { url: &'a str, bytes: Vec<u8> },
}

impl<'a> AnyParts<'a> {
    /// The parts of an `Any`; `None` for an empty one.
    pub(super) fn of(dict: &'a Dict, find: FindType<'_>) -> Result<Option<Self>, Violation> {
        if dict.is_empty() {
            return Ok(None);
        }
        let at_type = |code, message| Violation::new(format!("/{TYPE}"), code, message);
        let url = match dict.get(TYPE) {
            Some(Value::Text(url)) => url.as_str(),
            Some(other) => return Err(wrong_type(other, "the URL of a type").under(TYPE)),
            None => return Err(at_type("MISSING", "is required: the URL of the type")),
        };
        let Some(message) = type_name(url).and_then(find) else {
            let bytes = dict.get(CONTENT).and_then(Value::as_text);
            let bytes = bytes.filter(|_| dict.len() == 2).and_then(from_base64);
            let unknown = "is not a type that the node knows: send its bytes as base64 in `value`";
            let bytes = bytes.ok_or_else(|| at_type("UNKNOWN_VALUE", unknown))?;
            return Ok(Some(Self::Encoded { url, bytes }));
        };
        if has_own_form(message.full_name()) {
            let value = dict.get(CONTENT);
            let missing = || Violation::new(format!("/{CONTENT}"), "MISSING", "is required");
            let value = value.ok_or_else(missing)?;
            return Ok(Some(Self::Whole {
                url,
                message,
                value,
            }));
        }
        let keys = dict.iter().filter(|(key, _)| *key != TYPE).collect();
        Ok(Some(Self::Fields { url, message, keys }))
    }
}

/// The full name of the type that a URL names.
pub(super) fn type_name(url: &str) -> Option<&str> {
    url.rsplit_once('/').map(|(_, name)| name)
}

/// Whether a message is not written as the dict of its fields.
pub(super) fn has_own_form(name: &str) -> bool {
    [
        well_known::ANY,
        well_known::DURATION,
        well_known::LIST_VALUE,
        well_known::STRUCT,
        well_known::TIMESTAMP,
        well_known::VALUE,
    ]
    .contains(&name)
}
