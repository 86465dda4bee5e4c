//! The options of authentication of `cidery serve`.

use std::path::PathBuf;

use clap::Args;

use super::args::usage_error;
use crate::app::audit_log;
use crate::app::log_queue::LogGuard;
use crate::codec::convert::rights_from_proto;
use crate::codec::proto::v1;
use crate::edge::auth::{AccessOptions, JwtOptions};
use crate::model::access::Rights;
use crate::model::error::Result;

/// Who may call a node, besides those with an API key.
#[derive(Args, Clone, Debug)]
pub(super) struct AccessArgs {
    /// Accept tokens (JSON Web Tokens) that are signed with one of these public keys: a JSON Web Key Set in a file, or
    /// at an `https://` URL.
    #[arg(
        long,
        env = "CIDERY_JWT_JWKS",
        requires_all = ["jwt_issuer", "jwt_audience"],
        value_name = "FILE|URL"
    )]
    jwt_jwks: Option<String>,
    /// Issuer of the tokens: their claim `iss`.
    #[arg(
        long,
        env = "CIDERY_JWT_ISSUER",
        requires = "jwt_jwks",
        value_name = "TEXT"
    )]
    jwt_issuer: Option<String>,
    /// Audience of the tokens: one value of their claim `aud`.
    #[arg(
        long,
        env = "CIDERY_JWT_AUDIENCE",
        requires = "jwt_jwks",
        value_name = "TEXT"
    )]
    jwt_audience: Option<String>,
    /// Claim with the name of the principal. Default: `sub`.
    #[arg(long, requires = "jwt_jwks", value_name = "CLAIM")]
    jwt_principal_claim: Option<String>,
    /// Claim with the roles, or the path to it, such as `realm_access.roles`. Default: `cidery_roles`.
    #[arg(long, requires = "jwt_jwks", value_name = "CLAIM")]
    jwt_roles_claim: Option<String>,
    /// What a role allows (repeatable): `'clerk invoke=customer.*,order.* serve=crm.* read=all control=none admin'`.
    #[arg(long, value_parser = role, value_name = "TEXT")]
    role: Vec<(String, Rights)>,
    /// Write the audit log to this file, or to standard output (`-`), as lines of JSON: what operators do, who is
    /// refused, and which credentials are used. Default: the log of the node, target `cidery::audit`.
    #[arg(long, env = "CIDERY_AUDIT_LOG", value_name = "FILE")]
    audit_log: Option<PathBuf>,
}

impl AccessArgs {
    /// The options of the node.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` for two roles of the same name.
    pub(super) fn options(&self) -> Result<AccessOptions> {
        let mut options = AccessOptions::default();
        for (name, rights) in &self.role {
            if options.roles.insert(name.clone(), rights.clone()).is_some() {
                return Err(usage_error(format!("the role `{name}` is given twice")));
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
    pub(super) fn start_audit_log(&self) -> Result<Option<LogGuard>> {
        self.audit_log.as_deref().map(audit_log::start).transpose()
    }
}

/// Parses a role: its name, then what it allows.
fn role(text: &str) -> std::result::Result<(String, Rights), String> {
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
