//! Simple IO declarations: the inputs and outputs of services.

use crate::codec::json;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::sio::{
    CsvOptions, Element, Elements, EmptyStrings, Shape, Sio, Type, UnknownKeys,
};

/// Converts a declaration to the contract's form. Defaults of secrets are masked.
#[must_use]
pub fn sio_to_proto(sio: &Sio) -> v1::SimpleIo {
    v1::SimpleIo {
        input: sio.input.as_ref().map(elements_to_proto),
        output: sio.output.as_ref().map(elements_to_proto),
        response_elem: sio.response_elem.clone().unwrap_or_default(),
        unknown_keys: unknown_keys_to_proto(Some(sio.unknown_keys)).into(),
        empty_strings: match sio.empty_strings {
            EmptyStrings::Refuse => v1::EmptyStrings::Refuse,
            EmptyStrings::Absent => v1::EmptyStrings::Absent,
        }
        .into(),
        csv: (sio.csv != CsvOptions::default()).then(|| v1::CsvOptions {
            no_header: !sio.csv.header,
            delimiter: char::from(sio.csv.delimiter).to_string(),
            quote: char::from(sio.csv.quote).to_string(),
        }),
    }
}

fn elements_to_proto(elements: &Elements) -> v1::Elements {
    v1::Elements {
        elements: elements.elements.iter().map(element_to_proto).collect(),
        list: elements.shape == Shape::List,
        value: elements.shape == Shape::Value,
        unknown_keys: unknown_keys_to_proto(elements.unknown_keys).into(),
    }
}

fn element_to_proto(element: &Element) -> v1::Element {
    let default = element.shown_default();
    v1::Element {
        name: element.name.clone(),
        r#type: type_to_proto(&element.kind).into(),
        optional: element.optional,
        default_json: default
            .and_then(|v| json::write(&v).ok())
            .unwrap_or_default(),
        elements: element
            .kind
            .elements()
            .unwrap_or_default()
            .iter()
            .map(element_to_proto)
            .collect(),
        item: match &element.kind {
            Type::List(Some(item)) => Some(Box::new(element_to_proto(item))),
            _ => None,
        },
        number: element.number.unwrap_or_default(),
        description: element.description.clone(),
        one_of: element.one_of.clone(),
        minimum: element.minimum.map(|n| n.to_string()).unwrap_or_default(),
        maximum: element.maximum.map(|n| n.to_string()).unwrap_or_default(),
        unknown_keys: unknown_keys_to_proto(element.unknown_keys).into(),
    }
}

fn type_to_proto(kind: &Type) -> v1::ElementType {
    match kind {
        Type::AsIs => v1::ElementType::AsIs,
        Type::Text => v1::ElementType::Text,
        Type::Int => v1::ElementType::Int,
        Type::Float => v1::ElementType::Float,
        Type::Decimal => v1::ElementType::Decimal,
        Type::Bool => v1::ElementType::Bool,
        Type::Date => v1::ElementType::Date,
        Type::DateTime => v1::ElementType::DateTime,
        Type::Uuid => v1::ElementType::Uuid,
        Type::Bytes => v1::ElementType::Bytes,
        Type::List(_) => v1::ElementType::List,
        Type::Dict(_) => v1::ElementType::Dict,
        Type::DictList(_) => v1::ElementType::DictList,
        Type::Csv => v1::ElementType::Csv,
        Type::Secret => v1::ElementType::Secret,
    }
}

fn unknown_keys_to_proto(policy: Option<UnknownKeys>) -> v1::UnknownKeys {
    match policy {
        None => v1::UnknownKeys::Unspecified,
        Some(UnknownKeys::Drop) => v1::UnknownKeys::Drop,
        Some(UnknownKeys::Keep) => v1::UnknownKeys::Keep,
        Some(UnknownKeys::Refuse) => v1::UnknownKeys::Refuse,
    }
}

/// Converts a declaration that a worker announced.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DECLARATION_INVALID` with all violations.
pub fn sio_from_proto(sio: v1::SimpleIo) -> Result<Sio> {
    let mut faults = Vec::new();
    let csv = sio.csv.unwrap_or_default();
    let mut read = Sio::new()
        .unknown_keys(unknown_keys_from_proto(sio.unknown_keys, &mut faults).unwrap_or_default())
        .empty_strings(match v1::EmptyStrings::try_from(sio.empty_strings) {
            Ok(v1::EmptyStrings::Absent) => EmptyStrings::Absent,
            Ok(v1::EmptyStrings::Unspecified | v1::EmptyStrings::Refuse) => EmptyStrings::Refuse,
            Err(_) => {
                faults.push(unknown("/empty_strings", sio.empty_strings));
                EmptyStrings::Refuse
            }
        })
        .csv(CsvOptions {
            header: !csv.no_header,
            delimiter: character(&csv.delimiter, b',', "/csv/delimiter", &mut faults),
            quote: character(&csv.quote, b'"', "/csv/quote", &mut faults),
        });
    read.input = sio
        .input
        .map(|side| elements_from_proto(side, "input", &mut faults));
    read.output = sio
        .output
        .map(|side| elements_from_proto(side, "output", &mut faults));
    read.response_elem = (!sio.response_elem.is_empty()).then_some(sio.response_elem);
    match read.prepared() {
        Ok(read) if faults.is_empty() => Ok(read),
        Ok(_) => Err(Error::violations(reason::DECLARATION_INVALID, faults)),
        Err(error) => {
            // An element that could not be read has no further violations: they would be consequences.
            let unread: Vec<_> = faults.iter().filter_map(|it| parent(&it.path)).collect();
            let is_new = |it: &&Violation| !unread.iter().any(|parent| it.path.starts_with(parent));
            let new: Vec<_> = error
                .field_violations()
                .iter()
                .filter(is_new)
                .cloned()
                .collect();
            faults.extend(new);
            Err(Error::violations(reason::DECLARATION_INVALID, faults))
        }
    }
}

/// The path of the element that a violation is in, with a slash at its end; `None` for the declaration itself.
fn parent(path: &str) -> Option<String> {
    let (parent, _) = path.rsplit_once('/')?;
    (!parent.is_empty()).then(|| format!("{parent}/"))
}

fn elements_from_proto(side: v1::Elements, name: &str, faults: &mut Vec<Violation>) -> Elements {
    let before = faults.len();
    let shape = match (side.list, side.value, side.elements.len()) {
        (false, true, 1) => Shape::Value,
        (_, true, _) => {
            let message = "a value has one element, which is its type, and is not a list";
            faults.push(Violation::new("/value", "NOT_ALLOWED", message));
            Shape::Value
        }
        (true, false, _) => Shape::List,
        (false, false, _) => Shape::Dict,
    };
    let elements = Elements {
        shape,
        unknown_keys: unknown_keys_from_proto(side.unknown_keys, faults),
        elements: side
            .elements
            .into_iter()
            .map(|e| element_from_proto(e, faults))
            .collect(),
    };
    for fault in faults.iter_mut().skip(before) {
        *fault = fault.clone().under(name);
    }
    elements
}

fn element_from_proto(element: v1::Element, faults: &mut Vec<Violation>) -> Element {
    let before = faults.len();
    let kind = type_from_proto(&element, faults);
    let default = match element.default_json.as_str() {
        "" => None,
        text => json::read(text.as_bytes())
            .map_err(|error| {
                faults.push(Violation::new(
                    "/default_json",
                    "MALFORMED",
                    error.message(),
                ))
            })
            .ok(),
    };
    let name = element.name;
    let mut read = Element::from(kind);
    read.name.clone_from(&name);
    read.optional = element.optional || default.is_some();
    read.default = default;
    read.one_of = element.one_of;
    read.minimum = bound(&element.minimum, "/minimum", faults);
    read.maximum = bound(&element.maximum, "/maximum", faults);
    read.unknown_keys = unknown_keys_from_proto(element.unknown_keys, faults);
    read.number = (element.number > 0).then_some(element.number);
    read.description = element.description;
    for fault in faults.iter_mut().skip(before) {
        *fault = fault.clone().under(&name);
    }
    read
}

fn type_from_proto(element: &v1::Element, faults: &mut Vec<Violation>) -> Type {
    let kind = v1::ElementType::try_from(element.r#type);
    let has_elements = matches!(kind, Ok(v1::ElementType::Dict | v1::ElementType::DictList));
    if !has_elements && !element.elements.is_empty() && kind.is_ok() {
        let message = "only a dict and a list of dicts have elements";
        faults.push(Violation::new("/elements", "NOT_ALLOWED", message));
    }
    if kind != Ok(v1::ElementType::List) && element.item.is_some() && kind.is_ok() {
        let message = "only a list has items";
        faults.push(Violation::new("/item", "NOT_ALLOWED", message));
    }
    let mut elements = || {
        let elements = element.elements.iter().cloned();
        let read: Vec<Element> = elements.map(|e| element_from_proto(e, faults)).collect();
        (!read.is_empty()).then_some(read)
    };
    match kind {
        Ok(v1::ElementType::Unspecified | v1::ElementType::AsIs) => Type::AsIs,
        Ok(v1::ElementType::Text) => Type::Text,
        Ok(v1::ElementType::Int) => Type::Int,
        Ok(v1::ElementType::Float) => Type::Float,
        Ok(v1::ElementType::Decimal) => Type::Decimal,
        Ok(v1::ElementType::Bool) => Type::Bool,
        Ok(v1::ElementType::Date) => Type::Date,
        Ok(v1::ElementType::DateTime) => Type::DateTime,
        Ok(v1::ElementType::Uuid) => Type::Uuid,
        Ok(v1::ElementType::Bytes) => Type::Bytes,
        Ok(v1::ElementType::List) => Type::List(
            element
                .item
                .clone()
                .map(|item| Box::new(element_from_proto(*item, faults))),
        ),
        Ok(v1::ElementType::Dict) => Type::Dict(elements()),
        Ok(v1::ElementType::DictList) => Type::DictList(elements()),
        Ok(v1::ElementType::Csv) => Type::Csv,
        Ok(v1::ElementType::Secret) => Type::Secret,
        Err(_) => {
            faults.push(unknown("/type", element.r#type));
            Type::AsIs
        }
    }
}

fn unknown_keys_from_proto(number: i32, faults: &mut Vec<Violation>) -> Option<UnknownKeys> {
    match v1::UnknownKeys::try_from(number) {
        Ok(v1::UnknownKeys::Unspecified) => None,
        Ok(v1::UnknownKeys::Drop) => Some(UnknownKeys::Drop),
        Ok(v1::UnknownKeys::Keep) => Some(UnknownKeys::Keep),
        Ok(v1::UnknownKeys::Refuse) => Some(UnknownKeys::Refuse),
        Err(_) => {
            faults.push(unknown("/unknown_keys", number));
            None
        }
    }
}

fn character(text: &str, default: u8, path: &str, faults: &mut Vec<Violation>) -> u8 {
    match text.as_bytes() {
        [] => default,
        [one] => *one,
        _ => {
            faults.push(Violation::new(
                path,
                "INVALID",
                "is not one ASCII character",
            ));
            default
        }
    }
}

fn bound(text: &str, path: &str, faults: &mut Vec<Violation>) -> Option<i128> {
    if text.is_empty() {
        return None;
    }
    let bound = text.parse();
    bound
        .map_err(|_| faults.push(Violation::new(path, "INVALID", "is not a whole number")))
        .ok()
}

fn unknown(path: &str, number: i32) -> Violation {
    Violation::new(path, "UNKNOWN_VALUE", format!("{number} is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sio::{DictList, Int, List, Text};

    #[test]
    fn declarations_come_back_as_they_went() {
        let sio = Sio::new()
            .input(
                Int("n")
                    .range(-1..=9)
                    .default(3)
                    .number(7)
                    .description("A number."),
            )
            .input(Text("kind").one_of(["a", "b"]))
            .input(
                DictList("rows")
                    .with([List("tags").of(Type::Date)])
                    .unknown_keys(UnknownKeys::Keep),
            )
            .list_output()
            .output(Text("x"))
            .response_elem("r")
            .unknown_keys(UnknownKeys::Refuse)
            .empty_strings(EmptyStrings::Absent)
            .csv(CsvOptions {
                header: false,
                delimiter: b';',
                quote: b'\'',
            })
            .prepared()
            .unwrap();
        assert_eq!(sio_from_proto(sio_to_proto(&sio)).unwrap(), sio);
        let mut value = Sio::new();
        value.input = crate::model::sio::rust::input_of::<Option<u8>>();
        let encoded = sio_to_proto(&value);
        assert_eq!(sio_from_proto(encoded.clone()).unwrap(), value);
        // A value has one type.
        let mut without = encoded;
        without.input.as_mut().unwrap().elements.clear();
        let error = sio_from_proto(without).unwrap_err();
        assert_eq!(error.field_violations()[0].path, "/input/value");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let mut proto = sio_to_proto(&Sio::new().input(Int("n")));
        proto.input.as_mut().unwrap().elements[0].r#type = 99;
        proto.unknown_keys = 77;
        let error = sio_from_proto(proto).unwrap_err();
        let paths: Vec<_> = error
            .field_violations()
            .iter()
            .map(|v| v.path.as_str())
            .collect();
        assert_eq!(paths, ["/unknown_keys", "/input/n/type"]);
    }
}
