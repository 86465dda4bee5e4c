//! The text of a rule for client certificates: the name, then whose it is and what it allows.

use super::role::{RIGHTS, rights};
use crate::edge::auth::CertificateRule;
use crate::model::access::Principal;

/// Parses a rule: the name in the certificates, then `principal=`, `group=`, `roles=`, and what roles allow.
///
/// # Errors
///
/// All that is wrong with it. Whether its roles exist is not known here.
pub(super) fn certificate_rule(text: &str) -> Result<CertificateRule, String> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().ok_or("use `NAME roles=ROLE …`")?;
    let mut rule = CertificateRule::new(name);
    let mut faults: Vec<String> = rule.check_name().err().into_iter().collect();
    let mut named = |key: &str, name: &str| {
        let parsed = Principal::parse_name("", name);
        parsed
            .map_err(|error| faults.push(format!("`{key}={name}` {}", error.message())))
            .ok()
    };
    let mut others = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some(("principal", name)) => rule.principal = named("principal", name),
            Some(("group", name)) => rule.group = named("group", name),
            Some(("roles", list)) => rule.roles.extend(list.split(',').map(ToOwned::to_owned)),
            _ => others.push(word),
        }
    }
    let known = format!("`principal=`, `group=`, `roles=`, {RIGHTS}");
    match rights(others.into_iter(), &known) {
        Ok(rights) => rule.rights = rights,
        Err(others) => faults.extend(others),
    }
    match faults.is_empty() {
        true => Ok(rule),
        false => Err(faults.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::access::Scope;

    #[test]
    fn a_rule_is_parsed() {
        let rule = certificate_rule(
            "spiffe://example.org/ns/*/crm principal=crm group=sales roles=clerk,auditor invoke=a.* read=all",
        );
        let rule = rule.unwrap();
        assert_eq!(rule.name, "spiffe://example.org/ns/*/crm");
        assert_eq!(rule.principal, Some(Principal::known("crm")));
        assert_eq!(rule.group, Some(Principal::known("sales")));
        assert_eq!(rule.roles, ["clerk", "auditor"]);
        let rights = rule.rights.unwrap();
        assert!(rights.may_invoke("a.b") && rights.read == Scope::All && !rights.administer);
        let rule = certificate_rule("*.crm.example").unwrap();
        assert!(rule.rights.is_none() && rule.principal.is_none() && rule.roles.is_empty());
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let wrong = certificate_rule("https://a principal=a/b group= role=x read=some invoke=");
        let wrong = wrong.unwrap_err();
        for part in [
            "https://a",
            "`principal=a/b`",
            "`group=`",
            "`role=x` is none of `principal=`",
            "`some`",
            "/invoke/0",
        ] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
        assert!(certificate_rule("").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_text_panics(text in "(([a-z.:/*=,-]|spiffe://|roles=|invoke=|\\PC){0,6} ?){0,6}") {
            let _ = certificate_rule(&text);
        }
    }
}
