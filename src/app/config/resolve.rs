//! From values of all origins to the settings: the strongest origin of each option wins, and all problems are found.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::entry::{Entry, Origin, Raw};
use super::options::{Declared, Options};
use super::problem::Problem;
use super::secret::REDACTED;
use crate::edge::shown_url::shown_url;

/// The largest file with a secret.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// The settings, and what they were made of.
pub(super) struct Resolved<T> {
    pub(super) settings: T,
    /// The values that were given, by key; none of them is secret.
    pub(super) given: BTreeMap<String, Given>,
}

/// A value that is in force, as it may be shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) shown: Value,
    pub(super) origin: Origin,
}

/// A value that was read and checked.
struct Checked {
    value: Value,
    origin: Origin,
}

/// Makes settings of all entries, the weakest first. Each value is tried alone over the defaults: so the problems of
/// all of them are found, and those of values that a stronger one replaces as well.
///
/// # Errors
///
/// All problems.
pub(super) fn resolve<T: DeserializeOwned>(
    options: &Options,
    entries: Vec<Entry>,
) -> Result<Resolved<T>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut values: BTreeMap<&str, Checked> = BTreeMap::new();
    for entry in entries {
        if is_empty_table(&entry) && options.has_table(&entry.key) {
            continue;
        }
        let Some((declared, is_file)) = options.find_written(&entry.key) else {
            problems.push(unknown(options, entry));
            continue;
        };
        let origin = entry.origin;
        let problem = |code, message: String| {
            let problem = Problem::new(origin.clone(), code, message);
            problem.of_key(&entry.key)
        };
        let value = match read(declared, is_file, entry.value, &origin) {
            Ok(value) => value,
            Err(message) => {
                problems.push(problem("INVALID", message));
                continue;
            }
        };
        let faults = faults::<T>(&declared.key, &value);
        if !faults.is_empty() {
            let faults = faults.into_iter().map(|(key, message)| {
                let problem = Problem::new(origin.clone(), "INVALID", message);
                problem.of_key(&key)
            });
            problems.extend(faults);
            continue;
        }
        let before = values
            .get(&*declared.key)
            .map(|before| before.origin.rank());
        match before.cmp(&Some(origin.rank())) {
            std::cmp::Ordering::Less => {
                drop(values.insert(&declared.key, Checked { value, origin }))
            }
            std::cmp::Ordering::Equal => {
                problems.push(problem("DUPLICATE", "is given twice".to_owned()));
            }
            std::cmp::Ordering::Greater => {}
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let all = values
        .iter()
        .map(|(key, checked)| (*key, checked.value.clone()));
    let settings = serde_json::from_value(nested(all)).map_err(|error| {
        let message = format!("the options do not fit together: {error}");
        vec![Problem::new(Origin::Default, "INVALID", message)]
    })?;
    let given = values.into_iter().map(|(key, Checked { value, origin })| {
        let is_secret = options.find(key).is_none_or(|declared| declared.is_secret);
        let shown = match is_secret {
            true => REDACTED.into(),
            false => shown(value),
        };
        (key.to_owned(), Given { shown, origin })
    });
    let given = given.collect();
    Ok(Resolved { settings, given })
}

/// A value as it is shown: of a URL, without what may be a secret.
fn shown(value: Value) -> Value {
    match value {
        Value::String(text) => shown_url(&text).into(),
        other => other,
    }
}

/// What is wrong with a value that is read alone, with its key: of a list, with each of its items (`role.1`).
fn faults<T: DeserializeOwned>(key: &str, value: &Value) -> Vec<(String, String)> {
    let fault = |value: Value| {
        let read = serde_json::from_value::<T>(nested([(key, value)]));
        read.err().map(|error| error.to_string())
    };
    let Some(message) = fault(value.clone()) else {
        return Vec::new();
    };
    let items = value.as_array().into_iter().flatten().enumerate();
    let of_items = items.filter_map(|(index, item)| {
        let message = fault(Value::Array(vec![item.clone()]))?;
        Some((format!("{key}.{index}"), message))
    });
    match of_items.collect() {
        none if Vec::is_empty(&none) => vec![(key.to_owned(), message)],
        of_items => of_items,
    }
}

/// Whether it is a table of the file with nothing in it.
fn is_empty_table(entry: &Entry) -> bool {
    matches!(&entry.value, Raw::Typed(Value::Object(table)) if table.is_empty())
}

fn unknown(options: &Options, entry: Entry) -> Problem {
    let message = match options.find(&entry.key) {
        // A secret, in the file or on the command line.
        Some(_) => format!("is a secret: name a file with it in `{}_file`", entry.key),
        None => match options.nearest(&entry.key) {
            Some(nearest) => format!("is no option; did you mean `{nearest}`?"),
            None => "is no option: `cidery config show` lists them".to_owned(),
        },
    };
    Problem::new(entry.origin, "UNKNOWN_KEY", message).of_key(&entry.key)
}

/// Reads a value by the type of its option, and checks it.
fn read(declared: &Declared, is_file: bool, value: Raw, origin: &Origin) -> Result<Value, String> {
    if declared.is_secret {
        return match (value, origin) {
            (Raw::Text(path) | Raw::Typed(Value::String(path)), _) if is_file => {
                read_secret(&path).map(Value::from)
            }
            (Raw::Text(text), Origin::Variable(_) | Origin::Foreign(_)) => Ok(text.into()),
            _ => Err(format!(
                "is a secret: name a file with it in `{}`",
                declared.written_key()
            )),
        };
    }
    let value = match value {
        Raw::Typed(value) => value,
        Raw::Text(text) => declared.parse(&text)?,
        Raw::Texts(texts) => {
            let parsed = texts.iter().map(|text| declared.parse(text));
            let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
            let items = parsed.into_iter().map(|value| match value {
                Value::Array(items) => items,
                other => vec![other],
            });
            Value::Array(items.flatten().collect())
        }
    };
    declared.check(&value).map(|()| value)
}

/// Reads a secret from its file; a line end at its end is none of it.
fn read_secret(path: &str) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("`{path}` cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let mut file = file.take(MAX_SECRET_BYTES + 1);
    file.read_to_string(&mut text).map_err(unreadable)?;
    match text.trim_end_matches(['\r', '\n']) {
        _ if text.len() as u64 > MAX_SECRET_BYTES => Err(format!("`{path}` is larger than 64 KiB")),
        "" => Err(format!("`{path}` is empty")),
        text => Ok(text.to_owned()),
    }
}

/// The tables of keys with dots.
fn nested<'a>(values: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let mut root = Map::new();
    for (key, value) in values {
        match key.split_once('.') {
            None => drop(root.insert(key.to_owned(), value)),
            Some((table, key)) => {
                let table = root.entry(table).or_insert_with(|| Map::new().into());
                if let Value::Object(table) = table {
                    table.insert(key.to_owned(), value);
                }
            }
        }
    }
    Value::Object(root)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::app::config::environment::Environment;
    use crate::app::config::secret::Secret;

    const SECRET: &str = "swordfish";

    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(default)]
    struct Settings {
        /// A password.
        token: Option<Secret>,
        /// A name.
        name: String,
    }

    fn resolved(entries: Vec<Entry>) -> Result<Resolved<Settings>, Vec<Problem>> {
        resolve(&Options::of::<Settings>(), entries)
    }

    fn flag(key: &str, value: &str) -> Entry {
        Entry {
            key: key.to_owned(),
            value: Raw::Text(value.to_owned()),
            origin: Origin::Flag(format!("--{key}")),
        }
    }

    #[track_caller]
    fn assert_secret(resolved: &Resolved<Settings>) {
        let token = resolved.settings.token.as_ref().unwrap();
        assert_eq!(token.expose(), SECRET);
        let shown = format!("{:?} {:?}", resolved.settings, resolved.given);
        let json = serde_json::to_string(&resolved.settings).unwrap();
        assert!(!shown.contains(SECRET) && !json.contains(SECRET), "{shown}");
    }

    #[test]
    fn a_secret_is_read_from_its_file_or_from_the_environment() {
        let path = std::env::temp_dir().join(format!("cidery-secret-{}", std::process::id()));
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        let of_file = resolved(vec![flag("token_file", path.to_str().unwrap())]);
        std::fs::remove_file(&path).unwrap();
        assert_secret(&of_file.unwrap_or_else(|problems| panic!("{problems:?}")));
        let variables = [
            ("CIDERY_TOKEN", SECRET),
            ("CIDERY_NAME", "x"),
            ("HOME", "/"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::of(variables.into_iter());
        assert!(!format!("{environment:?}").contains(SECRET));
        let (entries, problems) = environment.read(&Options::of::<Settings>());
        assert!(problems.is_empty(), "{problems:?}");
        let resolved = resolved(entries).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_secret(&resolved);
        assert_eq!(resolved.settings.name, "x");
    }

    #[test]
    fn a_secret_in_the_file_or_on_the_command_line_is_refused_and_not_shown() {
        let in_file = Entry {
            key: "token".to_owned(),
            value: Raw::Typed(SECRET.into()),
            origin: Origin::File(std::sync::Arc::new("cidery.toml".into()), 1),
        };
        for entry in [
            flag("token", SECRET),
            in_file,
            flag("token_file", "/nowhere"),
        ] {
            let problems = resolved(vec![entry]).err().unwrap();
            assert_eq!(problems.len(), 1);
            assert!(!format!("{problems:?}").contains(SECRET), "{problems:?}");
            let message = &problems.first().unwrap().message;
            assert!(
                message.contains("token_file") || message.contains("/nowhere"),
                "{message}"
            );
        }
    }

    #[test]
    fn of_two_values_that_of_the_stronger_origin_counts() {
        let of = |value: &str, origin| Entry {
            key: "name".to_owned(),
            value: Raw::Text(value.to_owned()),
            origin,
        };
        let file = of("file", Origin::File(std::sync::Arc::new("f".into()), 1));
        let variable = of("variable", Origin::Variable("CIDERY_NAME".to_owned()));
        let both = resolved(vec![file.clone(), variable.clone()]).ok().unwrap();
        assert_eq!(both.settings.name, "variable");
        let all = vec![file, variable, flag("name", "flag")];
        assert_eq!(resolved(all).ok().unwrap().settings.name, "flag");
        let twice = resolved(vec![flag("name", "a"), flag("name", "b")]);
        assert_eq!(twice.err().unwrap().len(), 1);
    }
}
