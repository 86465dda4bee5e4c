//! The sources of the configuration, and what they say together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::entry::{Origin, Raw};
use super::environment::Environment;
use super::file;
use super::flags::ConfigArgs;
use super::options::{Declared, Options};
use super::problem::{Problem, error_of};
use super::resolve::{Given, Resolved, resolve};
use super::settings::Config;
use super::together;
use crate::model::error::Error;

/// The file that is read where none is named, if it exists.
const DEFAULT_FILE: &str = "cidery.toml";

/// Where the configuration comes from: the file, the environment, the flags.
#[derive(Clone, Debug)]
pub(in crate::app) struct Sources {
    environment: Environment,
    flags: ConfigArgs,
}

/// A configuration without problems.
#[derive(Clone, Debug)]
pub(in crate::app) struct Loaded {
    pub(in crate::app) config: Config,
    /// The file that was read.
    pub(in crate::app) file: Option<PathBuf>,
    pub(super) given: BTreeMap<String, Given>,
}

/// An option as it is in force.
#[derive(Debug)]
pub(in crate::app) struct Effective {
    pub(in crate::app) declared: &'static Declared,
    /// Its value, redacted where it is secret.
    pub(in crate::app) value: Value,
    pub(in crate::app) origin: Origin,
}

impl Sources {
    /// The environment of this process, and what its command line says.
    pub(in crate::app) fn of_process(flags: ConfigArgs) -> Self {
        Self {
            environment: Environment::of(std::env::vars_os()),
            flags,
        }
    }

    /// The file that is read: the named one, or [`DEFAULT_FILE`] if it exists.
    fn file(&self) -> Option<PathBuf> {
        let named = self.flags.file.clone();
        let named = named.or_else(|| self.environment.file().map(PathBuf::from));
        named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
    }

    /// Reads the configuration. The file is read again each time.
    ///
    /// # Errors
    ///
    /// All problems.
    pub(in crate::app) fn read(&self) -> Result<Loaded, Vec<Problem>> {
        let options = Options::of_node();
        let file = self.file();
        let (mut entries, mut problems) = file.as_deref().map(file::read).unwrap_or_default();
        let (variables, unknown) = self.environment.read(options);
        entries.extend(variables);
        entries.extend(self.flags.entries.iter().cloned());
        problems.extend(unknown);
        let Resolved {
            settings,
            mut given,
        } = match resolve::<Config>(options, entries) {
            Ok(resolved) if problems.is_empty() => resolved,
            Ok(_) => return Err(problems),
            Err(others) => {
                problems.extend(others);
                problems.sort_by_key(|problem| (problem.origin.rank(), problem.origin.line()));
                return Err(problems);
            }
        };
        let mut config = settings;
        exclude(&mut config, &mut given)?;
        let problems = together::problems(&config, &given);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Loaded {
            config,
            file,
            given,
        })
    }

    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CONFIG_INVALID`, or `USAGE_INVALID` where only options of the command are wrong, with all
    /// problems.
    pub(in crate::app) fn load(&self) -> Result<Loaded, Error> {
        self.read().map_err(|problems| error_of(&problems))
    }

    /// Whether the log is JSON, as far as that can be told of a configuration with problems: then they are, too.
    pub(in crate::app) fn has_json_log(&self) -> bool {
        let file = self.file();
        let (mut entries, _) = file.as_deref().map(file::read).unwrap_or_default();
        entries.extend(self.environment.read(Options::of_node()).0);
        entries.extend(self.flags.entries.iter().cloned());
        let format = entries.iter().rfind(|entry| entry.key == "log_format");
        format.is_some_and(|entry| match &entry.value {
            Raw::Text(text) | Raw::Typed(Value::String(text)) => text == "json",
            Raw::Texts(_) | Raw::Typed(_) => false,
        })
    }

    /// The variables `CIDERY_…` that nothing known reads.
    pub(in crate::app) fn unknown_variables(&self) -> Vec<String> {
        self.environment.unknown(Options::of_node())
    }
}

/// A node keeps invocations in memory or in a directory: the stronger of both origins counts.
fn exclude(config: &mut Config, given: &mut BTreeMap<String, Given>) -> Result<(), Vec<Problem>> {
    let (memory, directory) = ("in_memory", "data_dir");
    if !config.store.in_memory {
        return Ok(());
    }
    let origin = |key: &str| given.get(key).map(|given| given.origin.clone());
    let (Some(in_memory), Some(data_dir)) = (origin(memory), origin(directory)) else {
        return Ok(());
    };
    match in_memory.rank().cmp(&data_dir.rank()) {
        std::cmp::Ordering::Less => {
            given.remove(memory);
            config.store.in_memory = false;
        }
        std::cmp::Ordering::Greater => drop(given.remove(directory)),
        std::cmp::Ordering::Equal => {
            let message = format!("excludes `{directory}` ({data_dir})");
            return Err(vec![
                Problem::new(in_memory, "CONFLICT", message).of_key(memory),
            ]);
        }
    }
    Ok(())
}

impl Loaded {
    /// All options as they are in force.
    pub(in crate::app) fn effective(&self) -> impl Iterator<Item = Effective> {
        Options::of_node().iter().map(|declared| {
            let given = self.given.get(&declared.key);
            let value = given.map_or(&declared.default, |given| &given.shown);
            Effective {
                value: value.clone(),
                origin: given.map_or(Origin::Default, |given| given.origin.clone()),
                declared,
            }
        })
    }

    /// The file that was read, as text.
    pub(in crate::app) fn file_text(&self) -> Option<String> {
        self.file
            .as_deref()
            .map(Path::display)
            .map(|path| path.to_string())
    }
}
