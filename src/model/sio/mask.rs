//! Masking of secrets in listings and in errors.
//!
//! An outcome that is fetched by its CID contains its secrets: only listings mask it.

use super::element::{Element, Type};
use super::{Elements, Shape, Sio};
use crate::model::value::{Dict, Value};

/// The replacement of a secret.
const MASK: &str = "***";

impl Sio {
    /// An input with its secrets masked.
    #[must_use]
    pub fn masked_input(&self, value: Value) -> Value {
        masked(self.input.as_ref(), value)
    }

    /// An output with its secrets masked. Like [`strip_response_elem`](Self::strip_response_elem), a response without
    /// the key of `response_elem` is the output itself.
    #[must_use]
    pub fn masked_output(&self, mut value: Value) -> Value {
        if let (Some(key), Value::Dict(dict)) = (&self.response_elem, &mut value)
            && let Some(inner) = dict.get_mut(key)
        {
            *inner = masked(self.output.as_ref(), std::mem::take(inner));
            return value;
        }
        masked(self.output.as_ref(), value)
    }

    /// Whether the value at this path of an input (a JSON pointer) is a secret.
    #[must_use]
    pub fn is_secret_input(&self, pointer: &str) -> bool {
        let Some(declared) = &self.input else {
            return false;
        };
        let mut segments = pointer.split('/').skip(1);
        match declared.shape {
            Shape::Dict => {}
            Shape::List => drop(segments.next()),
            Shape::Value => return declared.elements.iter().any(is_secret),
        }
        let mut elements = Some(declared.elements.as_slice());
        for segment in segments {
            // An index of a list does not change the declared elements.
            let named = elements.and_then(|all| all.iter().find(|element| element.name == segment));
            let Some(mut element) = named else { continue };
            while let Type::List(Some(item)) = &element.kind {
                element = item;
            }
            if element.kind == Type::Secret {
                return true;
            }
            elements = element.kind.elements();
        }
        false
    }

    /// Whether any element of the input or the output is a secret.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        let sides = [&self.input, &self.output].into_iter().flatten();
        sides.flat_map(|side| &side.elements).any(is_secret)
    }
}

/// Whether an element or a part of it is a secret.
fn is_secret(element: &Element) -> bool {
    match &element.kind {
        Type::Secret => true,
        Type::List(Some(item)) => is_secret(item),
        kind => kind.elements().unwrap_or_default().iter().any(is_secret),
    }
}

impl Element {
    /// The default for display, with a secret masked.
    #[must_use]
    pub fn shown_default(&self) -> Option<Value> {
        self.default.clone().map(|default| mask(self, default))
    }
}

fn masked(declared: Option<&Elements>, value: Value) -> Value {
    if let Some(Elements {
        shape: Shape::Value,
        elements,
        ..
    }) = declared
    {
        let element = elements.first();
        return element.map_or(Value::Null, |element| mask(element, value));
    }
    match (declared, value) {
        (Some(declared), Value::Dict(dict)) => Value::Dict(mask_dict(&declared.elements, dict)),
        (Some(declared), Value::List(items)) => Value::List(
            items
                .into_iter()
                .map(|item| match item {
                    Value::Dict(dict) => Value::Dict(mask_dict(&declared.elements, dict)),
                    other => other,
                })
                .collect(),
        ),
        (_, value) => value,
    }
}

fn mask_dict(elements: &[Element], mut dict: Dict) -> Dict {
    for element in elements {
        if let Some(value) = dict.get_mut(&element.name) {
            *value = mask(element, std::mem::take(value));
        }
    }
    dict
}

fn mask(element: &Element, value: Value) -> Value {
    match (&element.kind, value) {
        (_, Value::Null) => Value::Null,
        (Type::Secret, _) => Value::from(MASK),
        (Type::List(Some(item)), Value::List(items)) => {
            Value::List(items.into_iter().map(|value| mask(item, value)).collect())
        }
        (Type::Dict(Some(elements)), Value::Dict(dict)) => Value::Dict(mask_dict(elements, dict)),
        (Type::DictList(Some(elements)), Value::List(items)) => Value::List(
            items
                .into_iter()
                .map(|item| match item {
                    Value::Dict(dict) => Value::Dict(mask_dict(elements, dict)),
                    other => other,
                })
                .collect(),
        ),
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;
    use crate::model::sio::{DictList, List, Secret};

    #[test]
    fn secrets_are_masked_at_every_depth() {
        let sio = Sio::new()
            .input(Secret("token"))
            .input(List("keys").of(Type::Secret))
            .input(DictList("users").with([Secret("password")]))
            .output(Secret("token"))
            .response_elem("out");
        let input = dict! {
            "token": "t", "keys": ["k"], "users": vec![dict! { "password": "p", "name": "n" }],
        };
        let shown = format!("{:?}", sio.masked_input(input.into()));
        assert!(
            !shown.contains("\"t\"") && !shown.contains("\"k\"") && !shown.contains("\"p\""),
            "{shown}"
        );
        assert!(shown.contains("\"n\""), "{shown}");
        for (pointer, secret) in [
            ("/token", true),
            ("/keys/0", true),
            ("/users/3/password", true),
            ("/users/3", false),
        ] {
            assert_eq!(sio.is_secret_input(pointer), secret, "{pointer}");
        }
        assert!(sio.has_secrets());
    }

    #[test]
    fn a_response_without_the_response_elem_is_masked_itself() {
        let sio = Sio::new().output(Secret("token")).response_elem("out");
        let secret = || dict! { "token": "t" };
        let masked = || dict! { "token": MASK };
        for (response, expected) in [
            (dict! { "out": secret() }, dict! { "out": masked() }),
            (secret(), masked()),
        ] {
            assert_eq!(sio.masked_output(response.into()), expected.into());
        }
        let replaced = Value::from(vec![secret()]);
        assert_eq!(sio.masked_output(replaced), vec![masked()].into());
    }
}
