//! The configuration of `cidery serve`: what can be set, and from where it comes.
//!
//! An option is declared once, as a field of [`settings`]: its doc comment is the text in the help, in the schema and
//! in `docs/configuration.md`, its type says how it is written, its attributes which values it may have. From the
//! schema of these structs ([`options`]) follow its key in the file, its environment variable and its flag. Values are
//! read from the file, the environment and the flags ([`sources`]), the later ones win, and all that is wrong is
//! reported at once.

mod access;
mod address;
mod certificate_rule;
mod entry;
mod environment;
mod file;
mod flags;
#[cfg(test)]
mod fuzz_tests;
mod limit_text;
mod named_files;
mod nearest;
mod options;
mod otel_variables;
mod problem;
mod quotas;
mod reload;
mod resolve;
mod role;
mod secret;
mod settings;
mod sources;
mod store_keys;
mod texts;
mod tls;
mod together;
mod trace_text;
mod traces;

pub(in crate::app) use self::address::listen_address;
pub(in crate::app) use self::entry::Origin;
#[cfg(test)]
pub(in crate::app) use self::environment::is_known_variable;
pub(in crate::app) use self::flags::{ConfigArgs, HiddenConfigArgs};
pub(in crate::app) use self::limit_text::rate;
pub(in crate::app) use self::nearest::nearest_key;
pub(in crate::app) use self::options::{schema, value_text};
pub(in crate::app) use self::problem::{IN_CONFIG, Problem};
pub(in crate::app) use self::reload::Reload;
pub(in crate::app) use self::settings::{Config, LogConfig, StoreConfig};
pub(in crate::app) use self::sources::{Effective, Loaded, Sources};
