//! Who may call a node, as it is configured.

use super::settings::AccessConfig;
use crate::app::audit_log;
use crate::app::config::together::require;
use crate::app::log_queue::LogGuard;
use crate::codec::convert::rights_from_proto;
use crate::codec::proto::v1;
use crate::edge::auth::{AccessOptions, JwtOptions};
use crate::model::access::Rights;
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

/// Parses a role: its name, then what it allows.
pub(super) fn role(text: &str) -> std::result::Result<(String, Rights), String> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().ok_or("use `NAME invoke=PATTERN …`")?;
    if name.contains('=') || name == "admin" {
        return Err("a role begins with its name".to_owned());
    }
    let mut rights = v1::Rights::default();
    for word in words {
        let patterns = |list: &str| list.split(',').map(ToOwned::to_owned).collect::<Vec<_>>();
        match word.split_once('=') {
            None if word == "admin" => rights.administer = true,
            Some(("invoke", list)) => rights.invoke.extend(patterns(list)),
            Some(("serve", list)) => rights.serve.extend(patterns(list)),
            Some(("read", whose)) => rights.read = scope(whose)?,
            Some(("control", whose)) => rights.control = scope(whose)?,
            _ => {
                return Err(format!(
                    "`{word}` is none of `invoke=`, `serve=`, `read=`, `control=` and `admin`"
                ));
            }
        }
    }
    let rights = rights_from_proto("", &rights).map_err(|error| error.message().to_owned())?;
    Ok((name.to_owned(), rights))
}

fn scope(whose: &str) -> std::result::Result<i32, String> {
    let scope = match whose {
        "none" => v1::Scope::None,
        "own" => v1::Scope::Own,
        "group" => v1::Scope::Group,
        "all" => v1::Scope::All,
        _ => {
            return Err(format!(
                "`{whose}` is none of `none`, `own`, `group` and `all`"
            ));
        }
    };
    Ok(scope.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::Scope;

    #[test]
    fn a_role_is_parsed() {
        let (name, rights) =
            role("clerk invoke=customer.*,order.get serve=crm.* read=all").unwrap();
        assert_eq!(name, "clerk");
        assert!(rights.may_invoke("customer.get") && rights.may_invoke("order.get"));
        assert!(rights.may_serve("crm.x") && !rights.administer);
        assert_eq!((rights.read, rights.control), (Scope::All, Scope::Own));
        assert!(role("root admin control=none").unwrap().1.administer);
        for wrong in [
            "",
            "invoke=a",
            "admin",
            "clerk invoke=",
            "clerk invoke=a b",
            "clerk read=some",
            "clerk admin=yes",
            "clerk invoke=a/b",
        ] {
            assert!(role(wrong).is_err(), "{wrong}");
        }
    }
}
