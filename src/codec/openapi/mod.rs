//! An OpenAPI document (3.1) of services: the path of each, with the schemas of its declaration, and the paths that all
//! nodes have.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::codec::json;
use crate::dict;
use crate::model::error::Result;
use crate::model::sio::Sio;
use crate::model::value::{Dict, Value};

/// What all documents have.
const COMMON: &str = include_str!("common.json");
/// The options of a call, in the order in which they are shown.
const OPTIONS: [&str; 20] = [
    "async",
    "timeout",
    "on_deadline",
    "cid",
    "idempotency_key",
    "delay",
    "start_time",
    "expiration",
    "deadline",
    "retry_policy.max_attempts",
    "retry_policy.initial_interval",
    "retry_policy.multiplier",
    "retry_policy.max_interval",
    "retention",
    "concurrency_key",
    "on_exhausted",
    "callbacks",
    "failure_callbacks",
    "Idempotency-Key",
    "Prefer",
];
/// The failures of a call, by their status.
const FAILURES: [(&str, &str); 12] = [
    ("400", "Invalid"),
    ("401", "Unauthenticated"),
    ("403", "NotPermitted"),
    ("404", "NotFound"),
    ("406", "NotAcceptable"),
    ("409", "Conflict"),
    ("413", "TooLarge"),
    ("415", "UnsupportedMediaType"),
    ("429", "TooMany"),
    ("503", "Unavailable"),
    ("504", "Timeout"),
    ("default", "Problem"),
];

/// A service in a document.
#[derive(Clone, Copy, Debug)]
pub struct Documented<'a> {
    /// The name.
    pub name: &'a str,
    /// The description; may be empty.
    pub description: &'a str,
    /// The declaration.
    pub sio: &'a Sio,
}

/// What a document with a service in it has at least, in bytes: what is said of its path.
const MIN_SERVICE_BYTES: usize = 1_024;

/// The document of services, as JSON that ends with a line break.
///
/// The same services make the same text. `asks_who_calls`: whether a call needs a credential. `None` where it would
/// have more than `max_bytes`, and once it is no longer wanted. What is made of one service is written before the next
/// one: the memory that is needed is that of the text.
///
/// # Errors
///
/// `INTERNAL` where it cannot be written.
pub fn document<'a>(
    services: impl IntoIterator<Item = Documented<'a>>,
    asks_who_calls: bool,
    max_bytes: usize,
    is_wanted: impl Fn() -> bool,
) -> Result<Option<String>> {
    let mut services: Vec<_> = services.into_iter().collect();
    if services.len() > max_bytes / MIN_SERVICE_BYTES {
        return Ok(None);
    }
    services.sort_by_key(|service| service.name);
    let mut text = String::from("{");
    let common = common(&services, asks_who_calls)?;
    for (key, value) in common.iter() {
        separate(&mut text, 0);
        json::quoted(&mut text, key);
        text.push_str(": ");
        match value {
            Value::Dict(paths) if key == "paths" => {
                text.push('{');
                for service in &services {
                    let path = format!("/invoke/{}", service.name);
                    let item = dict! { "post": operation(service) };
                    entry_of(&mut text, &path, &item.into());
                    if text.len() > max_bytes || !is_wanted() {
                        return Ok(None);
                    }
                }
                for (path, item) in paths.iter() {
                    entry_of(&mut text, path, item);
                }
                text.push_str("\n  }");
            }
            value => json::indented(&mut text, value, 1),
        }
    }
    text.push_str("\n}\n");
    Ok((text.len() <= max_bytes).then_some(text))
}

/// Writes an entry of the paths.
fn entry_of(text: &mut String, path: &str, item: &Value) {
    separate(text, 1);
    json::quoted(text, path);
    text.push_str(": ");
    json::indented(text, item, 2);
}

/// Begins the line of an entry, in a dict at this level.
fn separate(text: &mut String, level: usize) {
    if !text.ends_with('{') {
        text.push(',');
    }
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", level + 1));
}

/// What a document has besides the paths of its services.
fn common(services: &[Documented<'_>], asks_who_calls: bool) -> Result<Dict> {
    let mut document = json::read(COMMON.as_bytes())?;
    if let Some(Value::Dict(info)) = entry(&mut document, "info") {
        info.insert("version", env!("CARGO_PKG_VERSION"));
    }
    if asks_who_calls && let Some(Value::List(security)) = entry(&mut document, "security") {
        // Any of them will do. Without authentication none is needed, which the document says.
        *security = ["bearer", "certificate"].map(credential).into();
    }
    if let Some(Value::List(tags)) = entry(&mut document, "tags") {
        // Names of tags are unique.
        let common: Vec<Value> = tags.iter().map(|tag| tag["name"].clone()).collect();
        let names: BTreeSet<_> = services.iter().map(|service| tag(service.name)).collect();
        let names = names
            .into_iter()
            .filter(|name| !common.contains(&Value::from(*name)));
        tags.extend(names.map(|name| dict! { "name": name }.into()));
    }
    match document {
        Value::Dict(document) => Ok(document),
        _ => Ok(Dict::new()),
    }
}

fn entry<'a>(document: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match document {
        Value::Dict(dict) => dict.get_mut(key),
        _ => None,
    }
}

/// Services with the same first word are shown together.
fn tag(service: &str) -> &str {
    service.split('.').next().unwrap_or(service)
}

fn operation(service: &Documented<'_>) -> Dict {
    let sio = service.sio;
    let mut operation = dict! {
        "operationId": format!("invoke.{}", service.name),
        "tags": vec![tag(service.name)],
        "summary": summary(service),
    };
    if !service.description.is_empty() {
        operation.insert("description", service.description);
    }
    let options = OPTIONS.iter().map(|name| reference("parameters", name));
    operation.insert("parameters", options.collect::<Vec<_>>());
    let input = schema(sio.input_schema());
    let mut content = dict! { "schema": input };
    if sio.input.is_some() {
        content.insert("example", sio.sample_input());
    }
    let text = || dict! { "schema": dict! { "type": "string" } };
    let body = dict! {
        "content": dict! {
            "application/json": content,
            "application/x-www-form-urlencoded": dict! { "schema": form(sio) },
            "text/csv": text(),
            "text/plain": text(),
        },
    };
    operation.insert("requestBody", body);
    operation.insert("responses", responses(sio));
    operation
}

/// The schema of an input as a form: its fields are texts, which are converted.
fn form(sio: &Sio) -> Dict {
    let mut form = dict! { "type": "object" };
    let Some(Value::Dict(mut input)) = sio.input_schema() else {
        return form;
    };
    if let Some(Value::Dict(properties)) = input.remove("properties") {
        let fields = properties.into_iter().map(|(name, schema)| {
            let text = dict! { "type": "string" };
            let field = match schema.as_dict().and_then(|schema| schema.get("type")) {
                // One field for each item.
                Some(kind) if *kind == "array".into() => dict! { "type": "array", "items": text },
                _ => text,
            };
            (name, Value::from(field))
        });
        form.insert("properties", fields.collect::<Dict>());
        if let Some(names) = input.remove("required") {
            form.insert("required", names);
        }
    }
    form
}

/// The first sentence of the description, or the name.
fn summary(service: &Documented<'_>) -> String {
    let line = service.description.lines().next().unwrap_or_default();
    let sentence = line.split_once(". ").map_or(line, |(first, _)| first);
    match sentence.trim_end_matches('.') {
        "" => service.name.to_owned(),
        sentence => sentence.to_owned(),
    }
}

fn responses(sio: &Sio) -> Dict {
    let text = || dict! { "schema": dict! { "type": "string" } };
    let content = dict! {
        "application/json": dict! { "schema": schema(sio.output_schema()) },
        "application/x-www-form-urlencoded": text(),
        "text/csv": text(),
        "text/plain": text(),
    };
    let succeeded = dict! {
        "description": "The response.",
        "headers": dict! {
            "cidery-cid": reference("headers", "Cid"),
            "cidery-already-accepted": reference("headers", "AlreadyAccepted"),
            "cidery-ignored": reference("headers", "Ignored"),
            "Preference-Applied": reference("headers", "PreferenceApplied"),
        },
        "content": content,
    };
    let mut responses = dict! {
        "200": succeeded,
        "202": reference("responses", "Accepted"),
    };
    for (status, name) in FAILURES {
        responses.insert(status, reference("responses", name));
    }
    responses
}

/// A schema within the document, whose dialect the document names. What is not declared is any value.
fn schema(schema: Option<Value>) -> Value {
    let mut schema = schema.unwrap_or_else(|| Dict::new().into());
    if let Value::Dict(schema) = &mut schema {
        schema.remove("$schema");
    }
    schema
}

/// A way to say who calls.
fn credential(name: &str) -> Value {
    Dict::from_iter([(name, Value::List(Vec::new()))]).into()
}

fn reference(kind: &str, name: &str) -> Value {
    dict! { "$ref": format!("#/components/{kind}/{name}") }.into()
}
