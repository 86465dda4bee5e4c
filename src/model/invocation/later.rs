//! Invocations whose handlers answer later: the outcome comes from outside, by whoever has the token.

use crate::model::token::TokenHash;

/// That a handler answered "later".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// The token that gives the outcome.
    pub token: TokenHash,
    /// Whether the outcome is still awaited.
    pub waits: bool,
}

impl Later {
    /// That it is awaited from now on.
    #[must_use]
    pub fn awaited(token: TokenHash) -> Self {
        Self { token, waits: true }
    }

    /// The same, once the outcome is there, or will not come any more.
    #[must_use]
    pub fn over(self) -> Self {
        Self {
            waits: false,
            ..self
        }
    }
}
