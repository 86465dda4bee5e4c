//! API keys and rights.

use jiff::Timestamp;

use super::field::{FieldErrors, enum_from_proto};
use super::quota::quota_to_proto;
use super::time::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::model::access::{
    ApiKey, Caller, Credential, NamePattern, Principal, Quota, Rights, Scope,
};
use crate::model::error::{Error, Result, Violation, reason};

/// Converts rights. `path` is that of their field.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations.
pub fn rights_from_proto(path: &str, rights: &v1::Rights) -> Result<Rights> {
    let mut errors = FieldErrors::default();
    let rights = Rights {
        invoke: errors.take(patterns(&format!("{path}/invoke"), &rights.invoke)),
        serve: errors.take(patterns(&format!("{path}/serve"), &rights.serve)),
        read: errors.take(scope_from_proto(&format!("{path}/read"), rights.read)),
        control: errors.take(scope_from_proto(&format!("{path}/control"), rights.control)),
        administer: rights.administer,
    };
    errors.finish().map(|()| rights)
}

/// Converts the rights that a caller or a configuration gives: each pattern can match a name. Stored rights may have
/// others, of an earlier version.
///
/// # Errors
///
/// As for [`rights_from_proto`].
pub fn new_rights_from_proto(path: &str, rights: &v1::Rights) -> Result<Rights> {
    let rights = rights_from_proto(path, rights)?;
    let mut violations = Vec::new();
    for (field, patterns) in [("invoke", &rights.invoke), ("serve", &rights.serve)] {
        let patterns = patterns.iter().enumerate();
        let unsatisfiable = patterns.filter(|(_, pattern)| !pattern.is_satisfiable());
        violations.extend(unsatisfiable.map(|(index, pattern)| {
            let message = format!("`{pattern}` matches no service: a name has no empty part");
            Violation::new(format!("{path}/{field}/{index}"), "MALFORMED", message)
        }));
    }
    Error::reject(reason::REQUEST_INVALID, violations)?;
    Ok(rights)
}

fn patterns(path: &str, texts: &[String]) -> Result<Vec<NamePattern>> {
    let too_many = Violation::too_many(path, texts.len(), Rights::MAX_PATTERNS);
    Error::reject(reason::REQUEST_INVALID, too_many.into_iter().collect())?;
    let mut errors = FieldErrors::default();
    let mut patterns = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let pattern = NamePattern::parse(&format!("{path}/{index}"), text);
        patterns.extend(errors.take(pattern.map(Some)));
    }
    errors.finish().map(|()| patterns)
}

/// Converts a scope. `path` is that of its field.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
pub fn scope_from_proto(path: &str, scope: i32) -> Result<Scope> {
    Ok(match enum_from_proto(path, scope)? {
        v1::Scope::Unspecified | v1::Scope::Own => Scope::Own,
        v1::Scope::None => Scope::None,
        v1::Scope::Group => Scope::Group,
        v1::Scope::All => Scope::All,
    })
}

/// Converts a scope to the contract's form.
#[must_use]
pub fn scope_to_proto(scope: Scope) -> v1::Scope {
    match scope {
        Scope::None => v1::Scope::None,
        Scope::Own => v1::Scope::Own,
        Scope::Group => v1::Scope::Group,
        Scope::All => v1::Scope::All,
    }
}

/// Converts rights to the contract's form.
#[must_use]
pub fn rights_to_proto(rights: &Rights) -> v1::Rights {
    let texts = |patterns: &[NamePattern]| {
        let texts = patterns.iter().map(|pattern| pattern.as_str().to_owned());
        texts.collect()
    };
    v1::Rights {
        invoke: texts(&rights.invoke),
        serve: texts(&rights.serve),
        read: scope_to_proto(rights.read).into(),
        control: scope_to_proto(rights.control).into(),
        administer: rights.administer,
    }
}

/// Converts an API key to the contract's form. When it was last used, the store does not know.
#[must_use]
pub fn api_key_to_proto(key: &ApiKey) -> v1::ApiKey {
    let name = |principal: &Option<Principal>| {
        let name = principal.as_ref().map(Principal::to_string);
        name.unwrap_or_default()
    };
    v1::ApiKey {
        id: key.id.to_string(),
        principal: key.principal.to_string(),
        group: name(&key.group),
        rights: Some(rights_to_proto(&key.rights)),
        create_time: Some(timestamp_to_proto(key.create_time)),
        created_by: name(&key.created_by),
        expire_time: key.expire_time.map(timestamp_to_proto),
        revoke_time: key.revoke_time.map(timestamp_to_proto),
        last_use_time: None,
        quota: quota_to_proto(&key.quota),
    }
}

/// Converts a caller to the contract's form. `quota`: what it may use. `expire_time`: when its credential expires.
#[must_use]
pub fn caller_to_proto(
    caller: &Caller,
    quota: &Quota,
    expire_time: Option<Timestamp>,
) -> v1::GetCallerResponse {
    let Some(identity) = caller.identity() else {
        return v1::GetCallerResponse {
            rights: Some(rights_to_proto(&Rights::all())),
            credential: v1::CredentialKind::None.into(),
            ..v1::GetCallerResponse::default()
        };
    };
    let (credential, api_key_id) = match &identity.credential {
        Credential::ApiKey(id) => (v1::CredentialKind::ApiKey, id.to_string()),
        Credential::Token => (v1::CredentialKind::Token, String::new()),
        Credential::Certificate => (v1::CredentialKind::Certificate, String::new()),
    };
    let group = identity.group.as_ref().map(Principal::to_string);
    v1::GetCallerResponse {
        principal: identity.principal.to_string(),
        group: group.unwrap_or_default(),
        rights: Some(rights_to_proto(&identity.rights)),
        credential: credential.into(),
        api_key_id,
        expire_time: expire_time.map(timestamp_to_proto),
        quota: quota_to_proto(quota),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_converted_both_ways() {
        for rights in [Rights::default(), Rights::all()] {
            let converted = rights_from_proto("/rights", &rights_to_proto(&rights));
            assert_eq!(converted.unwrap(), rights);
        }
    }

    #[test]
    fn all_invalid_fields_are_reported_at_once() {
        let rights = v1::Rights {
            invoke: vec!["a".to_owned(), "a b".to_owned(), String::new()],
            serve: vec!["x".to_owned(); 101],
            read: 99,
            ..v1::Rights::default()
        };
        let error = rights_from_proto("/rights", &rights).unwrap_err();
        let paths = error.field_violations().iter().map(|it| it.path.as_str());
        let expected = [
            "/rights/invoke/1",
            "/rights/invoke/2",
            "/rights/serve",
            "/rights/read",
        ];
        assert_eq!(paths.collect::<Vec<_>>(), expected);
    }
}
