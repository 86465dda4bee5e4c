//! One value of the configuration, and where it comes from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

/// The flag of all limits.
pub(super) const LIMIT_FLAG: &str = "--limit";

/// Where a value comes from, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Origin {
    /// It is the default.
    Default,
    /// An environment variable that is not one of Cidery alone.
    Foreign(String),
    /// A line of the file; 0 for the file as a whole.
    File(Arc<PathBuf>, usize),
    /// An environment variable.
    Variable(String),
    /// An option of the command.
    Flag(String),
}

impl Origin {
    /// The name of its kind, for programs.
    pub(in crate::app) fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(..) => "file",
            Self::Foreign(_) | Self::Variable(_) => "variable",
            Self::Flag(_) => "flag",
        }
    }

    /// How strong it is: of two values of one option, that of the stronger origin counts.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Foreign(_) => 1,
            Self::File(..) => 2,
            Self::Variable(_) => 3,
            Self::Flag(_) => 4,
        }
    }

    /// The line of a file; 0 elsewhere.
    pub(super) fn line(&self) -> usize {
        match self {
            Self::File(_, line) => *line,
            Self::Default | Self::Foreign(_) | Self::Variable(_) | Self::Flag(_) => 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, 0) => write!(f, "{}", path.display()),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Foreign(name) | Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value as it was read. It has no `Debug`: what it holds may be a secret.
#[derive(Clone)]
pub(super) struct Entry {
    /// The key, such as `limits.pending`.
    pub(super) key: String,
    pub(super) value: Raw,
    pub(super) origin: Origin,
}

/// A value before its option is known.
#[derive(Clone)]
pub(super) enum Raw {
    /// A text of the environment or of a flag, which is read by the type of its option.
    Text(String),
    /// Several texts: a flag that was repeated.
    Texts(Vec<String>),
    /// A typed value of the file.
    Typed(Value),
}
