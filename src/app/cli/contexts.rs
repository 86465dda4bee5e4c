//! Contexts: named nodes, with what reaching them takes. Read for `--context`, written by `cidery context`.
//!
//! They are in the file `cidery/contexts.toml` of the user's configuration directory: `$XDG_CONFIG_HOME`, or
//! `~/.config`. It has paths of files with keys, and never a key.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::{Table, Value};

use super::args::usage_error;
use crate::app::config::nearest_key;
use crate::model::error::{Error, Result};

/// The largest file.
const MAX_BYTES: u64 = 1 << 20;
/// The longest name.
const MAX_NAME: usize = 64;
/// The keys of the file, and those of one context.
const KEYS: [&str; 2] = ["current", "contexts"];
const CONTEXT_KEYS: [&str; 5] = ["node", "api_key_file", "ca", "cert", "key"];

/// All contexts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Contexts {
    /// The one that is used where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<String>,
    pub(super) contexts: BTreeMap<String, Context>,
}

/// A node, and how it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Context {
    pub(super) node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<PathBuf>,
}

/// The path of the file.
pub(super) fn file() -> Option<PathBuf> {
    let configured = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let absolute = configured.filter(|folder| folder.is_absolute());
    let folder = absolute.or_else(|| Some(std::env::home_dir()?.join(".config")))?;
    Some(folder.join("cidery/contexts.toml"))
}

/// Checks the name of a context.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn name(text: &str) -> std::result::Result<String, String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match text.chars().all(is_part) && (1..=MAX_NAME).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "use letters, digits, `-`, `_` and `.`, at most {MAX_NAME}"
        )),
    }
}

impl Contexts {
    /// Reads the file. There are none where there is no file.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` for a file that cannot be read, that others may write, or that has anything
    /// unknown.
    pub(super) fn load() -> Result<Self> {
        let Some(file) = file() else {
            return Ok(Self::default());
        };
        let name = file.display();
        match read(&file) {
            Ok(None) => Ok(Self::default()),
            Ok(Some(text)) => {
                Self::parse(&text).map_err(|message| usage_error(format!("`{name}`: {message}")))
            }
            Err(error) => Err(usage_error(format!("cannot read `{name}`: {error}"))),
        }
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            // The first line says what is wrong, the others show the text.
            error.message().lines().collect::<Vec<_>>().join(", ")
        })?;
        let mut all = Self::default();
        for (key, value) in table {
            match (key.as_str(), value) {
                ("current", Value::String(current)) => all.current = Some(current),
                ("contexts", Value::Table(contexts)) => {
                    for (name, context) in contexts {
                        let context = Context::parse(&name, context)?;
                        all.contexts.insert(name, context);
                    }
                }
                ("current", _) => return Err("`current` is not a text".to_owned()),
                ("contexts", _) => return Err("`contexts` is not a table".to_owned()),
                _ => return Err(unknown_key(&key, &KEYS)),
            }
        }
        Ok(all)
    }

    /// A context by its name.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` with the nearest name.
    pub(super) fn find(&self, name: &str) -> Result<&Context> {
        self.contexts.get(name).ok_or_else(|| self.unknown(name))
    }

    /// The error of a context that is not there.
    pub(super) fn unknown(&self, name: &str) -> Error {
        let nearest = nearest_key(name, self.contexts.keys().map(String::as_str));
        let hint = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "`cidery context list` lists all".to_owned(),
        };
        usage_error(format!("there is no context `{name}`; {hint}"))
    }

    /// Replaces the file.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` with the error of the system.
    pub(super) fn save(&self) -> Result<()> {
        let file = file().ok_or_else(|| usage_error("there is no home directory"))?;
        let text = toml::to_string(self).map_err(|error| usage_error(error.to_string()))?;
        write(&file, &text)
            .map_err(|error| usage_error(format!("cannot write `{}`: {error}", file.display())))
    }
}

impl Context {
    fn parse(name: &str, value: Value) -> std::result::Result<Self, String> {
        let Value::Table(table) = value else {
            return Err(format!("`contexts.{name}` is not a table"));
        };
        let mut context = Self::default();
        for (key, value) in table {
            let Value::String(text) = value else {
                return Err(format!("`contexts.{name}.{key}` is not a text"));
            };
            let field = match key.as_str() {
                "node" => {
                    context.node = text;
                    continue;
                }
                "api_key_file" => &mut context.api_key_file,
                "ca" => &mut context.ca,
                "cert" => &mut context.cert,
                "key" => &mut context.key,
                _ => {
                    let unknown = unknown_key(&key, &CONTEXT_KEYS);
                    return Err(format!("`contexts.{name}`: {unknown}"));
                }
            };
            *field = Some(PathBuf::from(text));
        }
        if context.node.is_empty() {
            return Err(format!("`contexts.{name}` has no `node`"));
        }
        if context.cert.is_some() != context.key.is_some() {
            return Err(format!("`contexts.{name}`: `cert` and `key` go together"));
        }
        Ok(context)
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let hint = match nearest_key(key, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("the keys are `{}`", known.join("`, `")),
    };
    format!("unknown key `{key}`; {hint}")
}

/// The text of the file; `None` where there is none.
fn read(file: &Path) -> io::Result<Option<String>> {
    let opened = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    check_mode(&opened)?;
    let mut text = String::new();
    let read = opened.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64;
    match read > MAX_BYTES {
        true => Err(io::Error::other("it is larger than 1 MiB")),
        false => Ok(Some(text)),
    }
}

/// Refuses a file that others may write: they would choose where this user's API keys are sent.
#[cfg(unix)]
fn check_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata()?.permissions().mode();
    match mode & 0o022 {
        0 => Ok(()),
        _ => Err(io::Error::other(format!(
            "other users may write it (mode {:03o}); use `chmod 600`",
            mode & 0o777
        ))),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &File) -> io::Result<()> {
    Ok(())
}

/// Replaces the file at once: another command may read it.
fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = file.with_extension(format!("{}.new", std::process::id()));
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&new)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_read_as_they_are_written() {
        let prod = Context {
            node: "https://cidery.example:24337".to_owned(),
            ca: Some("/etc/ca.pem".into()),
            ..Context::default()
        };
        let contexts = Contexts {
            current: Some("prod".to_owned()),
            contexts: BTreeMap::from([("prod".to_owned(), prod)]),
        };
        let text = toml::to_string(&contexts).unwrap();
        assert_eq!(Contexts::parse(&text), Ok(contexts));
    }

    #[test]
    fn what_is_unknown_is_refused_with_the_nearest_name() {
        for (text, message) in [
            ("curent = 'a'", "did you mean `current`?"),
            (
                "[contexts.a]\nnode = 'x'\napi_key_fil = 'y'",
                "did you mean `api_key_file`?",
            ),
            ("[contexts.a]\nca = 'x'", "has no `node`"),
            (
                "[contexts.a]\nnode = 'x'\ncert = 'y'",
                "`cert` and `key` go together",
            ),
            ("[contexts]\na = 1", "is not a table"),
            ("current = 1", "is not a text"),
            ("[", "TOML"),
        ] {
            let error = Contexts::parse(text).unwrap_err();
            let is_syntax = message == "TOML" && !error.is_empty();
            assert!(error.contains(message) || is_syntax, "{text}: {error}");
        }
        let contexts = Contexts::parse("[contexts.prod]\nnode = 'x'").unwrap();
        let error = contexts.find("prd").unwrap_err();
        assert!(error.message().contains("did you mean `prod`?"), "{error}");
    }
}
