//! The text of one element in a document that has no types: a cell of CSV, a field of a form.

use crate::codec::json;
use crate::model::error::Violation;
use crate::model::id::truncated;
use crate::model::sio::{Element, Type};
use crate::model::value::Value;

/// Converts a text to the value of an element; `None` where it is absent. Lists and dicts are JSON; scalars are
/// converted where the whole input is checked. `what` it is a part of, for people; with secrets, messages do not show
/// it.
pub(super) fn value(
    element: Option<&Element>,
    text: &str,
    what: &str,
    has_secrets: bool,
) -> Result<Option<Value>, Violation> {
    let Some(element) = element else {
        return Ok(Some(Value::from(text)));
    };
    let is_text = matches!(element.kind, Type::Text | Type::Secret | Type::AsIs);
    match &element.kind {
        _ if text.is_empty() => Ok((is_text && !element.optional).then(|| Value::from(text))),
        Type::List(_) | Type::Dict(_) | Type::DictList(_) => {
            json::read(text.as_bytes()).map(Some).map_err(|_| {
                let message = match has_secrets {
                    true => format!("the {what} is not JSON"),
                    false => format!("the {what} {:?} is not JSON", truncated(text)),
                };
                Violation::new("", "MALFORMED", message)
            })
        }
        _ => Ok(Some(Value::from(text))),
    }
}
