//! Options that need one another.

use std::collections::BTreeMap;

use super::entry::Origin;
use super::problem::Problem;
use super::resolve::Given;
use super::settings::Config;
use crate::edge::ANY_WITH_CERTIFICATES;
use crate::model::error::Violation;

/// What does not fit together, each at the place of its option.
pub(super) fn problems(config: &Config, given: &BTreeMap<String, Given>) -> Vec<Problem> {
    let has_client_ca = config.tls.tls_client_ca.is_some();
    let checks = [
        config.tls.check(),
        config.access.check(has_client_ca),
        config.store.check(),
        config.traces.check(),
        check_origins(config),
    ];
    let violations = checks.into_iter().flatten();
    let problems = violations.map(|violation| {
        let key = violation.path.trim_start_matches('/').replace('/', ".");
        let option = key.split('.').next().unwrap_or_default();
        let given = given.get(option);
        let origin = given.map_or(Origin::Default, |given| given.origin.clone());
        Problem::new(origin, violation.code, violation.message).of_key(&key)
    });
    problems.collect()
}

/// Pages of every origin cannot be allowed where certificates name their callers.
fn check_origins(config: &Config) -> Vec<Violation> {
    let has_rules = !config.access.certificate_rule.is_empty();
    let origins = config.listener.allow_origin.iter().enumerate();
    let any = origins.filter(|(_, origin)| has_rules && origin.as_ref() == "*");
    let violations = any.map(|(index, _)| {
        let path = format!("/allow_origin/{index}");
        Violation::new(path, "CONFLICT", ANY_WITH_CERTIFICATES)
    });
    violations.collect()
}

/// What is missing: whether it is, the key that needs it, and the key that is needed.
pub(super) fn missing(needs: &[(bool, &str, &str)]) -> Vec<Violation> {
    let missing = needs.iter().filter(|(is_missing, ..)| *is_missing);
    let violations = missing.map(|(_, key, other)| {
        Violation::new(format!("/{key}"), "MISSING", format!("needs `{other}`"))
    });
    violations.collect()
}
