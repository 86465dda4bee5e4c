//! Whose invocations a caller reaches.

use super::refusal::{Right, identity, not_permitted};
use crate::model::access::{Caller, Identity, Owners, Scope};
use crate::model::error::Result;

/// Whose invocations a caller may read, or change. All others are as unknown to it.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Reach(Option<Owners>);

impl Reach {
    /// Those that a caller may read.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` / `NOT_PERMITTED` where it may read none; `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`.
    pub(in crate::engine) fn to_read(caller: &Caller) -> Result<Self> {
        Self::within(caller, Right::Read, |identity| identity.rights.read)
    }

    /// Those that a caller may change.
    ///
    /// # Errors
    ///
    /// As for [`to_read`](Self::to_read).
    pub(in crate::engine) fn to_change(caller: &Caller) -> Result<Self> {
        Self::within(caller, Right::Control, |identity| identity.rights.control)
    }

    /// Those that a caller may change, as far as it may find them with a filter.
    ///
    /// # Errors
    ///
    /// As for [`to_read`](Self::to_read).
    pub(in crate::engine) fn to_find_and_change(caller: &Caller) -> Result<Self> {
        let read = Self::to_read(caller)?;
        let change = Self::to_change(caller)?;
        let is_narrower = caller.identity().is_some_and(|identity| {
            let rights = &identity.rights;
            rights.read < rights.control
        });
        Ok(if is_narrower { read } else { change })
    }

    fn within(caller: &Caller, right: Right, scope: fn(&Identity) -> Scope) -> Result<Self> {
        let verb = match right {
            Right::Control => "change invocations",
            _ => "read invocations",
        };
        let Some(identity) = identity(caller, verb)? else {
            return Ok(Self(None));
        };
        let group = match scope(identity) {
            Scope::None => return Err(not_permitted(caller, right, verb, None)),
            Scope::All => return Ok(Self(None)),
            Scope::Own => None,
            Scope::Group => identity.group.clone(),
        };
        Ok(Self(Some(Owners {
            principal: identity.principal.clone(),
            group,
        })))
    }

    /// Whose invocations they are; `None`: all.
    pub(in crate::engine) fn owners(&self) -> Option<&Owners> {
        self.0.as_ref()
    }
}
