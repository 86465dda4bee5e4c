//! Asynchronous completion: an invocation whose outcome is delivered later, by a holder of its token.

use crate::model::token::TokenHash;

/// The asynchronous completion of an attempt whose handler returned `Later`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncCompletion {
    /// The hash of the token that authorizes the completion.
    pub token: TokenHash,
    /// Whether the completion is still pending.
    pub pending: bool,
}

impl AsyncCompletion {
    /// A pending completion.
    #[must_use]
    pub fn awaited(token: TokenHash) -> Self {
        Self {
            token,
            pending: true,
        }
    }

    /// The same completion, no longer pending.
    #[must_use]
    pub fn finished(self) -> Self {
        Self {
            pending: false,
            ..self
        }
    }
}
