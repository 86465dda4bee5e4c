//! What a token says, once its signature is verified.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::options::JwtOptions;
use crate::model::access::Principal;

/// How far the clocks of the issuer and the node may be apart, in seconds.
const LEEWAY: i64 = 60;
/// How many roles of a token count, at most.
const MAX_ROLES: usize = 1_000;

/// The claims of a token.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    /// In seconds since 1970, with or without a fraction.
    exp: f64,
    nbf: Option<f64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// What the claims of a valid token mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) principal: Principal,
    pub(super) group: Option<Principal>,
    pub(super) roles: Vec<String>,
    pub(super) expire_time: Timestamp,
}

impl Claims {
    /// What they mean at a time, or why they are refused.
    pub(super) fn meaning(
        &self,
        options: &JwtOptions,
        now: Timestamp,
    ) -> Result<Meaning, &'static str> {
        let expire_time = seconds(self.exp, LEEWAY).ok_or("the `exp` of the token is no time")?;
        if expire_time <= now {
            return Err("the token has expired");
        }
        if let Some(begin) = self.nbf {
            let begin = seconds(begin, -LEEWAY).ok_or("the `nbf` of the token is no time")?;
            if begin > now {
                return Err("the token is not valid yet");
            }
        }
        let principal = self.find(&options.principal_claim).and_then(Value::as_str);
        let principal = principal.ok_or("the token names no principal")?;
        let is_name = !principal.is_empty() && !principal.contains(char::is_control);
        let principal = format!("token:{principal}");
        if !is_name || principal.len() > Principal::MAX_BYTES {
            return Err("the principal of the token is empty, too long, or has control characters");
        }
        let group = options.group_claim.as_deref();
        let group = group.and_then(|claim| self.find(claim)).map(|group| {
            let group = group
                .as_str()
                .and_then(|name| Principal::parse_name("", name).ok());
            group.ok_or(
                "the group of the token is no name: use letters, digits, `.`, `_`, `-` and `@`",
            )
        });
        Ok(Meaning {
            principal: Principal::known(&principal),
            group: group.transpose()?,
            roles: self.roles(&options.roles_claim),
            expire_time,
        })
    }

    /// A claim by its name, or by a path with dots. Names of claims may have dots themselves (`https://…/roles`).
    fn find(&self, path: &str) -> Option<&Value> {
        if let Some(found) = self.others.get(path) {
            return Some(found);
        }
        let mut names = path.split('.');
        let first = self.others.get(names.next()?)?;
        names.try_fold(first, |found, name| found.get(name))
    }

    fn roles(&self, path: &str) -> Vec<String> {
        let roles: Vec<&str> = match self.find(path) {
            Some(Value::Array(roles)) => roles.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(roles)) => roles.split_ascii_whitespace().collect(),
            _ => Vec::new(),
        };
        let roles = roles.into_iter().take(MAX_ROLES);
        roles.map(ToOwned::to_owned).collect()
    }
}

/// A time in seconds since 1970, and some more.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float that is no time saturates, and is refused then"
)]
fn seconds(time: f64, more: i64) -> Option<Timestamp> {
    let time = time.is_finite().then_some(time as i64)?;
    Timestamp::from_second(time.checked_add(more)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn meaning(claims: Value, roles_claim: &str) -> Result<Meaning, &'static str> {
        let claims: Claims = serde_json::from_value(claims).map_err(|_| "malformed")?;
        let mut options = JwtOptions::new("", "", "");
        options.roles_claim = roles_claim.to_owned();
        claims.meaning(&options, Timestamp::from_second(NOW).unwrap())
    }

    fn roles(claims: Value, roles_claim: &str) -> Vec<String> {
        meaning(claims, roles_claim).unwrap().roles
    }

    #[test]
    fn a_token_is_valid_from_nbf_to_exp_with_a_minute_of_leeway() {
        for (exp, nbf, expected) in [
            (NOW + 1, NOW, None),
            (NOW - 59, NOW + 60, None),
            (NOW - 60, NOW, Some("the token has expired")),
            (NOW + 1, NOW + 61, Some("the token is not valid yet")),
            (i64::MAX, NOW, Some("the `exp` of the token is no time")),
        ] {
            let claims = serde_json::json!({"sub": "a", "exp": exp, "nbf": nbf});
            assert_eq!(meaning(claims, "x").err(), expected, "{exp} {nbf}");
        }
        let fraction = serde_json::json!({"sub": "a", "exp": 2_000_000.5});
        assert!(meaning(fraction, "x").is_ok());
        for malformed in [
            serde_json::json!({"sub": "a"}),
            serde_json::json!({"sub": "a", "exp": "2000000"}),
            serde_json::json!({"sub": "a", "exp": 2_000_000, "nbf": "1"}),
        ] {
            assert_eq!(meaning(malformed, "x").err(), Some("malformed"));
        }
    }

    #[test]
    fn the_principal_is_a_text() {
        for sub in [
            serde_json::json!(7),
            serde_json::json!(null),
            serde_json::json!(""),
            serde_json::json!("a\nb"),
            serde_json::json!("x".repeat(3_000)),
        ] {
            let claims = serde_json::json!({"sub": sub, "exp": 2_000_000});
            assert!(meaning(claims, "x").is_err(), "{sub}");
        }
        let claims = serde_json::json!({"sub": "a|7", "exp": 2_000_000});
        let principal = meaning(claims, "x").unwrap().principal;
        assert_eq!(principal.as_str(), "token:a|7");
    }

    #[test]
    fn roles_are_found_by_name_and_by_path() {
        let claims = serde_json::json!({
            "sub": "a",
            "exp": 2_000_000,
            "list": ["a", "b", 7],
            "text": "a  b",
            "https://example.org/roles": ["c"],
            "realm": {"access": {"roles": ["d"]}},
        });
        for (path, expected) in [
            ("list", ["a", "b"].as_slice()),
            ("text", &["a", "b"]),
            ("https://example.org/roles", &["c"]),
            ("realm.access.roles", &["d"]),
            ("realm.access", &[]),
            ("realm.none.roles", &[]),
            ("", &[]),
        ] {
            assert_eq!(roles(claims.clone(), path), expected, "{path}");
        }
    }
}
