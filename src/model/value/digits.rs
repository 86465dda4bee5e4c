//! Numbers that neither `i64` nor `f64` holds exactly, as text.

use std::fmt;

/// The text of a number that neither `i64` nor `f64` holds exactly, in JSON's grammar (RFC 8259, section 6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digits(pub(super) String);

impl Digits {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
