//! Who may call a node, as it is configured.

use super::certificate_rule::certificate_rule;
use super::role::role;
use super::settings::{AccessConfig, Authentication};
use crate::app::config::together::missing;
use crate::edge::auth::{AccessOptions, JwtOptions};
use crate::model::access::Rights;
use crate::model::error::Violation;

impl AccessConfig {
    /// The options of the node. The texts were checked when they were read.
    pub(in crate::app) fn options(&self) -> AccessOptions {
        let mut options = AccessOptions {
            required: self.authentication == Authentication::Required,
            ..AccessOptions::default()
        };
        if let Some(rate) = self.authentication_failures_per_second {
            options.failures_per_second = rate;
        }
        if let Some(burst) = self.authentication_failures_burst {
            options.failures_burst = burst;
        }
        options.roles.extend(self.roles());
        let rules = self.certificate_rule.iter();
        options.certificates = rules
            .filter_map(|text| certificate_rule(text.as_ref()).ok())
            .collect();
        let jwt = (&self.jwt_jwks, &self.jwt_issuer, &self.jwt_audience);
        if let (Some(jwks), Some(issuer), Some(audience)) = jwt {
            let mut jwt = JwtOptions::new(jwks, issuer, audience);
            if let Some(claim) = &self.jwt_principal_claim {
                jwt.principal_claim.clone_from(claim);
            }
            jwt.group_claim.clone_from(&self.jwt_group_claim);
            if let Some(claim) = &self.jwt_roles_claim {
                jwt.roles_claim.clone_from(claim);
            }
            options.jwt = Some(jwt);
        }
        options
    }

    fn roles(&self) -> impl Iterator<Item = (String, Rights)> {
        let texts = self.role.iter();
        texts.filter_map(|text| role(text.as_ref()).ok())
    }

    /// What does not fit together. `has_client_ca`: whether the node verifies client certificates.
    pub(super) fn check(&self, has_client_ca: bool) -> Vec<Violation> {
        let has_jwks = self.jwt_jwks.is_some();
        let needs_jwks: [_; 5] = [
            (self.jwt_issuer.is_some(), "jwt_issuer"),
            (self.jwt_audience.is_some(), "jwt_audience"),
            (self.jwt_principal_claim.is_some(), "jwt_principal_claim"),
            (self.jwt_group_claim.is_some(), "jwt_group_claim"),
            (self.jwt_roles_claim.is_some(), "jwt_roles_claim"),
        ];
        let mut needs: Vec<_> = needs_jwks
            .map(|(is_given, key)| (is_given && !has_jwks, key, "jwt_jwks"))
            .into();
        needs.extend([
            (
                has_jwks && self.jwt_issuer.is_none(),
                "jwt_jwks",
                "jwt_issuer",
            ),
            (
                has_jwks && self.jwt_audience.is_none(),
                "jwt_jwks",
                "jwt_audience",
            ),
            (
                !self.certificate_rule.is_empty() && !has_client_ca,
                "certificate_rule",
                "tls_client_ca",
            ),
        ]);
        let mut violations = missing(&needs);
        let jwks = self.jwt_jwks.as_deref().map(JwtOptions::check_jwks);
        if let Some(Err(why)) = jwks {
            violations.push(Violation::new("/jwt_jwks", "INVALID", why));
        }
        let names: Vec<String> = self.roles().map(|(name, _)| name).collect();
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|before| before == name) {
                let message = format!("the role `{name}` is given twice");
                violations.push(Violation::new(
                    format!("/role/{index}"),
                    "DUPLICATE",
                    message,
                ));
            }
        }
        let of_rules = self.options();
        violations.extend(of_rules.rule_violations().map(|(index, violation)| {
            let path = format!("/certificate_rule/{index}");
            Violation::new(path, violation.code, violation.message)
        }));
        violations
    }
}
