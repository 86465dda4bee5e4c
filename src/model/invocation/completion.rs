//! Invocations whose handlers answer later: the outcome comes from outside, by whoever has the token.

use crate::model::token::TokenHash;

/// That a handler answered "later".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncCompletion {
    /// The token that gives the outcome.
    pub token: TokenHash,
    /// Whether the outcome is still awaited.
    pub pending: bool,
}

impl AsyncCompletion {
    /// That it is awaited from now on.
    #[must_use]
    pub fn awaited(token: TokenHash) -> Self {
        Self {
            token,
            pending: true,
        }
    }

    /// The same, once the outcome is there, or will not come any more.
    #[must_use]
    pub fn finished(self) -> Self {
        Self {
            pending: false,
            ..self
        }
    }
}
