//! Declarations from Rust types: elements are derived from the JSON Schema that `schemars` generates for a type.
//!
//! | Rust | element |
//! |---|---|
//! | `String`, `char`, `&str` | `Text` |
//! | `i8` to `u128`, `usize` | `Int`, in the range of the type |
//! | `f32`, `f64` | `Float` |
//! | `bool` | `Bool` |
//! | `rust_decimal::Decimal` | `Decimal` |
//! | `jiff::civil::Date` | `Date` |
//! | `jiff::Timestamp` | `DateTime` |
//! | `uuid::Uuid` | `Uuid` |
//! | an enum without content | `Text`, with the names of its variants |
//! | a struct; a `Vec` of structs | `Dict`; `DictList` |
//! | another `Vec`, an array, a set | `List` |
//! | a map | `Dict` without elements |
//! | anything else | `AsIs` |
//!
//! An input or an output that is itself a number, a text, a bool, a list of these, or an `Option` of them, is declared
//! as one element, [`VALUE`], which is also its field in the typed method.
//!
//! `Option` and `#[serde(default)]` make an element optional, `rename` names it, a doc comment describes it,
//! `deny_unknown_fields` refuses unknown keys, `flatten` of a map keeps them. Further constraints of serde are checked
//! when the handler's argument is extracted, and reported as violations too.
//!
//! Where a type does not imply its element, a marker type of this module declares it: `#[schemars(with =
//! "cidery::sio::rust::Secret")]`, `#[schemars(with = "Option<rust::Date>")]`; a field number by
//! `#[schemars(extend("x-cidery-number" = 7))]`. (`schemars` supports `jiff` 0.2 with its feature `jiff02`, and `jiff`
//! 1 not yet.)

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::element::{Element, Type};
use super::{Elements, Shape, UnknownKeys};
use crate::model::value::{Dict, Value, to_value};

/// The name of the element that declares a value which is not a dict.
pub const VALUE: &str = "value";

/// The elements of `T` as an input; `None` where it takes any value: a map, a tuple, an enum with content, or an
/// optional struct.
#[must_use]
pub fn input_of<T: JsonSchema>() -> Option<Elements> {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    elements_of::<T>(settings.into_generator())
}

/// The elements of `T` as an output; `None` where it takes any value, as for [`input_of`].
#[must_use]
pub fn output_of<T: JsonSchema>() -> Option<Elements> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    elements_of::<T>(settings.into_generator())
}

macro_rules! markers {
    ($($(#[$doc:meta])* $name:ident => $schema:tt;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )*
    };
}

markers! {
    /// Marks a text as a `Secret`.
    Secret => { "type": "string", "x-cidery-type": "Secret" };
    /// Marks a `Csv`: a `Vec<String>` as an input, a `String` as an output.
    Csv => { "type": "string", "x-cidery-type": "Csv" };
    /// Marks a type that serde reads and writes as bytes, such as `bytes::Bytes`.
    Bytes => { "type": "string", "contentEncoding": "base64" };
    /// Marks a type that serde reads and writes as the text of a decimal.
    Decimal => { "type": "string", "format": "decimal" };
    /// Marks a type that serde reads and writes as `2026-01-31`, such as `jiff::civil::Date`.
    Date => { "type": "string", "format": "date" };
    /// Marks a type that serde reads and writes as an instant (RFC 3339), such as `jiff::Timestamp`.
    DateTime => { "type": "string", "format": "date-time" };
    /// Marks a type that serde reads and writes as a UUID.
    Uuid => { "type": "string", "format": "uuid" };
}

fn elements_of<T: JsonSchema>(generator: SchemaGenerator) -> Option<Elements> {
    let schema = to_value(&generator.into_root_schema_for::<T>()).ok()?;
    let reader = SchemaReader {
        definitions: schema["$defs"].as_dict(),
        path: Vec::new(),
    };
    reader.root(&schema)
}

/// A reader of schemas in the form that `schemars` writes.
#[derive(Clone)]
struct SchemaReader<'a> {
    definitions: Option<&'a Dict>,
    /// The definitions on the path to the current schema, to stop at recursive types.
    path: Vec<&'a str>,
}

impl<'a> SchemaReader<'a> {
    fn root(&self, schema: &'a Value) -> Option<Elements> {
        if schema["type"].as_text() == Some("null") {
            return Some(Elements::default());
        }
        let is_optional = is_nullable(schema);
        let (kind, unknown_keys) = self.kind(schema);
        let (elements, shape) = match kind {
            Type::Dict(elements) if !is_optional => (elements?, Shape::Dict),
            Type::DictList(elements) if !is_optional => (elements?, Shape::List),
            Type::Dict(_) | Type::DictList(_) | Type::AsIs | Type::List(None) => return None,
            _ => (vec![self.element(VALUE, schema, is_optional)], Shape::Value),
        };
        Some(Elements {
            elements,
            shape,
            unknown_keys,
        })
    }

    fn element(&self, name: &str, schema: &'a Value, optional: bool) -> Element {
        let (kind, unknown_keys) = self.kind(schema);
        let description = self.description(schema);
        let mut element = Element {
            optional,
            unknown_keys,
            description: description.unwrap_or_default().replace('\n', " "),
            number: schema["x-cidery-number"]
                .as_int()
                .and_then(|n| n.try_into().ok()),
            // The name is that of serde: a leading hyphen does not mean optional here.
            name: name.to_owned(),
            ..Element::from(kind)
        };
        match &element.kind {
            Type::Text => element.one_of = self.one_of(schema).unwrap_or_default(),
            Type::Int => (element.minimum, element.maximum) = self.bounds(schema),
            _ => {}
        }
        if optional && !schema["default"].is_null() {
            element.default = Some(schema["default"].clone());
        }
        element
    }

    /// The schema behind a reference, or the only alternative that is not null.
    fn resolved(&self, schema: &'a Value) -> Option<(&'a Value, Self)> {
        if let Some(name) = schema["$ref"]
            .as_text()
            .and_then(|r| r.strip_prefix("#/$defs/"))
        {
            if self.path.contains(&name) {
                return None;
            }
            let mut reader = self.clone();
            reader.path.push(name);
            return Some((self.definitions?.get(name)?, reader));
        }
        let alternatives = schema["anyOf"].as_list()?;
        let mut resolved = alternatives
            .iter()
            .filter(|one| one["type"].as_text() != Some("null"));
        match (resolved.next(), resolved.next()) {
            (Some(one), None) => Some((one, self.clone())),
            _ => None,
        }
    }

    fn description(&self, schema: &'a Value) -> Option<String> {
        if let Some(text) = schema["description"].as_text() {
            return Some(text.to_owned());
        }
        let (inner, reader) = self.resolved(schema)?;
        reader.description(inner)
    }

    fn kind(&self, schema: &'a Value) -> (Type, Option<UnknownKeys>) {
        let plain = |kind| (kind, None);
        if let Some(kind) = schema["x-cidery-type"].as_text().and_then(plain_type) {
            return plain(kind);
        }
        if let Some((inner, reader)) = self.resolved(schema) {
            return reader.kind(inner);
        }
        if self.one_of(schema).is_some() {
            return plain(Type::Text);
        }
        match type_name(schema) {
            Some("string") => plain(text(schema)),
            Some("integer") => plain(Type::Int),
            Some("number") => plain(Type::Float),
            Some("boolean") => plain(Type::Bool),
            Some("array") => plain(self.list(schema)),
            Some("object") => self.dict(schema),
            _ => plain(Type::AsIs),
        }
    }

    fn list(&self, schema: &'a Value) -> Type {
        let Some(items) = schema.as_dict().and_then(|schema| schema.get("items")) else {
            return Type::List(None);
        };
        match self.element("", items, false) {
            Element {
                kind: Type::Dict(Some(elements)),
                unknown_keys: None,
                ..
            } => Type::DictList(Some(elements)),
            Element {
                kind: Type::AsIs, ..
            } => Type::List(None),
            item => Type::List(Some(Box::new(item))),
        }
    }

    fn dict(&self, schema: &'a Value) -> (Type, Option<UnknownKeys>) {
        let alternatives = ["oneOf", "anyOf", "allOf"];
        if alternatives.iter().any(|key| !schema[*key].is_null()) {
            return (Type::AsIs, None);
        }
        let further = schema.as_dict().and_then(|schema| {
            let keys = ["additionalProperties", "unevaluatedProperties"];
            keys.iter().find_map(|key| schema.get(key))
        });
        let unknown_keys = further.map(|further| match further {
            Value::Bool(false) => UnknownKeys::Refuse,
            _ => UnknownKeys::Keep,
        });
        let properties = match (schema["properties"].as_dict(), unknown_keys) {
            (None, Some(UnknownKeys::Keep)) => return (Type::Dict(None), None),
            (properties, _) => properties,
        };
        let required = schema["required"].as_list().unwrap_or_default();
        let elements = properties
            .into_iter()
            .flat_map(Dict::iter)
            .map(|(name, schema)| {
                let is_required = required.iter().any(|key| key.as_text() == Some(name));
                // A required nullable output is optional: null counts as absent.
                let optional = !is_required || is_nullable(schema);
                self.element(name, schema, optional)
            });
        (Type::Dict(Some(elements.collect())), unknown_keys)
    }

    /// The allowed texts, where the schema lists them.
    fn one_of(&self, schema: &'a Value) -> Option<Vec<String>> {
        let texts = |values: &[Value]| -> Option<Vec<String>> {
            // `null` comes from an `Option`.
            let values = values.iter().filter(|value| !value.is_null());
            values
                .map(|value| value.as_text().map(str::to_owned))
                .collect()
        };
        if let Some((inner, reader)) = self.resolved(schema) {
            return reader.one_of(inner);
        }
        if let Some(text) = schema["const"].as_text() {
            return Some(vec![text.to_owned()]);
        }
        if let Some(values) = schema["enum"].as_list() {
            return texts(values);
        }
        let each = schema["oneOf"]
            .as_list()?
            .iter()
            .map(|one| self.one_of(one));
        let all: Option<Vec<Vec<String>>> = each.collect();
        Some(all?.concat())
    }

    fn bounds(&self, schema: &'a Value) -> (Option<i128>, Option<i128>) {
        if let Some((inner, reader)) = self.resolved(schema) {
            return reader.bounds(inner);
        }
        let format = schema["format"].as_text().unwrap_or_default();
        let (least, most): (Option<i128>, Option<i128>) = match format {
            "int8" => (Some(i8::MIN.into()), Some(i8::MAX.into())),
            "int16" => (Some(i16::MIN.into()), Some(i16::MAX.into())),
            "int32" => (Some(i32::MIN.into()), Some(i32::MAX.into())),
            "int64" | "int" => (Some(i64::MIN.into()), Some(i64::MAX.into())),
            "uint8" => (Some(0), Some(u8::MAX.into())),
            "uint16" => (Some(0), Some(u16::MAX.into())),
            "uint32" => (Some(0), Some(u32::MAX.into())),
            "uint64" | "uint" => (Some(0), Some(u64::MAX.into())),
            "uint128" => (Some(0), None),
            _ => (None, None),
        };
        // Attributes can only narrow the range of the type.
        let narrower = |key: &str| schema[key].as_int().map(i128::from);
        (
            least.max(narrower("minimum")),
            match (most, narrower("maximum")) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
        )
    }
}

/// The only type of a schema, apart from null.
fn type_name(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::Text(name) => Some(name),
        Value::List(names) => {
            let mut names = names
                .iter()
                .filter_map(Value::as_text)
                .filter(|name| *name != "null");
            match (names.next(), names.next(), names.next()) {
                (Some(name), None, None) => Some(name),
                // A decimal is read from both.
                (Some("string"), Some("number"), None) => Some("string"),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether null is a valid value, as for an `Option`.
fn is_nullable(schema: &Value) -> bool {
    let is_null = |schema: &Value| schema["type"].as_text() == Some("null");
    let any = |key: &str, holds: fn(&Value) -> bool| {
        schema[key]
            .as_list()
            .is_some_and(|items| items.iter().any(holds))
    };
    any("anyOf", |one| one["type"].as_text() == Some("null"))
        || any("type", |name| name.as_text() == Some("null"))
        || any("enum", Value::is_null)
        || is_null(schema)
}

fn text(schema: &Value) -> Type {
    // The patterns that `schemars` writes for the decimals of `rust_decimal` and `bigdecimal`.
    const DECIMAL: [&str; 2] = [r"^-?\d+(\.\d+)?([eE]\d+)?$", r"^-?\d+(\.\d+)?$"];
    match schema["format"].as_text() {
        Some("date") => Type::Date,
        Some("date-time") => Type::DateTime,
        Some("uuid") => Type::Uuid,
        Some("password") => Type::Secret,
        Some("decimal") => Type::Decimal,
        _ if schema["contentEncoding"].as_text() == Some("base64") => Type::Bytes,
        _ if schema["pattern"]
            .as_text()
            .is_some_and(|p| DECIMAL.contains(&p)) =>
        {
            Type::Decimal
        }
        _ => Type::Text,
    }
}

fn plain_type(name: &str) -> Option<Type> {
    Type::PLAIN.into_iter().find(|kind| kind.name() == name)
}

/// Any value.
impl JsonSchema for Value {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

/// Any dict.
impl JsonSchema for Dict {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dict".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}
