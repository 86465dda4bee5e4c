//! Sample inputs that fit a declaration, for examples that can be pasted.

use super::element::{Element, Type};
use super::{Elements, Shape, Sio};
use crate::model::value::{Dict, Value};

impl Sio {
    /// A sample input that fits the declaration: the required elements, or the first one where none is required.
    #[must_use]
    pub fn sample_input(&self) -> Value {
        let Some(Elements {
            elements, shape, ..
        }) = &self.input
        else {
            return Dict::new().into();
        };
        match (shape, elements.as_slice()) {
            (Shape::Value, [element]) => sample(element),
            (Shape::List, _) => vec![Value::Dict(sample_dict(elements))].into(),
            (Shape::Dict | Shape::Value, _) => sample_dict(elements).into(),
        }
    }
}

fn sample_dict(elements: &[Element]) -> Dict {
    let required = elements.iter().filter(|element| !element.optional);
    let mut dict: Dict = required.map(|e| (e.name.as_str(), sample(e))).collect();
    if dict.is_empty()
        && let Some(first) = elements.first()
    {
        dict.insert(first.name.as_str(), sample(first));
    }
    dict
}

fn sample(element: &Element) -> Value {
    if let Some(default) = element.shown_default() {
        return default;
    }
    match &element.kind {
        Type::AsIs | Type::Int => in_range(element),
        Type::Text => element.one_of.first().map_or("text", String::as_str).into(),
        Type::Float => Value::Float(1.5),
        Type::Decimal => "1.50".into(),
        Type::Bool => true.into(),
        Type::Date => "2026-01-31".into(),
        Type::DateTime => "2026-01-31T12:00:00Z".into(),
        Type::Uuid => "01890f5a-7b3c-7def-8123-456789abcdef".into(),
        Type::Bytes => Value::Bytes(bytes::Bytes::from_static(b"bytes")),
        Type::List(item) => vec![item.as_deref().map_or(Value::Int(1), sample)].into(),
        Type::Dict(elements) => sample_dict(elements.as_deref().unwrap_or_default()).into(),
        Type::DictList(elements) => {
            vec![sample_dict(elements.as_deref().unwrap_or_default())].into()
        }
        Type::Csv => vec!["a", "b"].into(),
        Type::Secret => "secret".into(),
    }
}

fn in_range(element: &Element) -> Value {
    let one = element
        .minimum
        .unwrap_or(1)
        .max(1)
        .min(element.maximum.unwrap_or(1));
    Value::number(&one.to_string()).unwrap_or_default()
}
