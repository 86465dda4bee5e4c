//! Patterns of service names: `customer.*`.

use std::fmt;

use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::ServiceName;

/// A pattern of service names, in which `*` stands for any characters, or none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamePattern(String);

impl NamePattern {
    /// The pattern of all names.
    #[must_use]
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Parses a pattern: characters of service names and `*`, at most 255 bytes. `path` is that of the field.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-*".contains(&b);
        if (1..=ServiceName::MAX_BYTES).contains(&text.len()) && text.bytes().all(is_allowed) {
            return Ok(Self(text.to_owned()));
        }
        let message = "is not a pattern of service names, such as `customer.*`";
        let violation = Violation::new(path, "MALFORMED", message);
        Err(Error::violations(reason::REQUEST_INVALID, vec![violation]))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is a name that matches: none has an empty part, as `customer..*` does.
    #[must_use]
    pub fn is_satisfiable(&self) -> bool {
        ServiceName::parse(&self.0.replace('*', "x")).is_ok()
    }

    /// Whether a name matches. The time is bounded by the product of both lengths.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let star = self.0.bytes().position(|byte| byte == b'*');
        let Some((first, stars)) = star.and_then(|at| self.0.split_at_checked(at)) else {
            return self.0 == name;
        };
        // What comes before the first `*` is where the name begins.
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        // Most patterns end there, and each call asks.
        if stars == "*" {
            return true;
        }
        let mut parts = stars.split('*').skip(1).peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            // The first place leaves most to the parts that follow.
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        true
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let cases = [
            ("*", "customer.get", true),
            ("customer.*", "customer.get", true),
            ("customer.*", "customer.", true),
            ("customer.*", "customer", false),
            ("customer.get", "customer.get", true),
            ("customer.get", "customer.get2", false),
            ("*.get", "customer.get", true),
            ("*.get", "customer.get.all", false),
            ("a*b*c", "a.b.b.c", true),
            ("a*b*c", "a.c.b", false),
            ("ab*ba", "aba", false),
            ("**", "x", true),
        ];
        for (pattern, name, matches) in cases {
            let parsed = NamePattern::parse("/invoke", pattern).unwrap();
            assert_eq!(parsed.matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_with_an_empty_part_matches_no_name() {
        let pattern = |text: &str| NamePattern::parse("/invoke", text).unwrap();
        for text in ["*", "a", "a.*", "*.a", "a*b", "**"] {
            assert!(pattern(text).is_satisfiable(), "{text}");
        }
        for text in ["a..*", ".*", "*.", "a.*."] {
            assert!(!pattern(text).is_satisfiable(), "{text}");
        }
    }

    #[test]
    fn other_characters_are_refused() {
        for text in ["", "a b", "a?", "ä", "a/b"] {
            assert!(NamePattern::parse("/invoke", text).is_err(), "{text}");
        }
    }
}
