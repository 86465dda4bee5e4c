//! The options of authentication.

use std::collections::BTreeMap;

use super::certificate_name;
#[cfg(feature = "jwt")]
use super::jwt::JwtOptions;
use crate::model::access::{Principal, Rights};
use crate::model::error::{Error, Result, Violation, reason};

/// Who may call a node, besides those with an API key.
///
/// With none of it, and no API key in the store, authentication is off: each client that reaches the node may do
/// everything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessOptions {
    /// Refuse to start while authentication is off, so that a data directory that is missing or another one does not
    /// open the node. Default: `false`.
    pub required: bool,
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
#[non_exhaustive]
pub struct CertificateRule {
    /// The name: a SPIFFE id, such as `spiffe://example.org/billing`, or a DNS name. `*` stands for any characters but
    /// `/` in a SPIFFE id, and but `.` in a DNS name; each part between them may have one.
    pub name: String,
    /// Their principal. Default: that of each certificate, its SPIFFE id, or `certificate:` and its DNS name.
    pub principal: Option<Principal>,
    /// The group of their principals, if they have one.
    pub group: Option<Principal>,
    /// Their roles: names of [`AccessOptions::roles`].
    pub roles: Vec<String>,
    /// What they may do besides what their roles allow. Default: nothing more.
    pub rights: Option<Rights>,
}

impl CertificateRule {
    /// A rule for the certificates with a name, without roles and rights: they may read and control their own
    /// invocations, and nothing else.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            principal: None,
            group: None,
            roles: Vec::new(),
            rights: None,
        }
    }

    /// What the roles and the rights of the rule allow together.
    pub(super) fn all_rights(&self, roles: &BTreeMap<String, Rights>) -> Rights {
        let of_roles = self.roles.iter().filter_map(|name| roles.get(name));
        together(of_roles.chain(&self.rights))
    }

    /// Checks the name.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub(crate) fn check_name(&self) -> Result<(), String> {
        certificate_name::check(&self.name)
            .map_err(|why| format!("`{}` is no name of certificates: {why}", self.name))
    }
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

    /// Checks the rules of certificates.
    pub(super) fn check(&self) -> Result<()> {
        let violations = self.rule_violations().map(|(index, violation)| {
            let of_rule = violation.under(&index.to_string());
            of_rule.under("certificates")
        });
        Error::reject(reason::ACCESS_INVALID, violations.collect())
    }

    /// What is wrong with the rules of certificates: the index of the rule, and the violation in it.
    pub(crate) fn rule_violations(&self) -> impl Iterator<Item = (usize, Violation)> {
        let rules = self.certificates.iter().enumerate();
        rules.flat_map(|(index, rule)| {
            let malformed = rule.check_name().err();
            let malformed = malformed.map(|message| Violation::new("/name", "MALFORMED", message));
            let mut before = self.certificates.iter().take(index);
            let is_repeated = before.any(|before| before.name == rule.name);
            let repeated = is_repeated.then(|| {
                let message = format!("`{}` has a rule before this one, which holds", rule.name);
                Violation::new("/name", "DUPLICATE", message)
            });
            let roles = rule.roles.iter().enumerate();
            let unknown = roles.filter(|(_, role)| !self.roles.contains_key(*role));
            let unknown = unknown.map(|(index, role)| {
                let message = format!("there is no role `{role}`");
                Violation::new(format!("/roles/{index}"), "UNKNOWN_VALUE", message)
            });
            let all = malformed.into_iter().chain(repeated).chain(unknown);
            all.map(move |violation| (index, violation))
        })
    }
}

impl Default for AccessOptions {
    fn default() -> Self {
        Self {
            required: false,
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
#[cfg(feature = "jwt")]
pub(super) fn rights_of_roles(names: &[String], roles: &BTreeMap<String, Rights>) -> Rights {
    together(names.iter().filter_map(|name| roles.get(name)))
}

/// What any of these allows; without one, what everybody may do.
fn together<'a>(rights: impl Iterator<Item = &'a Rights>) -> Rights {
    let together = rights.cloned().reduce(|mut all, rights| {
        all.invoke.extend(rights.invoke);
        all.serve.extend(rights.serve);
        all.read = all.read.max(rights.read);
        all.control = all.control.max(rights.control);
        all.administer |= rights.administer;
        all
    });
    together.unwrap_or_default()
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
            let names = names.iter().map(|name| (*name).to_owned());
            let rule = CertificateRule {
                roles: names.collect(),
                ..CertificateRule::new("a")
            };
            rule.all_rights(&roles)
        };
        let both = of(&["reader", "operator", "unknown"]);
        assert!(both.administer && both.may_invoke("a.x") && both.may_invoke("b.x"));
        assert_eq!((both.read, both.control), (Scope::All, Scope::Own));
        assert_eq!(of(&["reader"]).control, Scope::None);
        assert_eq!(of(&["unknown"]), Rights::default());
        assert_eq!(of(&[]), Rights::default());
    }

    #[test]
    fn a_rule_adds_its_rights_to_those_of_its_roles() {
        let of = |read, control| Rights {
            read,
            control,
            ..Rights::default()
        };
        let roles = BTreeMap::from([("auditor".to_owned(), of(Scope::All, Scope::None))]);
        let rule = |rights| CertificateRule {
            roles: vec!["auditor".to_owned()],
            rights,
            ..CertificateRule::new("a")
        };
        assert_eq!(rule(None).all_rights(&roles), of(Scope::All, Scope::None));
        let more = Some(of(Scope::Own, Scope::Group));
        assert_eq!(rule(more).all_rights(&roles), of(Scope::All, Scope::Group));
    }

    #[test]
    fn each_fault_of_a_rule_has_its_path() {
        let rule = |name: &str, role: &str| CertificateRule {
            roles: vec![role.to_owned()],
            ..CertificateRule::new(name)
        };
        let options = AccessOptions {
            roles: BTreeMap::from([("clerk".to_owned(), Rights::default())]),
            certificates: vec![
                rule("a.example", "clerk"),
                rule("https://b", "none"),
                rule("a.example", "clerk"),
            ],
            ..AccessOptions::default()
        };
        let error = options.check().unwrap_err();
        let paths: Vec<_> = error
            .field_violations()
            .iter()
            .map(|it| &*it.path)
            .collect();
        let expected = [
            "/certificates/1/name",
            "/certificates/1/roles/0",
            "/certificates/2/name",
        ];
        assert_eq!(
            (error.reason(), paths),
            ("ACCESS_INVALID", expected.to_vec())
        );
    }
}
