//! The parameters of a query: each is read by its name, and what is left is refused, all at once.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use jiff::Timestamp;

use crate::codec::convert::FieldErrors;
use crate::codec::filter::{TIME_FORMS, time};
use crate::codec::{form, units};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::truncated;
use crate::model::sio::closest_name;

/// How many unknown parameters are listed; further ones are counted.
const MAX_UNKNOWN: usize = 50;

/// The parameters that were not read yet, and what is wrong with those that were.
#[derive(Debug, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: FieldErrors,
}

impl Query {
    pub(super) fn new(uri: &Uri) -> Self {
        let mut query = Self::default();
        if let Some(text) = uri.query().filter(|text| !text.is_empty()) {
            query.pairs = query.errors.take(form::pairs(text.as_bytes()));
        }
        query
    }

    /// Whether nothing is left to be read, or to be reported.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.errors.is_empty()
    }

    /// All values of a parameter that may be repeated.
    pub(super) fn texts(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        if self.pairs.is_empty() {
            return Vec::new();
        }
        let of_name = self.pairs.extract_if(.., |(key, _)| key == name);
        of_name.map(|(_, value)| value).collect()
    }

    /// The value of a parameter.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.texts(name).into_iter();
        let first = values.next();
        if values.next().is_some() {
            self.refuse(name, "DUPLICATE", "is given more than once");
        }
        first
    }

    /// Whether a flag is set: `?async`, `?async=true`.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).as_deref() {
            None | Some("false" | "0") => false,
            Some("" | "true" | "1") => true,
            Some(_) => {
                self.refuse(name, "MALFORMED", "is `true` or `false`");
                false
            }
        }
    }

    pub(super) fn duration(&mut self, name: &'static str) -> Option<Duration> {
        let text = self.text(name)?;
        match units::duration(&text) {
            Ok(duration) => Some(duration),
            Err(message) => {
                self.refuse(name, "MALFORMED", &message);
                None
            }
        }
    }

    /// An instant: RFC 3339, a date in UTC, or an age that ends at `now`.
    pub(super) fn time(&mut self, name: &'static str, now: Timestamp) -> Option<Timestamp> {
        let text = self.text(name)?;
        // A plus sign that is not escaped is a space.
        let found = time(&text, now).or_else(|| time(&text.replace(' ', "+"), now));
        if found.is_none() {
            let message = format!("is no time: use {TIME_FORMS}");
            self.refuse(name, "MALFORMED", &message);
        }
        found
    }

    /// A number; `what` it is, for people.
    pub(super) fn number<N: FromStr>(&mut self, name: &'static str, what: &str) -> Option<N> {
        let number = self.text(name)?.parse().ok();
        if number.is_none() {
            self.refuse(name, "MALFORMED", &format!("is not {what}"));
        }
        number
    }

    /// The size of a page; 0 where it is not given.
    pub(super) fn page_size(&mut self) -> u32 {
        let size = self.number("page_size", "a whole number above 0");
        size.map_or(0, NonZeroU32::get)
    }

    /// One of several words, in any case of letters.
    pub(super) fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let mut known = words.iter();
        let found = known.find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let message = format!("is one of {}", words.join(", "));
            self.refuse(name, "UNKNOWN_VALUE", &message);
        }
        found.map(|(_, value)| *value)
    }

    /// Values whose names begin with a prefix, by the rest of their names.
    pub(super) fn prefixed(&mut self, prefix: &'static str) -> Vec<(String, String)> {
        if self.pairs.is_empty() {
            return Vec::new();
        }
        let is_prefixed = |(key, _): &mut (String, String)| key.starts_with(prefix);
        let found = self.pairs.extract_if(.., is_prefixed);
        let rest = |key: String| key.get(prefix.len()..).unwrap_or_default().to_owned();
        found.map(|(key, value)| (rest(key), value)).collect()
    }

    /// The value of what was read; its default where that is invalid.
    pub(super) fn take<T: Default>(&mut self, read: Result<T>) -> T {
        self.errors.take(read)
    }

    pub(super) fn refuse(&mut self, name: &str, code: &'static str, message: &str) {
        self.errors
            .refuse(Violation::new(format!("/{name}"), code, message));
    }

    /// Whether any of these is given, and was not read yet.
    pub(super) fn is_given(&self, names: &[&str]) -> bool {
        let mut given = self.pairs.iter();
        given.any(|(name, _)| names.contains(&name.as_str()))
    }

    /// Refuses parameters that a path has in another case only.
    pub(super) fn refuse_given(&mut self, names: &[&str], message: &str) {
        for name in names {
            let is_given = self.pairs.iter().any(|(key, _)| key == name);
            if is_given {
                self.pairs.retain(|(key, _)| key != name);
                self.refuse(name, "NOT_ALLOWED", message);
            }
        }
    }

    /// Refuses what is wrong, and what was not read.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations; where only one is invalid, its own reason.
    pub(super) fn finish(mut self) -> Result<()> {
        let known: HashSet<&str> = match self.pairs.is_empty() {
            true => HashSet::new(),
            false => self.known.iter().copied().collect(),
        };
        let omitted = self.pairs.len().saturating_sub(MAX_UNKNOWN);
        self.errors.omit(omitted);
        for (name, _) in std::mem::take(&mut self.pairs)
            .into_iter()
            .take(MAX_UNKNOWN)
        {
            let name = truncated(&name);
            let message = match closest_name(&name, &known) {
                Some(meant) => format!("is not a parameter of this path: did you mean `{meant}`?"),
                None => "is not a parameter of this path".to_owned(),
            };
            self.refuse(&name, "UNKNOWN_KEY", &message);
        }
        self.errors.finish()
    }
}

/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a part of a request.
pub(super) fn invalid(name: &str, code: &'static str, message: &str) -> Error {
    let violation = Violation::new(format!("/{name}"), code, message);
    Error::violations(reason::REQUEST_INVALID, vec![violation])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::new(&format!("/x?{text}").parse().unwrap())
    }

    #[test]
    fn parameters_are_decoded() {
        let mut query = query("a=1+2&b=%C3%A9&a=x&wait=1m%2030s&async&n=7&w=Hold");
        assert_eq!(query.texts("a"), ["1 2", "x"]);
        assert_eq!(query.text("b").as_deref(), Some("é"));
        assert_eq!(query.duration("wait"), Some(Duration::from_secs(90)));
        assert!(query.flag("async"));
        assert_eq!(query.number::<u32>("n", "a number"), Some(7));
        assert_eq!(query.word("w", &[("fail", 1), ("hold", 2)]), Some(2));
        query.finish().unwrap();
    }

    #[test]
    fn a_time_has_its_plus_sign_escaped_or_not() {
        let now = Timestamp::UNIX_EPOCH;
        let expected = Some("2026-11-30T02:00:00Z".parse().unwrap());
        for text in [
            "2026-11-30T03:00:00%2B01:00",
            "2026-11-30T03:00:00+01:00",
            "2026-11-30T02:00:00Z",
        ] {
            assert_eq!(
                query(&format!("t={text}")).time("t", now),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let mut query = query("timeout=soon&dealy=5s&a=1&a=2&x=%FF&async=maybe");
        query.duration("timeout");
        query.duration("delay");
        query.text("a");
        query.flag("async");
        let error = query.finish().unwrap_err();
        // What is not UTF-8 is reported alone.
        assert_eq!(error.reason(), "DOCUMENT_MALFORMED", "{error:?}");
        let mut query = self::query("timeout=soon&dealy=5s&a=1&a=2&async=maybe");
        query.duration("timeout");
        query.duration("delay");
        query.text("a");
        query.flag("async");
        let error = query.finish().unwrap_err();
        let found = error.field_violations().iter();
        let found: Vec<_> = found.map(|one| (one.path.as_str(), &*one.code)).collect();
        let expected = [
            ("/timeout", "MALFORMED"),
            ("/a", "DUPLICATE"),
            ("/async", "MALFORMED"),
            ("/dealy", "UNKNOWN_KEY"),
        ];
        assert_eq!(found, expected);
        assert!(error.field_violations()[3].message.contains("`delay`"));
    }
}
