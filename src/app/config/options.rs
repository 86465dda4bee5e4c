//! What the fields of the settings declare, as options: read from the JSON Schema of their structs.

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::nearest::nearest_key;
use super::settings::Config;
use crate::codec::units::{bytes, bytes_text, duration};

/// The table of limits, which `--limit NAME=VALUE` sets.
pub(super) const LIMITS: &str = "limits.";
/// Limits with a flag of their own.
const LIMITS_WITH_FLAG: [&str; 3] = ["ping_interval", "worker_lease", "away_wait"];

/// How a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Count,
    /// A number that may have decimals.
    Number,
    Duration,
    Size,
    Text,
    Texts,
    /// One of these texts.
    OneOf(Vec<String>),
}

/// One option.
#[derive(Clone, Debug)]
pub(in crate::app) struct Declared {
    /// The key in the file, such as `limits.pending`.
    pub(in crate::app) key: String,
    /// What it is, in paragraphs.
    pub(super) text: String,
    pub(super) kind: Kind,
    /// The default; null where it has none.
    pub(super) default: Value,
    /// The name of its flag, without dashes; `None` where only `--limit` sets it.
    pub(super) flag: Option<String>,
    /// What the help shows in place of its value.
    pub(super) placeholder: String,
    /// Its value is never shown, see [`Secret`](super::secret::Secret).
    pub(in crate::app) is_secret: bool,
    /// Its texts contain commas: only line feeds separate them.
    is_whole: bool,
    /// A reload changes it.
    pub(in crate::app) reloads: bool,
    minimum: Option<Value>,
    maximum: Option<Value>,
}

/// All options of a configuration.
#[derive(Debug)]
pub(in crate::app) struct Options(Vec<Declared>);

impl Options {
    /// The options of a node.
    pub(in crate::app) fn of_node() -> &'static Self {
        static OPTIONS: LazyLock<Options> = LazyLock::new(Options::of::<Config>);
        &OPTIONS
    }

    /// The options that a struct declares.
    pub(super) fn of<T: JsonSchema + Serialize + Default>() -> Self {
        let defaults = serde_json::to_value(T::default()).unwrap_or_default();
        let mut all = Vec::new();
        collect(&schema_of::<T>(), &defaults, "", &mut all);
        Self(all)
    }

    pub(in crate::app) fn iter(&self) -> impl Iterator<Item = &Declared> {
        self.0.iter()
    }

    pub(in crate::app) fn find(&self, key: &str) -> Option<&Declared> {
        self.0.iter().find(|declared| declared.key == key)
    }

    /// The option whose value, or whose file with it, is written under a key of the file or in a variable of this name;
    /// and whether it is the file.
    pub(super) fn find_written(&self, key: &str) -> Option<(&Declared, bool)> {
        let of_file = key.strip_suffix("_file").and_then(|key| self.find(key));
        match of_file.filter(|declared| declared.is_secret) {
            Some(secret) => Some((secret, true)),
            None => self.find(key).map(|declared| (declared, false)),
        }
    }

    /// Whether options are in a table of this name.
    pub(super) fn has_table(&self, name: &str) -> bool {
        let table = |declared: &Declared| {
            let (table, _) = declared.key.rsplit_once('.')?;
            Some(table == name)
        };
        self.0.iter().any(|declared| table(declared) == Some(true))
    }

    /// The key that an unknown one probably stands for.
    pub(super) fn nearest(&self, key: &str) -> Option<String> {
        let written: Vec<String> = self.0.iter().map(Declared::written_key).collect();
        nearest_key(key, written.iter().map(String::as_str)).map(str::to_owned)
    }
}

impl Declared {
    /// The key under which it is written in the file.
    pub(super) fn written_key(&self) -> String {
        match self.is_secret {
            true => format!("{}_file", self.key),
            false => self.key.clone(),
        }
    }

    /// The environment variable: `CIDERY_LIMITS__PENDING`.
    pub(in crate::app) fn variable(&self) -> String {
        format!("CIDERY_{}", self.key.replace('.', "__").to_uppercase())
    }

    /// Reads a text of the environment or of a flag.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        match self.kind {
            Kind::Bool => match text {
                "true" | "1" => Ok(true.into()),
                "false" | "0" => Ok(false.into()),
                _ => Err("use `true` or `false`".to_owned()),
            },
            Kind::Count => {
                let number = text.replace('_', "").parse::<u64>();
                number
                    .map(Value::from)
                    .map_err(|_| "use a whole number".to_owned())
            }
            Kind::Number => {
                let number = text.parse::<f64>();
                let number = number.ok().filter(|number| number.is_finite());
                number
                    .map(Value::from)
                    .ok_or_else(|| "use a number such as `1.5`".to_owned())
            }
            Kind::Texts => {
                let between = if self.is_whole { '\n' } else { ',' };
                let texts = text.split(between).map(str::trim);
                Ok(texts.filter(|text| !text.is_empty()).collect())
            }
            Kind::Duration | Kind::Size | Kind::Text | Kind::OneOf(_) => Ok(text.into()),
        }
    }

    /// Checks the type and the range of a value.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        match (&self.kind, value) {
            (Kind::Bool, Value::Bool(_)) | (Kind::Text, Value::String(_)) => Ok(()),
            (Kind::Count, Value::Number(number)) => match number.as_u64() {
                Some(number) => self.in_range(&number, Value::as_u64, |limit| limit.to_string()),
                None => Err(format!("must be a whole number, not {number}")),
            },
            (Kind::Number, Value::Number(number)) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                self.in_range(&number, Value::as_f64, Value::to_string)
            }
            (Kind::Duration, Value::String(text)) => {
                let read = |limit: &Value| duration(limit.as_str()?).ok();
                let limit_text = |limit: &Value| limit.as_str().unwrap_or_default().to_owned();
                self.in_range(&duration(text)?, read, limit_text)
            }
            (Kind::Size, Value::String(_) | Value::Number(_)) => {
                let size = match value {
                    Value::String(text) => bytes(text)?,
                    other => other.as_u64().ok_or("must be a size such as `16MiB`")?,
                };
                let limit_text = |limit: &Value| bytes_text(limit.as_u64().unwrap_or_default());
                self.in_range(&size, Value::as_u64, limit_text)
            }
            (Kind::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => Ok(()),
            (Kind::OneOf(texts), Value::String(text)) => match texts.contains(text) {
                true => Ok(()),
                false => Err(format!("must be one of {}", quoted(texts))),
            },
            (_, other) => Err(format!("must be {}, not {}", self.what(), type_of(other))),
        }
    }

    fn in_range<T: PartialOrd>(
        &self,
        value: &T,
        read: impl Fn(&Value) -> Option<T>,
        text: impl Fn(&Value) -> String,
    ) -> Result<(), String> {
        let limit = |limit: &Option<Value>| limit.as_ref().and_then(&read);
        let is_above = limit(&self.minimum).is_none_or(|minimum| *value >= minimum);
        let is_below = limit(&self.maximum).is_none_or(|maximum| *value <= maximum);
        if is_above && is_below {
            return Ok(());
        }
        Err(match (&self.minimum, &self.maximum) {
            (Some(minimum), Some(maximum)) => {
                format!("must be from {} to {}", text(minimum), text(maximum))
            }
            (Some(minimum), None) => format!("must be at least {}", text(minimum)),
            (None, Some(maximum)) => format!("must be at most {}", text(maximum)),
            (None, None) => return Ok(()),
        })
    }

    /// What its value is, in words.
    fn what(&self) -> String {
        match &self.kind {
            Kind::Bool => "`true` or `false`".to_owned(),
            Kind::Count => "a whole number".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::Duration => "a text with a duration, such as \"30s\"".to_owned(),
            Kind::Size => "a text with a size, such as \"16MiB\"".to_owned(),
            Kind::Text => "a text".to_owned(),
            Kind::Texts => "a list of texts".to_owned(),
            Kind::OneOf(texts) => format!("one of {}", quoted(texts)),
        }
    }
}

/// A value of an option as text.
pub(in crate::app) fn value_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items = items.iter().map(|item| item.as_str().unwrap_or_default());
            items.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

fn quoted(texts: &[String]) -> String {
    let texts = texts.iter().map(|text| format!("`{text}`"));
    texts.collect::<Vec<_>>().join(", ")
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table or a date",
    }
}

/// The schema of a file of configuration: JSON Schema, draft 2020-12.
pub(in crate::app) fn schema() -> Value {
    let mut schema = schema_of::<Config>();
    close(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), "cidery.toml".into());
    }
    schema
}

/// Finishes the schema of a table: no other keys, texts without line ends, and files in place of secrets.
fn close(table: &mut Value) {
    let Some(table) = table.as_object_mut() else {
        return;
    };
    if let Some(text) = table.get_mut("description") {
        *text = paragraphs(text.as_str().unwrap_or_default()).into();
    }
    let Some(Value::Object(properties)) = table.remove("properties") else {
        return;
    };
    let mut closed = Map::new();
    for (key, mut property) in properties {
        close(&mut property);
        match is_secret(&property) {
            true => {
                let text = property.get("description").cloned().unwrap_or_default();
                let text = format!("File with: {}", text.as_str().unwrap_or_default());
                let file = json!({ "type": "string", "description": text });
                closed.insert(format!("{key}_file"), file);
            }
            false => drop(closed.insert(key, property)),
        }
    }
    table.insert("additionalProperties".to_owned(), false.into());
    table.insert("properties".to_owned(), closed.into());
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().into()
}

fn is_secret(property: &Value) -> bool {
    property.get("writeOnly").is_some_and(|it| *it == true)
}

/// Adds the options of a table to `all`.
fn collect(table: &Value, defaults: &Value, prefix: &str, all: &mut Vec<Declared>) {
    let properties = table.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let key = format!("{prefix}{name}");
        let default = defaults.get(name).cloned().unwrap_or_default();
        match property.get("properties") {
            Some(_) => collect(property, &default, &format!("{key}."), all),
            None => all.push(declared(key, property, default)),
        }
    }
}

fn declared(key: String, property: &Value, default: Value) -> Declared {
    let text_of = |name: &str| property.get(name).and_then(Value::as_str);
    let limit = |name: &str| {
        let other = format!("x-{name}");
        property.get(name).or_else(|| property.get(&other)).cloned()
    };
    let kind = kind(property);
    let placeholder = text_of("x-placeholder").unwrap_or_else(|| match kind {
        Kind::Bool => "BOOL",
        Kind::Count | Kind::Number => "NUMBER",
        Kind::Duration => "DURATION",
        Kind::Size => "SIZE",
        Kind::Text | Kind::Texts | Kind::OneOf(_) => {
            key.rsplit(['.', '_']).next().unwrap_or("TEXT")
        }
    });
    let is_secret = is_secret(property);
    Declared {
        flag: flag(&key, is_secret),
        text: without_default(
            &paragraphs(text_of("description").unwrap_or_default()),
            &default,
        ),
        placeholder: placeholder.to_uppercase(),
        is_secret,
        is_whole: property.get("x-whole").is_some_and(|it| *it == true),
        reloads: property.get("x-reload").is_some_and(|it| *it == true),
        minimum: limit("minimum"),
        maximum: limit("maximum"),
        key,
        kind,
        default,
    }
}

/// `--data-dir` of `data_dir`, `--ping-interval` of `limits.ping_interval`, `--api-key-file` of a secret `api_key`.
fn flag(key: &str, is_secret: bool) -> Option<String> {
    let name = match key.strip_prefix(LIMITS) {
        Some(limit) => LIMITS_WITH_FLAG.contains(&limit).then_some(limit)?,
        None => key,
    };
    let name = name.replace(['_', '.'], "-");
    Some(match is_secret {
        true => format!("{name}-file"),
        false => name,
    })
}

fn kind(property: &Value) -> Kind {
    let has_type = |name: &str| match property.get("type") {
        Some(Value::Array(types)) => types.iter().any(|it| it == name),
        Some(one) => one == name,
        None => false,
    };
    let choices = property.get("oneOf").and_then(Value::as_array);
    let choices = choices
        .into_iter()
        .flatten()
        .filter_map(|it| it.get("const"));
    let choices = choices.chain(
        property
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten(),
    );
    let choices: Vec<String> = choices
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    match property.get("x-unit").and_then(Value::as_str) {
        Some("duration") => Kind::Duration,
        Some("size") => Kind::Size,
        _ if !choices.is_empty() => Kind::OneOf(choices),
        _ if has_type("boolean") => Kind::Bool,
        _ if has_type("integer") => Kind::Count,
        _ if has_type("number") => Kind::Number,
        _ if has_type("array") => Kind::Texts,
        _ => Kind::Text,
    }
}

/// A doc comment without the line ends within its paragraphs.
fn paragraphs(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// A text without its last sentence `Default: …`, where the default is known otherwise.
fn without_default(text: &str, default: &Value) -> String {
    match text.rsplit_once(" Default: ") {
        Some((before, _)) if !default.is_null() => before.to_owned(),
        _ => text.to_owned(),
    }
}
