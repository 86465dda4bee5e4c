//! Limits of one value.

use crate::model::error::{Error, Result, TOO_MANY_KEYS, Violation, push_segment, reason};
use crate::model::value::Value;

/// The code of a value that is nested too deep.
pub(in crate::codec) const TOO_DEEP: &str = "TOO_DEEP";

/// The maximum nesting of dicts and lists. Peers that use prost stop at about 33 dicts.
pub const MAX_DEPTH: usize = 32;

/// The maximum number of dict keys and list items in one value.
pub const MAX_KEYS: usize = 1_000_000;

/// The maximum size of a message in bytes: 16 MiB.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The maximum number of values in one list of a filter, whatever a node says. Each is a parameter of a query of the
/// store, which has at most 32 766, and a filter has five lists.
pub const MAX_FILTER_VALUES: usize = 5_000;

/// What a node allows of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueLimits {
    /// How deep dicts and lists are nested.
    pub depth: usize,
    /// How many keys and items there are.
    pub keys: usize,
}

impl ValueLimits {
    /// Whether they are not smaller than those that every format has.
    #[must_use]
    pub const fn are_those_of_formats(self) -> bool {
        self.depth >= MAX_DEPTH && self.keys >= MAX_KEYS
    }

    /// Checks a value.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `VALUE_INVALID`, with the first place that is too deep or too much.
    pub fn check(self, value: &Value) -> Result<()> {
        let mut room = self;
        let violation = match room.take(value) {
            Ok(()) => return Ok(()),
            Err(Exceeded::Depth(path)) => {
                let message = format!("is nested deeper than {} dicts and lists", self.depth);
                Violation::new(path, TOO_DEEP, message)
            }
            Err(Exceeded::Keys) => {
                let message = format!("has more than {} keys and items", self.keys);
                Violation::new("", TOO_MANY_KEYS, message)
            }
        };
        let violations = vec![violation];
        Err(with_limits(
            Error::violations(reason::VALUE_INVALID, violations),
            self,
        ))
    }

    /// Takes the room of a value. It is as deep as the formats allow at most, or was made in this process.
    fn take(&mut self, value: &Value) -> std::result::Result<(), Exceeded> {
        match value {
            Value::Dict(dict) => self.within(|room| {
                dict.iter().try_for_each(|(key, value)| {
                    room.take_key()?;
                    room.take(value).map_err(|exceeded| exceeded.under(key))
                })
            }),
            Value::List(items) => self.within(|room| {
                items.iter().enumerate().try_for_each(|(index, item)| {
                    room.take_key()?;
                    let taken = room.take(item);
                    taken.map_err(|exceeded| exceeded.under(&index.to_string()))
                })
            }),
            _ => Ok(()),
        }
    }

    fn within(
        &mut self,
        take: impl FnOnce(&mut Self) -> std::result::Result<(), Exceeded>,
    ) -> std::result::Result<(), Exceeded> {
        let depth = self.depth.checked_sub(1);
        self.depth = depth.ok_or_else(|| Exceeded::Depth(String::new()))?;
        take(self)?;
        self.depth += 1;
        Ok(())
    }

    fn take_key(&mut self) -> std::result::Result<(), Exceeded> {
        self.keys = self.keys.checked_sub(1).ok_or(Exceeded::Keys)?;
        Ok(())
    }
}

/// What a value has too much of.
enum Exceeded {
    /// With the path to it.
    Depth(String),
    Keys,
}

impl Exceeded {
    fn under(self, key: &str) -> Self {
        match self {
            Self::Depth(path) => {
                let mut below = String::new();
                push_segment(&mut below, key);
                below.push_str(&path);
                Self::Depth(below)
            }
            Self::Keys => Self::Keys,
        }
    }
}

/// An error with the names and values of the limits that its violations exceed.
#[cold]
pub(in crate::codec) fn with_limits(error: Error, limits: ValueLimits) -> Error {
    let names = [
        (TOO_DEEP, "value_depth", limits.depth),
        (TOO_MANY_KEYS, "value_keys", limits.keys),
    ];
    names.into_iter().fold(error, |error, (code, name, limit)| {
        let violations = error.field_violations();
        match violations.iter().any(|violation| violation.code == code) {
            true => error.with_info(name, limit),
            false => error,
        }
    })
}

/// The limits of all formats.
pub(in crate::codec) const VALUE_LIMITS: ValueLimits = ValueLimits {
    depth: MAX_DEPTH,
    keys: MAX_KEYS,
};
