//! What a principal may do.

use super::NamePattern;

/// Whose invocations a principal may read, or control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// None.
    None,
    /// Those that it asked for itself.
    #[default]
    Own,
    /// Those that principals of its group asked for.
    Group,
    /// All.
    All,
}

/// What a principal may do. The default: nothing but to read and control its own invocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The services that it may invoke.
    pub invoke: Vec<NamePattern>,
    /// The services that it may serve as a worker.
    pub serve: Vec<NamePattern>,
    /// Whose invocations it may read: get, list, count and follow.
    pub read: Scope,
    /// Whose invocations it may cancel, retry, release, purge and complete.
    pub control: Scope,
    /// Whether it may administer the node.
    pub administer: bool,
}

impl Rights {
    /// The most patterns of one kind.
    pub const MAX_PATTERNS: usize = 100;
    /// The services of a node that tell who may do what.
    pub const OF_ADMINISTRATORS: [&str; 2] = ["cidery.security.get-list", "zato.security.get-list"];

    /// All rights.
    #[must_use]
    pub fn all() -> Self {
        Self {
            invoke: vec![NamePattern::all()],
            serve: vec![NamePattern::all()],
            read: Scope::All,
            control: Scope::All,
            administer: true,
        }
    }

    /// Whether it may invoke a service. Those of [`Rights::OF_ADMINISTRATORS`] need the right to administer as well.
    #[must_use]
    pub fn may_invoke(&self, service: &str) -> bool {
        self.matches_invoke(service)
            && (self.administer || !Self::OF_ADMINISTRATORS.contains(&service))
    }

    /// Whether one of its patterns matches a service that is to be invoked.
    pub(crate) fn matches_invoke(&self, service: &str) -> bool {
        self.invoke.iter().any(|pattern| pattern.matches(service))
    }

    /// Whether it may know of a service: it may invoke or serve it, or administers the node.
    #[must_use]
    pub fn may_see(&self, service: &str) -> bool {
        self.administer || self.may_invoke(service) || self.may_serve(service)
    }

    /// Whether it may serve a service.
    #[must_use]
    pub fn may_serve(&self, service: &str) -> bool {
        self.serve.iter().any(|pattern| pattern.matches(service))
    }
}
