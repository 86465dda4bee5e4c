//! The name in a rule for client certificates: its syntax, and what it matches.

use crate::model::access::Principal;

/// The scheme of SPIFFE ids.
pub(super) const SPIFFE: &str = "spiffe://";

/// Checks the name of a rule: that there can be certificates which it matches.
///
/// # Errors
///
/// What to write instead.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    let has = |part: &str, others: &[u8]| {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || others.contains(&b);
        !part.is_empty() && part.bytes().all(is_allowed)
    };
    let is_one = |part: &str| part.matches('*').count() <= 1;
    if name.len() > Principal::MAX_BYTES {
        return Err("it is longer than 2048 bytes");
    }
    let (is_valid, parts) = match name.strip_prefix(SPIFFE) {
        Some(id) => (id.split('/').all(|part| has(part, b"._-*")), id.split('/')),
        None => {
            let mut labels = name.split('.');
            (labels.all(|label| has(label, b"_-*")), name.split('.'))
        }
    };
    match (is_valid, parts.clone().all(is_one)) {
        (false, _) => Err("use a SPIFFE ID, such as `spiffe://example.org/billing`, or a DNS name"),
        (true, false) => Err("each part may have one `*`"),
        (true, true) => Ok(()),
    }
}

/// DNS names are compared without their case.
pub(super) fn is_dns_match(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    is_match(&pattern, &name, '.')
}

/// Whether a name matches a pattern, part by part: a `*` does not reach beyond its part.
pub(super) fn is_match(pattern: &str, name: &str, separator: char) -> bool {
    let (mut patterns, mut parts) = (pattern.split(separator), name.split(separator));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if is_part_match(pattern, part) => {}
            _ => return false,
        }
    }
}

/// Whether a part matches: a text, with at most one `*`.
fn is_part_match(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        // A second `*` would stand for itself, and so for names of many hosts.
        Some((_, after)) if after.contains('*') => false,
        // A name with a `*` of its own (a wildcard certificate) is that of many hosts.
        Some((before, after)) => {
            let rest = part.strip_prefix(before);
            let rest = rest.and_then(|rest| rest.strip_suffix(after));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('*'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_matches_nothing_is_refused() {
        for name in ["a", "*.a_b-c.example", "spiffe://a", "spiffe://*/a.b/x*y"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let long = format!("spiffe://a/{}", "b".repeat(2_048));
        for name in [
            "",
            ".a",
            "a..b",
            "a/b",
            "https://a.example",
            "spiffe://",
            "spiffe://a//b",
            "spiffe://a/b/",
            "spiffe://a/b c",
            "**.example",
            "spiffe://a/*x*",
            &long,
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
