//! The principals that a node accepts, as its service `cidery.security.get-list` lists them: never a secret.

use super::options::AccessOptions;
use crate::dict;
use crate::engine::access::KeyRing;
use crate::model::access::{NamePattern, Principal, Quota, Rights, Scope};
use crate::model::rate::Rate;
use crate::model::value::{Dict, Value};

/// The one caller of a node that asks nobody who calls.
pub(super) fn anonymous() -> Dict {
    dict! { "id": 1, "name": "anonymous", "is_active": true, "sec_type": "none" }
}

/// One entry for each API key, rule of certificates, and role of tokens.
pub(super) fn list(keys: &KeyRing, options: &AccessOptions) -> Vec<Dict> {
    let now = keys.clock().now();
    let mut list = Vec::new();
    for listed in keys.list() {
        let key = &listed.key;
        let mut one = entry(key.principal.as_str(), "apikey", &key.rights);
        one.insert("is_active", listed.is_valid(now));
        one.insert("key_id", key.id.to_string());
        one.insert("quota", quota(&key.quota));
        one.insert("group", key.group.as_ref().map(Principal::to_string));
        list.push(one);
    }
    for rule in &options.certificates {
        let rights = rule.all_rights(&options.roles);
        list.push(entry(&rule.name, "certificate", &rights));
    }
    #[cfg(feature = "jwt")]
    if options.jwt.is_some() {
        let roles = options.roles.iter();
        list.extend(roles.map(|(name, rights)| entry(name, "token_role", rights)));
    }
    for (one, id) in list.iter_mut().zip(1_u32..) {
        one.insert("id", id);
    }
    list
}

/// What a key has in place of what the node allows each principal; `None`: nothing.
fn quota(quota: &Quota) -> Option<Dict> {
    (!quota.is_none()).then(|| {
        dict! {
            "rate": quota.rate.map(|rate| rate.to_string()),
            "burst": quota.rate.map(Rate::burst),
            "in_flight": quota.in_flight,
            "pending": quota.pending,
        }
    })
}

fn entry(name: &str, kind: &str, rights: &Rights) -> Dict {
    let patterns = |patterns: &[NamePattern]| {
        let texts = patterns.iter().map(|pattern| Value::from(pattern.as_str()));
        Value::List(texts.collect())
    };
    let scope = |scope: Scope| match scope {
        Scope::None => "none",
        Scope::Own => "own",
        Scope::Group => "group",
        Scope::All => "all",
    };
    let rights = dict! {
        "invoke": patterns(&rights.invoke),
        "serve": patterns(&rights.serve),
        "read": scope(rights.read),
        "control": scope(rights.control),
        "admin": rights.administer,
    };
    dict! { "id": 0, "name": name, "is_active": true, "sec_type": kind, "rights": rights }
}
