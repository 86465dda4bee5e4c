//! Filters of stored invocations as text: a subset of AIP-160, such as `service = "customer.get" AND state = FAILED`.
//!
//! `docs/filters.md` describes the language. A text becomes the same message that a program would have built.

mod criteria;
mod fault;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;
mod time;
mod write;

use jiff::Timestamp;

#[cfg(feature = "cli")]
pub(crate) use self::criteria::FIELDS;
use self::criteria::to_filter;
use self::fault::to_error;
use self::parser::terms;
pub use self::time::{FORMS as TIME_FORMS, parse as time};
pub use self::write::write;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, Violation, reason};

/// The longest text, in bytes.
pub const MAX_BYTES: usize = 8 * 1024;

/// Parses a text. Ages in it end at `now`. An empty text is a filter that matches everything.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations, each with its line and column; where the text does not
/// follow the grammar, with the first one.
pub fn parse(text: &str, now: Timestamp) -> Result<v1::InvocationFilter> {
    if text.len() > MAX_BYTES {
        let message = format!("has {} bytes; the limit is {MAX_BYTES}", text.len());
        let violation = Violation::new("/filter_expression", "TOO_LARGE", message);
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    let terms = terms(text).map_err(|fault| to_error(text, vec![fault]))?;
    to_filter(terms, now).map_err(|faults| to_error(text, faults))
}

/// The filter of a request, which is a message or a text; `None` if there is neither.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` where there are both; as for [`parse`].
pub fn resolve(
    filter: Option<v1::InvocationFilter>,
    expression: &str,
    now: Timestamp,
) -> Result<Option<v1::InvocationFilter>> {
    match (filter, expression) {
        (filter, "") => Ok(filter),
        (None, text) => parse(text, now).map(Some),
        (Some(_), _) => {
            let message = "cannot be combined with `filter`: use one of them";
            let violation = Violation::new("/filter_expression", "CONFLICT", message);
            Err(Error::violations(reason::REQUEST_INVALID, vec![violation]))
        }
    }
}
