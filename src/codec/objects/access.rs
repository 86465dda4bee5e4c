//! The objects of callers: what they may do, and what they may use.

use super::names::{text_value, time_value};
use crate::codec::proto::v1;
use crate::dict;
use crate::model::value::{Dict, Value};

/// `caller` in the schema.
pub(crate) fn caller(caller: &v1::GetCallerResponse) -> Dict {
    let credential = match caller.credential() {
        v1::CredentialKind::None | v1::CredentialKind::Unspecified => "NONE",
        v1::CredentialKind::ApiKey => "API_KEY",
        v1::CredentialKind::Token => "TOKEN",
        v1::CredentialKind::Certificate => "CERTIFICATE",
    };
    dict! {
        "principal": text_value(&caller.principal),
        "group": text_value(&caller.group),
        "rights": rights(caller.rights.as_ref()),
        "credential": credential,
        "api_key_id": text_value(&caller.api_key_id),
        "expire_time": time_value(caller.expire_time.as_ref()),
        "quota": caller.quota.as_ref().map(quota),
    }
}

/// `rights` in the schema.
pub(crate) fn rights(rights: Option<&v1::Rights>) -> Value {
    let rights = rights.cloned().unwrap_or_default();
    dict! {
        "invoke": rights.invoke,
        "serve": rights.serve,
        "read": scope_name(rights.read),
        "control": scope_name(rights.control),
        "administer": rights.administer,
    }
    .into()
}

/// `quota` in the schema.
pub(crate) fn quota(quota: &v1::Quota) -> Dict {
    let number = |n: u64| (n > 0).then_some(n);
    dict! {
        "rate": (quota.rate > 0.0).then_some(quota.rate),
        "burst": number(quota.burst.into()),
        "in_flight": number(quota.in_flight),
        "pending": number(quota.pending),
    }
}

/// The name of a scope, such as `OWN`.
pub(crate) fn scope_name(scope: i32) -> &'static str {
    match v1::Scope::try_from(scope).unwrap_or_default() {
        v1::Scope::Unspecified => "OWN",
        scope => scope.as_str_name().trim_start_matches("SCOPE_"),
    }
}
