//! Who may call a node, as it is configured.

use super::role::role;
use super::settings::AccessConfig;
use crate::app::audit_log;
use crate::app::config::together::require;
use crate::app::log_queue::LogGuard;
use crate::edge::auth::{AccessOptions, JwtOptions};
use crate::model::error::{Error, Result, Violation, reason};

impl AccessConfig {
    /// The options of the node.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CONFIG_INVALID` for two roles of the same name, and where an option needs another one that
    /// is not there.
    pub(in crate::app) fn options(&self) -> Result<AccessOptions> {
        let has_jwks = self.jwt_jwks.is_some();
        let needs_jwks = [
            (self.jwt_issuer.is_some(), "jwt_issuer"),
            (self.jwt_audience.is_some(), "jwt_audience"),
            (self.jwt_principal_claim.is_some(), "jwt_principal_claim"),
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
        ]);
        require(&needs)?;
        let mut options = AccessOptions::default();
        for text in &self.role {
            let (name, rights) =
                role(text.as_ref()).map_err(|message| invalid("/role", message))?;
            if options.roles.insert(name.clone(), rights).is_some() {
                return Err(invalid(
                    "/role",
                    format!("the role `{name}` is given twice"),
                ));
            }
        }
        let jwt = (&self.jwt_jwks, &self.jwt_issuer, &self.jwt_audience);
        if let (Some(jwks), Some(issuer), Some(audience)) = jwt {
            let mut jwt = JwtOptions::new(jwks, issuer, audience);
            if let Some(claim) = &self.jwt_principal_claim {
                jwt.principal_claim.clone_from(claim);
            }
            if let Some(claim) = &self.jwt_roles_claim {
                jwt.roles_claim.clone_from(claim);
            }
            options.jwt = Some(jwt);
        }
        Ok(options)
    }

    /// Starts the audit log, if it has a file of its own.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` for a file that cannot be opened.
    pub(in crate::app) fn start_audit_log(&self) -> Result<Option<LogGuard>> {
        self.audit_log.as_deref().map(audit_log::start).transpose()
    }
}

fn invalid(path: &str, message: String) -> Error {
    let violation = Violation::new(path, "INVALID", message);
    Error::violations(reason::CONFIG_INVALID, vec![violation])
}
