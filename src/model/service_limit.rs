//! Limits that an operator sets on services: the smaller of them and of the service's own option is in force.

use std::fmt;

use crate::model::access::NamePattern;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::rate::Rate;

/// Limits of the services whose names match a pattern. `None` sets no limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceLimit {
    /// The services.
    pub pattern: NamePattern,
    /// How many calls pass: a second, and at once.
    pub rate: Option<Rate>,
    /// How many handlers run at once.
    pub concurrency: Option<usize>,
    /// How many synchronous calls wait for a handler.
    pub queue_length: Option<usize>,
    /// How many asynchronous invocations are pending.
    pub pending: Option<usize>,
}

impl ServiceLimit {
    /// The most limits of a node.
    pub const MAX: usize = 1_000;

    /// Parses a pattern and limits: `customer.* rate=100/s burst=200 concurrency=10 queue=50 pending=1000`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations, at `path`.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let mut violations = Vec::new();
        let pattern = NamePattern::parse(path, words.next().unwrap_or_default());
        let pattern = pattern.unwrap_or_else(|error| {
            violations.extend(error.violations_at(""));
            NamePattern::all()
        });
        let mut read = Words::default();
        for word in words {
            if let Err(message) = read.read(word) {
                let message = format!("`{}`: {message}", word.escape_debug());
                violations.push(Violation::new(path, "MALFORMED", message));
            }
        }
        if violations.is_empty()
            && let Err(message) = read.check()
        {
            violations.push(Violation::new(path, "MALFORMED", message));
        }
        Error::reject(reason::REQUEST_INVALID, violations)?;
        let rate = read.rate.map(|rate| match read.burst {
            Some(burst) => rate.with_burst(burst),
            None => rate,
        });
        Ok(Self {
            pattern,
            rate,
            concurrency: read.concurrency,
            queue_length: read.queue_length,
            pending: read.pending,
        })
    }
}

/// The words after the pattern.
#[derive(Default)]
struct Words {
    rate: Option<Rate>,
    burst: Option<u32>,
    concurrency: Option<usize>,
    queue_length: Option<usize>,
    pending: Option<usize>,
}

impl Words {
    fn read(&mut self, word: &str) -> std::result::Result<(), String> {
        let (name, value) = word.split_once('=').ok_or("use `name=value`")?;
        match name {
            "rate" => set(&mut self.rate, Rate::parse(value)?),
            "burst" => set(&mut self.burst, number(value, 1)?),
            "concurrency" => set(&mut self.concurrency, number(value, 1)?),
            "queue" => set(&mut self.queue_length, number(value, 0)?),
            "pending" => set(&mut self.pending, number(value, 0)?),
            _ => Err("a limit is `rate`, `burst`, `concurrency`, `queue` or `pending`".to_owned()),
        }
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        let has_limit = self.concurrency.is_some()
            || self.queue_length.is_some()
            || self.pending.is_some()
            || self.rate.is_some();
        match (self.burst, self.rate) {
            (Some(_), None) => Err("`burst` needs `rate`"),
            _ if !has_limit => Err("has no limit, such as `rate=100/s`"),
            _ => Ok(()),
        }
    }
}

fn set<T>(limit: &mut Option<T>, value: T) -> std::result::Result<(), String> {
    match limit.replace(value) {
        None => Ok(()),
        Some(_) => Err("is given twice".to_owned()),
    }
}

fn number<N: TryFrom<u64>>(text: &str, least: u64) -> std::result::Result<N, String> {
    let number = text.parse().ok().filter(|number| *number >= least);
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| format!("use a whole number of at least {least}"))
}

impl fmt::Display for ServiceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pattern.fmt(f)?;
        if let Some(rate) = self.rate {
            write!(f, " rate={rate} burst={}", rate.burst())?;
        }
        for (name, limit) in [
            ("concurrency", self.concurrency),
            ("queue", self.queue_length),
            ("pending", self.pending),
        ] {
            if let Some(limit) = limit {
                write!(f, " {name}={limit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_parsed_and_shown() {
        let text = "customer.* rate=100/s burst=200 concurrency=10 queue=50 pending=1000";
        let limit = ServiceLimit::parse("/service_limit", text).unwrap();
        assert_eq!(limit.to_string(), text);
        assert!(limit.pattern.matches("customer.get"));
        assert_eq!(limit.rate.unwrap().burst(), 200);
    }

    #[test]
    fn all_mistakes_are_reported() {
        let parse = |text| ServiceLimit::parse("/service_limit", text);
        let error = parse("a? rate=1 queue=-1 x=1").unwrap_err();
        assert_eq!(error.field_violations().len(), 4, "{error:?}");
        for wrong in [
            "",
            "a.*",
            "a.* burst=2",
            "a.* queue=1 queue=2",
            "a.* concurrency=0",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
