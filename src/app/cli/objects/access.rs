//! The objects of API keys and callers.

use crate::app::cli::names::{scope_name, text_value, time_value};
use crate::codec::objects::{self, quota, rights};
use crate::codec::proto::v1;
use crate::dict;
use crate::model::rate::Rate;
use crate::model::value::{Dict, Value};

/// `api_key` in the schema.
pub(in crate::app::cli) fn api_key(key: &v1::ApiKey) -> Value {
    key_dict(key).into()
}

/// `new_api_key` in the schema: the only place that shows a secret.
pub(in crate::app::cli) fn new_api_key(key: &v1::ApiKey, secret: &str) -> Value {
    let mut object = key_dict(key);
    object.insert("secret", secret);
    object.into()
}

fn key_dict(key: &v1::ApiKey) -> Dict {
    dict! {
        "id": key.id.as_str(),
        "principal": key.principal.as_str(),
        "group": text_value(&key.group),
        "rights": rights(key.rights.as_ref()),
        "create_time": time_value(key.create_time.as_ref()),
        "created_by": text_value(&key.created_by),
        "expire_time": time_value(key.expire_time.as_ref()),
        "revoke_time": time_value(key.revoke_time.as_ref()),
        "last_use_time": time_value(key.last_use_time.as_ref()),
        "quota": key.quota.as_ref().map(quota),
    }
}

/// `caller` in the schema.
pub(in crate::app::cli) fn caller(
    caller: &v1::GetCallerResponse,
    node: &str,
    context: Option<&str>,
) -> Value {
    let mut object = objects::caller(caller);
    object.insert("node", node);
    object.insert("context", context);
    object.into()
}

/// A quota on one line, for people: as the options of `cidery key new`.
pub(in crate::app::cli) fn quota_text(quota: Option<&v1::Quota>) -> String {
    let quota = quota.copied().unwrap_or_default();
    let mut parts = Vec::new();
    if quota.rate > 0.0 {
        let rate = Rate::per_second(quota.rate);
        parts.push(format!("rate {rate} burst={}", quota.burst));
    }
    for (name, n) in [("in-flight", quota.in_flight), ("pending", quota.pending)] {
        if n > 0 {
            parts.push(format!("{name} {n}"));
        }
    }
    parts.join("; ")
}

/// Rights on one line, for people: as the options of `cidery key new`.
pub(in crate::app::cli) fn rights_text(rights: Option<&v1::Rights>) -> String {
    let rights = rights.cloned().unwrap_or_default();
    let mut parts = Vec::new();
    for (name, patterns) in [("invoke", &rights.invoke), ("serve", &rights.serve)] {
        if !patterns.is_empty() {
            parts.push(format!("{name} {}", patterns.join(",")));
        }
    }
    for (name, scope) in [("read", rights.read), ("control", rights.control)] {
        parts.push(format!("{name} {}", scope_name(scope).to_ascii_lowercase()));
    }
    if rights.administer {
        parts.push("admin".to_owned());
    }
    parts.join("; ")
}
