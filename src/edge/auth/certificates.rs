//! Client certificates as credentials: from the names in a certificate to a principal and its rights.

use super::options::{AccessOptions, rights_of_roles};
use crate::model::access::{Credential, Identity, Principal, Quota};

/// The names in a client certificate that was verified: its subject alternative names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerNames<'a> {
    /// The URIs: SPIFFE ids among them.
    pub uris: &'a [String],
    /// The DNS names.
    pub dns_names: &'a [String],
}

/// The scheme of SPIFFE ids.
const SPIFFE: &str = "spiffe://";

/// Whom a certificate names, by the first rule that matches. A certificate without a name that a rule has proves
/// nothing.
///
/// The principal is the SPIFFE id, or `certificate:` and the DNS name. A certificate with several SPIFFE ids is none
/// (SPIFFE X.509-SVID, section 2): which of them calls would be a guess.
pub(super) fn identify(names: PeerNames<'_>, options: &AccessOptions) -> Option<Identity> {
    let mut ids = names.uris.iter().filter(|uri| uri.starts_with(SPIFFE));
    let id = match (ids.next(), ids.next()) {
        (Some(_), Some(_)) => return None,
        (id, _) => id.map(String::as_str),
    };
    options.certificates.iter().find_map(|rule| {
        let principal = match rule.name.starts_with(SPIFFE) {
            true => id.filter(|id| is_match(&rule.name, id, '/'))?.to_owned(),
            false => {
                let names = &mut names.dns_names.iter();
                let name = names.find(|name| is_dns_match(&rule.name, name))?;
                format!("certificate:{}", name.to_ascii_lowercase())
            }
        };
        // A longer one could not be stored with what it asks for.
        (principal.len() <= Principal::MAX_BYTES).then(|| Identity {
            principal: Principal::known(&principal),
            group: rule.group.clone(),
            rights: rights_of_roles(&rule.roles, &options.roles),
            quota: Quota::default(),
            credential: Credential::Certificate,
        })
    })
}

/// DNS names are compared without their case.
fn is_dns_match(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    is_match(&pattern, &name, '.')
}

/// Whether a name matches a pattern, part by part: a `*` does not reach beyond its part.
fn is_match(pattern: &str, name: &str, separator: char) -> bool {
    let (mut patterns, mut parts) = (pattern.split(separator), name.split(separator));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if is_part_match(pattern, part) => {}
            _ => return false,
        }
    }
}

/// Whether a part matches: a text, with at most one `*`.
fn is_part_match(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        // A name with a `*` of its own (a wildcard certificate) is that of many hosts.
        Some((before, after)) => {
            let rest = part.strip_prefix(before);
            let rest = rest.and_then(|rest| rest.strip_suffix(after));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('*'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::auth::options::CertificateRule;

    fn rule(name: &str) -> CertificateRule {
        CertificateRule {
            name: name.to_owned(),
            group: None,
            roles: Vec::new(),
        }
    }

    fn principal(rules: &[&str], uris: &[&str], dns_names: &[&str]) -> Option<String> {
        let owned = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let (uris, dns_names) = (owned(uris), owned(dns_names));
        let names = PeerNames {
            uris: &uris,
            dns_names: &dns_names,
        };
        let options = AccessOptions {
            certificates: rules.iter().map(|name| rule(name)).collect(),
            ..AccessOptions::default()
        };
        identify(names, &options).map(|identity| identity.principal.to_string())
    }

    #[test]
    fn a_name_matches_part_by_part() {
        for (pattern, id, is_match) in [
            (
                "spiffe://a.example/billing",
                "spiffe://a.example/billing",
                true,
            ),
            ("spiffe://a.example/*", "spiffe://a.example/billing", true),
            (
                "spiffe://a.example/*",
                "spiffe://a.example/billing/admin",
                false,
            ),
            ("spiffe://a.example/*", "spiffe://a.example/", false),
            (
                "spiffe://a.example/ns/*/sa/crm",
                "spiffe://a.example/ns/x/sa/crm",
                true,
            ),
            (
                "spiffe://a.example/billing",
                "spiffe://a.example/Billing",
                false,
            ),
            (
                "spiffe://a.example/billing",
                "spiffe://b.example/billing",
                false,
            ),
            ("spiffe://*/billing", "spiffe://a.example/billing", true),
        ] {
            let found = principal(&[pattern], &[id], &[]);
            assert_eq!(found.as_deref(), is_match.then_some(id), "{pattern} {id}");
        }
        for (pattern, name, is_match) in [
            ("crm.example", "CRM.example", true),
            ("*.example", "crm.example", true),
            ("*.example", "a.crm.example", false),
            ("*.example", "*.example", false),
            ("crm*.example", "crm1.example", true),
        ] {
            let found = principal(&[pattern], &[], &[name]);
            assert_eq!(found.is_some(), is_match, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_holds() {
        let names = (["spiffe://a.example/x"], ["x.example"]);
        let of = |rules: &[&str]| principal(rules, &names.0, &names.1);
        let dns = Some("certificate:x.example".to_owned());
        assert_eq!(of(&["x.example", "spiffe://*/x"]), dns);
        assert_eq!(
            of(&["y.example", "spiffe://*/x"]),
            Some(names.0[0].to_owned())
        );
        assert_eq!(of(&["y.example"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_certificate_with_several_spiffe_ids_is_none() {
        let ids = ["spiffe://a.example/x", "spiffe://a.example/y"];
        assert_eq!(principal(&["spiffe://*/x"], &ids, &[]), None);
        // Other URIs do not matter.
        let uris = ["https://a.example", "spiffe://a.example/x"];
        assert!(principal(&["spiffe://*/x"], &uris, &[]).is_some());
    }
}
