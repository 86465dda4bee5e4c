//! Who asked for an invocation, and who acts for it.

use std::sync::Arc;

use super::{Identity, Principal};

/// The principals of an invocation. An invocation without them was made while authentication was off, or by the program
/// in which the node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals {
    /// Who asked: the caller from outside at the root of the call chain.
    pub principal: Option<Principal>,
    /// Who acts, and owns the invocation: of a call from outside its caller; of a call of a handler, the principal that
    /// its worker serves with. `None` for a handler in the node.
    pub acting_principal: Option<Principal>,
    /// The group of the one who acts.
    pub acting_group: Option<Principal>,
}

impl Principals {
    /// Those of a call from outside.
    #[must_use]
    pub fn of_caller(caller: &Identity) -> Self {
        Self {
            principal: Some(caller.principal.clone()),
            acting_principal: Some(caller.principal.clone()),
            acting_group: caller.group.clone(),
        }
    }

    /// Those of a call that a handler makes for the same one who asked. `actor`: the principal of its worker; `None`
    /// for a handler in the node.
    #[must_use]
    pub fn of_call_by(&self, actor: Option<&Arc<Identity>>) -> Self {
        Self {
            principal: self.principal.clone(),
            acting_principal: actor.map(|actor| actor.principal.clone()),
            acting_group: actor.and_then(|actor| actor.group.clone()),
        }
    }

    /// Whether nobody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.principal.is_none() && self.acting_principal.is_none()
    }
}

/// The owners whose invocations may be read, or changed: one principal, or all of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    /// The principal.
    pub principal: Principal,
    /// Its group, if the invocations of all principals of the group count.
    pub group: Option<Principal>,
}

impl Owners {
    /// Whether an invocation with these principals is one of theirs.
    #[must_use]
    pub fn own(&self, principals: Option<&Principals>) -> bool {
        principals.is_some_and(|principals| {
            principals.acting_principal.as_ref() == Some(&self.principal)
                || (self.group.is_some() && principals.acting_group == self.group)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(principal: Option<&str>, group: Option<&str>) -> Principals {
        Principals {
            principal: Some(Principal::known("asks")),
            acting_principal: principal.map(Principal::known),
            acting_group: group.map(Principal::known),
        }
    }

    #[test]
    fn an_invocation_belongs_to_who_acts_and_not_to_who_asked() {
        let of = |principal: &str, group: Option<&str>| Owners {
            principal: Principal::known(principal),
            group: group.map(Principal::known),
        };
        let cases = [
            (of("a", None), owned(Some("a"), None), true),
            (of("a", None), owned(Some("b"), None), false),
            (of("asks", None), owned(Some("b"), None), false),
            (of("a", None), owned(None, None), false),
            (of("a", None), owned(Some("b"), Some("g")), false),
            (of("a", Some("g")), owned(Some("b"), Some("g")), true),
            (of("a", Some("g")), owned(Some("b"), Some("h")), false),
            (of("a", Some("g")), owned(Some("b"), None), false),
            (of("a", Some("g")), owned(Some("a"), None), true),
        ];
        for (owners, principals, own) in cases {
            assert_eq!(
                owners.own(Some(&principals)),
                own,
                "{owners:?} {principals:?}"
            );
        }
        assert!(!of("a", None).own(None));
    }
}
