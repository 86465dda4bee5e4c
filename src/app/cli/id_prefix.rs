//! The beginning of an identifier, in place of the whole one.

use crate::model::error::{Error, Result};

/// The shortest prefix, in characters.
pub(super) const MIN_PREFIX: usize = 4;
/// The length of a whole identifier, in characters.
const WHOLE: usize = 36;
/// How many candidates an error lists.
const MAX_LISTED: usize = 5;

/// Whether a text may be the beginning of an identifier.
pub(super) fn is_prefix(text: &str) -> bool {
    let is_part = |c: char| matches!(c, '0'..='9' | 'a'..='f' | '-');
    (MIN_PREFIX..WHOLE).contains(&text.len()) && text.chars().all(is_part)
}

/// The only one of the identifiers that begin with a prefix; `None` where there is none. `what` they are: `CIDs`.
///
/// # Errors
///
/// `INVALID_ARGUMENT` with this reason for several.
pub(super) fn only_one<'a>(
    prefix: &str,
    matching: &'a [String],
    what: &str,
    ambiguous: &'static str,
) -> Result<Option<&'a str>> {
    match matching {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => {
            let listed = several.iter().take(MAX_LISTED).map(String::as_str);
            let listed: Vec<&str> = listed.collect();
            let more = match several.len() - listed.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (count, listed) = (several.len(), listed.join(", "));
            let message = format!("`{prefix}` is the start of {count} {what}: {listed}{more}");
            Err(Error::invalid_argument(ambiguous, message))
        }
    }
}
