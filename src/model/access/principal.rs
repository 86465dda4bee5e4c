//! The name of an authenticated caller.

use std::fmt;
use std::sync::Arc;

use crate::model::error::{Error, Result, Violation, reason};

/// The name of an authenticated caller. Cheap to clone.
///
/// The kinds of credentials give out names that cannot be mistaken for one another: an API key has a plain name, such
/// as `billing`; a token of an issuer `token:` and its subject; a client certificate its SPIFFE id
/// (`spiffe://example.org/billing`), or `certificate:` and its first DNS name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The longest name of an API key or a group, in bytes.
    pub const MAX_NAME_BYTES: usize = 64;
    /// The longest name of any principal, in bytes: that of a SPIFFE id, with room to spare.
    pub const MAX_BYTES: usize = 2_048;

    /// Parses the name that an operator gives to an API key, or to a group: letters, digits, `.`, `_`, `-` and `@`, at
    /// most 64 bytes. `path` is that of the field.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
    pub fn parse_name(path: &str, text: &str) -> Result<Self> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-@".contains(&b);
        if (1..=Self::MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(is_allowed) {
            return Ok(Self(text.into()));
        }
        let message = format!(
            "is not a name of letters, digits, `.`, `_`, `-` and `@`, of at most {} bytes",
            Self::MAX_NAME_BYTES
        );
        let violation = Violation::new(path, "MALFORMED", message);
        Err(Error::violations(reason::REQUEST_INVALID, vec![violation]))
    }

    /// The principal with a name that was given out before: of a stored invocation, or of a credential.
    #[must_use]
    pub fn known(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
