//! A declaration as JSON Schema (draft 2020-12).

use super::element::{Element, Type};
use super::{Elements, Shape, Sio, UnknownKeys};
use crate::dict;
use crate::model::value::{Dict, Value};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

impl Sio {
    /// The schema of the input; `None` where none is declared.
    #[must_use]
    pub fn input_schema(&self) -> Option<Value> {
        self.input
            .as_ref()
            .map(|input| self.root(whole(input, self.unknown_keys)))
    }

    /// The schema of the response, `response_elem` included; `None` where none is declared.
    #[must_use]
    pub fn output_schema(&self) -> Option<Value> {
        let output = self.output.as_ref()?;
        let inner = whole(output, self.unknown_keys);
        let Some(key) = &self.response_elem else {
            return Some(self.root(inner));
        };
        let wrapped = dict! {
            "type": "object",
            "properties": Dict::from_iter([(key.as_str(), Value::Dict(inner))]),
            "required": [key],
        };
        Some(self.root(wrapped))
    }

    #[expect(
        clippy::unused_self,
        reason = "reads as a part of the declaration's schemas"
    )]
    fn root(&self, schema: Dict) -> Value {
        let mut root = dict! { "$schema": DRAFT };
        for (key, value) in schema {
            root.insert(key, value);
        }
        root.into()
    }
}

fn whole(declared: &Elements, unknown: UnknownKeys) -> Dict {
    let own = declared.unknown_keys.unwrap_or(unknown);
    let object = || object(&declared.elements, own, unknown);
    match (declared.shape, declared.elements.as_slice()) {
        (Shape::Value, [element]) => value(element, unknown),
        (Shape::List, _) => array(object().into()),
        (Shape::Dict | Shape::Value, _) => object(),
    }
}

/// The schema of a value that is not a dict; null counts as absent.
fn value(element: &Element, whole: UnknownKeys) -> Dict {
    let schema = property(element, whole);
    match element.optional {
        false => schema,
        true => dict! { "anyOf": vec![Value::from(schema), dict! { "type": "null" }.into()] },
    }
}

fn array(items: Value) -> Dict {
    dict! { "type": "array", "items": items }
}

/// The schema of a dict with the policy `own`; nested dicts fall back to `whole`, the policy of the declaration.
fn object(elements: &[Element], own: UnknownKeys, whole: UnknownKeys) -> Dict {
    let mut properties = Dict::with_capacity(elements.len());
    let mut required = Vec::new();
    for element in elements {
        properties.insert(element.name.as_str(), property(element, whole));
        if !element.optional {
            required.push(element.name.as_str());
        }
    }
    let mut schema = dict! { "type": "object", "properties": properties };
    if !required.is_empty() {
        schema.insert("required", required);
    }
    match own {
        UnknownKeys::Drop => {}
        UnknownKeys::Keep => drop(schema.insert("additionalProperties", true)),
        UnknownKeys::Refuse => drop(schema.insert("additionalProperties", false)),
    }
    schema
}

fn property(element: &Element, whole: UnknownKeys) -> Dict {
    let mut schema = kind(element, whole);
    if !element.description.is_empty() {
        schema.insert("description", element.description.as_str());
    }
    if let Some(default) = element.shown_default() {
        schema.insert("default", default);
    }
    if let Some(number) = element.number {
        schema.insert("x-cidery-number", number);
    }
    schema
}

fn kind(element: &Element, whole: UnknownKeys) -> Dict {
    let text = |format: &str| dict! { "type": "string", "format": format };
    let of_dicts = |elements: &Option<Vec<Element>>| match elements {
        Some(elements) => object(elements, element.unknown_keys.unwrap_or(whole), whole),
        None => dict! { "type": "object" },
    };
    match &element.kind {
        Type::AsIs => dict! {},
        Type::Text if element.one_of.is_empty() => dict! { "type": "string" },
        Type::Text => dict! { "type": "string", "enum": element.one_of.clone() },
        Type::Int => {
            let mut schema = dict! { "type": "integer" };
            for (key, bound) in [("minimum", element.minimum), ("maximum", element.maximum)] {
                if let Some(bound) = bound {
                    schema.insert(key, bound);
                }
            }
            schema
        }
        Type::Float => dict! { "type": "number" },
        Type::Decimal => text("decimal"),
        Type::Bool => dict! { "type": "boolean" },
        Type::Date => text("date"),
        Type::DateTime => text("date-time"),
        Type::Uuid => text("uuid"),
        Type::Bytes => dict! { "type": "string", "contentEncoding": "base64" },
        Type::List(None) => dict! { "type": "array" },
        Type::List(Some(item)) => array(property(item, whole).into()),
        Type::Dict(elements) => of_dicts(elements),
        Type::DictList(elements) => array(of_dicts(elements).into()),
        Type::Csv => dict! { "type": "string", "x-cidery-type": "Csv" },
        Type::Secret => text("password"),
    }
}
