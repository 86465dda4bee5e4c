//! Identifiers of invocations and services: parsed once, then carried as types.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use crate::model::cid::Cid;
use crate::model::error::{Error, Result, reason};

impl Cid {
    /// Parses the canonical form.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CID_INVALID` for anything else, upper case and braces included: two spellings of one CID
    /// would look like two CIDs to programs that compare them as text.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_canonical(text).ok_or_else(|| {
            Error::invalid_argument(
                reason::CID_INVALID,
                format!(
                    "`{}` is not a CID: a UUID in lower case with hyphens",
                    truncated(text)
                ),
            )
        })
    }
}

impl FromStr for Cid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// The name of a service: dot-separated segments of `[A-Za-z0-9_-]+`, at most 255 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Parses a name, such as `customer.get`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` where the name is invalid.
    pub fn parse(text: &str) -> Result<Self> {
        let segment = |s: &str| {
            !s.is_empty()
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if text.len() <= Self::MAX_BYTES && text.split('.').all(segment) {
            return Ok(Self(text.into()));
        }
        Err(Error::invalid_argument(
            reason::REQUEST_INVALID,
            format!(
                "`{}` is not a service name: dot-separated segments of letters, digits, `_` and `-`, \
                 at most {} bytes",
                truncated(text),
                Self::MAX_BYTES,
            ),
        ))
    }

    /// The empty name, which groups have. No request can contain it.
    #[must_use]
    pub fn none() -> Self {
        Self("".into())
    }

    /// Whether it is the empty name.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Parses a stored name, which may be empty.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse).
    pub fn from_record(text: &str) -> Result<Self> {
        match text.is_empty() {
            true => Ok(Self::none()),
            false => Self::parse(text),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names as strings.
#[must_use]
pub fn texts(names: &[ServiceName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// For the methods that take the name of a service.
impl From<&ServiceName> for Cow<'static, str> {
    fn from(name: &ServiceName) -> Self {
        Cow::Owned(name.0.to_string())
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for ServiceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Text of a caller, truncated to a length that fits into an error message.
#[must_use]
pub fn truncated(text: &str) -> String {
    truncated_to(80, text)
}

/// The same, with at most so many characters.
#[must_use]
pub fn truncated_to(max_chars: usize, text: &str) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_of_a_cid_parses() {
        let cid = Cid::new();
        assert_eq!(Cid::parse(&cid.to_string()).unwrap(), cid);
        for bad in [
            "",
            "x",
            "0190F5A2-7B3C-7DEF-8123-456789ABCDEF",
            "{0190f5a2-7b3c-7def-8123-456789abcdef}",
            "0190f5a27b3c7def8123456789abcdef",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert_eq!(
                Cid::parse(bad).unwrap_err().reason(),
                "CID_INVALID",
                "{bad}"
            );
        }
    }

    #[test]
    fn service_names_are_dot_separated_segments() {
        for good in ["a", "customer.get", "invoking.my-service2", "A_b.c-D.9"] {
            assert_eq!(ServiceName::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(256);
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "ä", "a/b", &long] {
            assert!(ServiceName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_text_is_truncated_between_characters() {
        assert_eq!(truncated("ä"), "ä");
        assert_eq!(truncated(&"ä".repeat(200)).chars().count(), 81);
    }
}
