//! Field violations: the path, the code and the message of each invalid part of an input.

use std::borrow::Cow;
use std::fmt;

/// One invalid part of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path, as a JSON pointer (RFC 6901) such as `/role_list/0/name`; empty for the whole input.
    pub path: String,
    /// The code, for programs: stable, `UPPER_SNAKE_CASE`.
    pub code: Cow<'static, str>,
    /// The message, for people: a sentence without a full stop.
    pub message: String,
}

impl Violation {
    /// Creates a violation at a path.
    pub fn new(
        path: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            code: code.into(),
            message: message.into(),
        }
    }

    /// The violation of a list with more than `limit` values, `TOO_MANY`; `None` where it is short enough.
    #[must_use]
    pub fn too_many(path: &str, values: usize, limit: usize) -> Option<Self> {
        let message = || format!("has {values} values; the limit is {limit}");
        (values > limit).then(|| Self::new(path, "TOO_MANY", message()))
    }

    /// The same violation with `key` in front of its path.
    #[must_use]
    pub fn under(mut self, key: &str) -> Self {
        let mut path = String::with_capacity(self.path.len() + key.len() + 1);
        push_segment(&mut path, key);
        path.push_str(&self.path);
        self.path = path;
        self
    }
}

/// Appends one key to a JSON pointer, escaped (RFC 6901, section 3).
pub fn push_segment(path: &mut String, key: &str) {
    path.push('/');
    for c in key.chars() {
        match c {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            c => path.push(c),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "`{}`: {}", self.path, self.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_prefixed_and_escaped() {
        let inner = Violation::new("/name", "MISSING", "is required");
        assert_eq!(inner.under("0").under("a/b~c").path, "/a~1b~0c/0/name");
    }
}
