//! The environment variables `CIDERY_…`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::entry::{Entry, Origin, Raw};
use super::nearest::is_misspelled;
use super::options::Options;
use super::otel_variables;
use super::problem::Problem;
use super::secret::Secret;

const PREFIX: &str = "CIDERY_";
/// The variable that names the file.
pub(super) const FILE: &str = "CONFIG";
/// Variables of clients and workers. A node does not read them, and they are often set beside it.
const OF_CLIENTS: [&str; 10] = [
    "NODE",
    "CONTEXT",
    "API_KEY",
    "API_KEY_FILE",
    "CA",
    "CERT",
    "KEY",
    "TLS_CA",
    "TLS_SERVER_NAME",
    "TOKEN",
];

/// The variables of this process that begin with `CIDERY_`, by the rest of their names, and those of OpenTelemetry. Any
/// of them may be a secret, those included that are of no option.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Environment {
    variables: BTreeMap<String, Secret>,
    of_otel: BTreeMap<String, Secret>,
    not_utf8: Vec<String>,
}

impl Environment {
    /// Those of `variables` that are known by their names. An empty one counts as not set.
    pub(super) fn of(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let Some(name) = name.to_str() else {
                continue;
            };
            if otel_variables::is_one(name) {
                let value = value.into_string().ok().filter(|value| !value.is_empty());
                let value = value.map(|value| (name.to_owned(), Secret::new(value)));
                environment.of_otel.extend(value);
                continue;
            }
            let Some(name) = name.strip_prefix(PREFIX) else {
                continue;
            };
            match value.into_string() {
                Ok(value) if value.is_empty() => {}
                Ok(value) => {
                    let value = Secret::new(value);
                    environment.variables.insert(name.to_owned(), value);
                }
                Err(_) => environment.not_utf8.push(name.to_owned()),
            }
        }
        environment
    }

    /// The path of the file that it names.
    pub(super) fn file(&self) -> Option<&str> {
        self.variables.get(FILE).map(Secret::expose)
    }

    /// The values of options, and what is wrong with names.
    pub(super) fn read(&self, options: &Options) -> (Vec<Entry>, Vec<Problem>) {
        let mut entries = otel_variables::read(|name| self.of_otel.get(name).map(Secret::expose));
        entries.retain(|entry| options.find_written(&entry.key).is_some());
        let mut problems = Vec::new();
        for (name, value) in &self.variables {
            let origin = Origin::Variable(format!("{PREFIX}{name}"));
            let key = name.to_lowercase().replace("__", ".");
            let is_upper = !name.contains(|c: char| c.is_ascii_lowercase());
            if options.find_written(&key).is_some() && is_upper {
                entries.push(Entry {
                    key,
                    value: Raw::Text(value.expose().to_owned()),
                    origin,
                });
            } else if self.looks_like_option(name, options) {
                let nearest = options.nearest(&key).and_then(|key| options.find(&key));
                let hint = nearest.map(|it| format!("; did you mean `{}`?", it.variable()));
                let message = format!("is no option{}", hint.unwrap_or_default());
                problems.push(Problem::new(origin, "UNKNOWN_KEY", message));
            }
        }
        for name in &self.not_utf8 {
            let origin = Origin::Variable(format!("{PREFIX}{name}"));
            let is_option = options
                .find(&name.to_lowercase().replace("__", "."))
                .is_some();
            if is_option {
                problems.push(Problem::new(origin, "NOT_UTF8", "is not UTF-8"));
            }
        }
        (entries, problems)
    }

    /// The variables that are read by nobody known, and may be meant for something else.
    pub(super) fn unknown(&self, options: &Options) -> Vec<String> {
        let is_unknown = |name: &&String| {
            let is_option = options.find_written(&name.to_lowercase().replace("__", "."));
            is_option.is_none()
                && !is_known(name)
                && !is_of_kubernetes(name)
                && !self.looks_like_option(name, options)
        };
        let unknown = self.variables.keys().filter(is_unknown);
        unknown.map(|name| format!("{PREFIX}{name}")).collect()
    }

    /// Whether an unknown variable is meant as an option: it names a table, or one with a typing error. To ignore it
    /// would run the node with a default that nobody chose.
    #[expect(clippy::unused_self, reason = "it is about its variables")]
    fn looks_like_option(&self, name: &str, options: &Options) -> bool {
        if is_known(name) || is_of_kubernetes(name) {
            return false;
        }
        let mut names = options.iter().map(|declared| declared.variable());
        name.contains("__")
            || names.any(|known| {
                let known = known.strip_prefix(PREFIX).unwrap_or_default();
                is_misspelled(&name.to_uppercase(), known)
            })
    }
}

/// Whether a variable, without `CIDERY_`, is one of clients and workers, or names the file.
fn is_known(name: &str) -> bool {
    name == FILE || OF_CLIENTS.contains(&name)
}

/// Whether a variable, without `CIDERY_`, is known here: of an option, or of clients and workers.
#[cfg(test)]
pub(in crate::app) fn is_known_variable(name: &str) -> bool {
    let key = name.to_lowercase().replace("__", ".");
    is_known(name) || Options::of_node().find_written(&key).is_some()
}

/// Whether Kubernetes sets the variable in all pods beside a service that is called `cidery`.
fn is_of_kubernetes(name: &str) -> bool {
    matches!(name, "PORT" | "SERVICE_HOST" | "SERVICE_PORT")
        || name.starts_with("PORT_")
        || name.starts_with("SERVICE_PORT_")
}
