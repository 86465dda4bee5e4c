//! Client certificates as credentials: from the names in a certificate to a principal and its rights.

use super::certificate_name::{SPIFFE, is_dns_match, is_match};
use super::options::AccessOptions;
use crate::model::access::{Credential, Identity, Principal, Quota};

/// The names in a client certificate that was verified: its subject alternative names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerNames<'a> {
    /// The URIs: SPIFFE ids among them.
    pub uris: &'a [String],
    /// The DNS names.
    pub dns_names: &'a [String],
}

/// Whom a certificate names, by the first rule that matches. A certificate without a name that a rule has proves
/// nothing.
///
/// Unless the rule says otherwise, the principal is the SPIFFE id, or `certificate:` and the DNS name. A certificate
/// with several SPIFFE ids is none (SPIFFE X.509-SVID, section 2): which of them calls would be a guess.
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
            principal: match &rule.principal {
                Some(principal) => principal.clone(),
                None => Principal::known(&principal),
            },
            group: rule.group.clone(),
            rights: rule.all_rights(&options.roles),
            quota: Quota::default(),
            credential: Credential::Certificate,
            peer: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::auth::options::CertificateRule;

    fn principal(rules: &[&str], uris: &[&str], dns_names: &[&str]) -> Option<String> {
        let owned = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let (uris, dns_names) = (owned(uris), owned(dns_names));
        let names = PeerNames {
            uris: &uris,
            dns_names: &dns_names,
        };
        let options = AccessOptions {
            certificates: rules
                .iter()
                .map(|name| CertificateRule::new(*name))
                .collect(),
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
            ("**.example", "x*.example", false),
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

    #[test]
    fn a_rule_may_name_the_principal() {
        let options = AccessOptions {
            certificates: vec![CertificateRule {
                principal: Some(Principal::known("crm")),
                ..CertificateRule::new("*.crm.example")
            }],
            ..AccessOptions::default()
        };
        let names = PeerNames {
            uris: &[],
            dns_names: &["a.crm.example".to_owned()],
        };
        let identity = identify(names, &options).unwrap();
        assert_eq!(identity.principal.as_str(), "crm");
    }
}
