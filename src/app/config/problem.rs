//! What is wrong with a configuration: all of it at once, each with its place.

use std::borrow::Cow;

use super::entry::{LIMIT_FLAG, Origin};
use crate::model::error::{Error, Violation, push_segment, reason};

/// The fact that tells an error of the configuration: its violations name their files and lines themselves.
pub(in crate::app) const IN_CONFIG: &str = "configuration";
/// How many problems are reported.
const MAX_PROBLEMS: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(in crate::app) struct Problem {
    /// Where.
    pub(in crate::app) origin: Origin,
    /// The key, such as `limits.pending`, if it is about one option.
    pub(in crate::app) key: Option<String>,
    /// What is wrong, and what to do. It never has a value of the environment.
    pub(in crate::app) message: String,
    code: Cow<'static, str>,
}

impl Problem {
    pub(super) fn new(
        origin: Origin,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            origin,
            key: None,
            message: message.into(),
            code: code.into(),
        }
    }

    pub(super) fn of_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// The line for people: `cidery.toml:3: limits.pending: must be at least 1, not 0`.
    pub(in crate::app) fn line(&self) -> String {
        // A variable, and a flag of one option, have its name.
        let is_named = match &self.origin {
            Origin::Variable(_) => true,
            Origin::Flag(flag) => flag != LIMIT_FLAG,
            Origin::Default | Origin::Foreign(_) | Origin::File(..) => false,
        };
        match &self.key {
            Some(key) if !is_named => format!("{}: {key}: {}", self.origin, self.message),
            _ => format!("{}: {}", self.origin, self.message),
        }
    }

    fn violation(&self) -> Violation {
        let mut path = String::new();
        for segment in self.key.iter().flat_map(|key| key.split('.')) {
            push_segment(&mut path, segment);
        }
        Violation::new(path, self.code.clone(), self.line())
    }
}

/// The error of a configuration with problems, the first [`MAX_PROBLEMS`] of them. Where only options of the command
/// are wrong, the command is used incorrectly.
pub(in crate::app) fn error_of(problems: &[Problem]) -> Error {
    let is_flag = |problem: &Problem| matches!(problem.origin, Origin::Flag(_));
    let reason = match problems.iter().all(is_flag) {
        true => reason::USAGE_INVALID,
        false => reason::CONFIG_INVALID,
    };
    let listed = problems.iter().take(MAX_PROBLEMS);
    let violations: Vec<Violation> = listed.map(Problem::violation).collect();
    let message = match problems {
        [one] => one.line(),
        all => format!("{} options are wrong", all.len()),
    };
    let error = Error::violations(reason, violations).with_message(message);
    error.with_info(IN_CONFIG, true)
}
