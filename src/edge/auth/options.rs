//! The options of authentication.

use std::collections::BTreeMap;

#[cfg(feature = "jwt")]
use super::jwt::JwtOptions;
use crate::model::access::{Principal, Rights};
use crate::model::error::{Error, Result, reason};

/// Who may call a node, besides those with an API key.
///
/// With none of it, and no API key in the store, authentication is off: whoever reaches the node may do everything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessOptions {
    /// What the roles allow that tokens and certificates have. One with several roles may do what any of them allows;
    /// a role of a token that is not named here allows nothing.
    pub roles: BTreeMap<String, Rights>,
    /// Tokens of an issuer. Default: none are accepted.
    #[cfg(feature = "jwt")]
    pub jwt: Option<JwtOptions>,
    /// What client certificates prove: the first rule that matches holds. Default: nothing.
    pub certificates: Vec<CertificateRule>,
    /// How many failed authentications each peer address has a second, once its burst is used up. Default: 10.
    pub failures_per_second: u32,
    /// How many failed authentications each peer address has at once. Default: 100.
    pub failures_burst: u32,
}

/// What the certificates with a name prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRule {
    /// The name: a SPIFFE id, such as `spiffe://example.org/billing`, or a DNS name. `*` stands for any characters but
    /// `/` in a SPIFFE id, and but `.` in a DNS name.
    pub name: String,
    /// The group of their principals, if they have one.
    pub group: Option<Principal>,
    /// Their roles: names of [`AccessOptions::roles`].
    pub roles: Vec<String>,
}

impl AccessOptions {
    /// Whether anybody but the owners of API keys may call.
    pub(crate) fn has_credentials(&self) -> bool {
        #[cfg(feature = "jwt")]
        let has_tokens = self.jwt.is_some();
        #[cfg(not(feature = "jwt"))]
        let has_tokens = false;
        has_tokens || !self.certificates.is_empty()
    }

    /// Checks that rules of certificates name roles that there are.
    pub(super) fn check(&self) -> Result<()> {
        let roles = self.certificates.iter().flat_map(|rule| &rule.roles);
        let unknown = roles.filter(|role| !self.roles.contains_key(*role));
        let unknown: Vec<_> = unknown.map(|role| format!("`{role}`")).collect();
        match unknown.is_empty() {
            true => Ok(()),
            false => {
                let names = unknown.join(", ");
                let message =
                    format!("rules of client certificates name roles that there are not: {names}");
                Err(Error::invalid_argument(reason::ACCESS_INVALID, message))
            }
        }
    }
}

impl Default for AccessOptions {
    fn default() -> Self {
        Self {
            roles: BTreeMap::new(),
            #[cfg(feature = "jwt")]
            jwt: None,
            certificates: Vec::new(),
            failures_per_second: 10,
            failures_burst: 100,
        }
    }
}

/// What several roles allow together. Those that are not known allow nothing.
pub(super) fn rights_of_roles(names: &[String], roles: &BTreeMap<String, Rights>) -> Rights {
    let mut all = Rights::default();
    for rights in names.iter().filter_map(|name| roles.get(name)) {
        all.invoke.extend_from_slice(&rights.invoke);
        all.serve.extend_from_slice(&rights.serve);
        all.read = all.read.max(rights.read);
        all.control = all.control.max(rights.control);
        all.administer |= rights.administer;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::{NamePattern, Scope};

    #[test]
    fn roles_allow_what_any_of_them_allows() {
        let pattern = |text: &str| NamePattern::parse("", text).unwrap();
        let reader = Rights {
            read: Scope::All,
            control: Scope::None,
            invoke: vec![pattern("a.*")],
            ..Rights::default()
        };
        let operator = Rights {
            administer: true,
            invoke: vec![pattern("b.*")],
            ..Rights::default()
        };
        let roles = [("reader", reader), ("operator", operator)];
        let roles = roles.map(|(name, rights)| (name.to_owned(), rights));
        let roles = BTreeMap::from(roles);
        let of = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            rights_of_roles(&names, &roles)
        };
        let both = of(&["reader", "operator", "unknown"]);
        assert!(both.administer && both.may_invoke("a.x") && both.may_invoke("b.x"));
        assert_eq!((both.read, both.control), (Scope::All, Scope::Own));
        assert_eq!(of(&["unknown"]), Rights::default());
        assert_eq!(of(&[]), Rights::default());
    }
}
