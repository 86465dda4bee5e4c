//! Whom web browsers may call.

#[cfg(feature = "console")]
use crate::edge::console::ConsoleOptions;
use crate::edge::cors::AllowedOrigins;
use crate::edge::http_guard::AllowedHosts;

/// Whom web browsers may call, and from where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    /// Host names of the node.
    pub(crate) hosts: AllowedHosts,
    /// Origins of pages.
    pub(crate) origins: AllowedOrigins,
    /// The page of the node itself.
    #[cfg(feature = "console")]
    pub(crate) console: ConsoleOptions,
}

impl Allowed {
    /// Whether the node serves its console.
    #[cfg(feature = "console")]
    pub(super) fn has_console(&self) -> bool {
        self.console.enabled
    }

    /// Whether the node serves its console.
    #[cfg(not(feature = "console"))]
    #[expect(clippy::unused_self, reason = "as with the feature `console`")]
    pub(super) fn has_console(&self) -> bool {
        false
    }
}
