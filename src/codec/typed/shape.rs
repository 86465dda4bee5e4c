//! The messages of a typed method, made from the declaration.

use std::collections::HashMap;

use super::names::{of_service, pascal, snake};
use super::number::number;
use crate::model::id::ServiceName;
use crate::model::sio::{Element, Elements, Sio, Type, UnknownKeys};

/// Why most services without a method have none.
pub const UNDECLARED: &str = "it declares neither its input nor its output";

/// The field of a side that is a list.
const ITEMS: &str = "items";
/// The field of a side that nothing is declared of.
const PAYLOAD: &str = "payload";

/// A service as a gRPC method.
#[derive(Clone, Debug)]
pub struct Method {
    /// The service.
    pub service: ServiceName,
    /// What it does, in a sentence.
    pub description: String,
    /// The package, such as `customer`.
    pub package: String,
    /// The method, such as `Get`.
    pub name: String,
    /// What goes in.
    pub request: Body,
    /// What comes out.
    pub response: Body,
}

/// One side of a method: a message, and how a value becomes one.
#[derive(Clone, Debug)]
pub struct Body {
    /// The message.
    pub message: Message,
    pub(super) form: Form,
}

/// How a value becomes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It is a dict, and its keys are the fields.
    Dict,
    /// It is a list, and the one field holds the items.
    Items,
    /// It is any value, and the one field holds it.
    Whole,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name, within the one that it is nested in.
    pub name: String,
    /// Its fields, in declaration order.
    pub fields: Vec<Field>,
    /// What becomes of fields that are not declared.
    pub(super) unknown: UnknownKeys,
    /// The places of the fields, by their numbers.
    by_number: Vec<(u32, usize)>,
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// The declared name, which is the JSON name as well.
    pub key: String,
    /// The name in the descriptor.
    pub name: String,
    /// The number.
    pub number: u32,
    /// The type.
    pub kind: Kind,
    /// Whether it is a list.
    pub repeated: bool,
    /// Whether it is required. An empty list and none are the same on the wire: a required one is empty.
    pub(super) required: bool,
    /// What it is, in a sentence.
    pub description: String,
    /// Whether it is a secret, which tools do not show.
    pub redact: bool,
}

/// The type of a field.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `string`.
    Text,
    /// `int64`.
    Int,
    /// `double`.
    Float,
    /// `bool`.
    Bool,
    /// `bytes`.
    Bytes,
    /// `google.protobuf.Timestamp`.
    Instant,
    /// `google.protobuf.Struct`.
    Struct,
    /// `google.protobuf.Value`.
    Value,
    /// A message of its own.
    Message(Message),
}

impl Kind {
    /// The type in the words of protobuf; `message` for messages of our own.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Int => "int64",
            Self::Float => "double",
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Instant => "google.protobuf.Timestamp",
            Self::Struct => "google.protobuf.Struct",
            Self::Value => "google.protobuf.Value",
            Self::Message(_) => "message",
        }
    }

    /// Whether fields of this type are numbers or booleans: those that are packed where they are repeated.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Bool)
    }

    /// Whether a field that is not there and one that is empty differ without `optional`.
    pub(super) fn is_message(&self) -> bool {
        matches!(
            self,
            Self::Instant | Self::Struct | Self::Value | Self::Message(_)
        )
    }
}

impl Message {
    /// The field with a number.
    pub(super) fn field(&self, number: u64) -> Option<(usize, &Field)> {
        let number = u32::try_from(number).ok()?;
        let at = self
            .by_number
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        let place = self.by_number.get(at)?.1;
        Some((place, self.fields.get(place)?))
    }

    fn new(
        name: String,
        fields: Vec<Field>,
        unknown: UnknownKeys,
        what: &str,
    ) -> Result<Self, String> {
        // What two fields must not share: the name, the JSON name that follows from it, the message they are made of.
        let mut names: HashMap<(&str, String), &str> = HashMap::new();
        for field in &fields {
            if !can_be_json_name(&field.key) {
                let key = &field.key;
                return Err(format!(
                    "`{key}` of {what} cannot be the JSON name of a field"
                ));
            }
            let message = match &field.kind {
                Kind::Message(message) => Some(("message", message.name.clone())),
                _ => None,
            };
            let json_name = ("JSON name", json_name(&field.name));
            let claims = [
                Some(("field", field.name.clone())),
                Some(json_name),
                message,
            ];
            for claim in claims.into_iter().flatten() {
                let (kind, name) = claim.clone();
                if let Some(other) = names.insert(claim, &field.key) {
                    let one = &field.key;
                    return Err(format!(
                        "the elements `{other}` and `{one}` of {what} would both be the {kind} `{name}`"
                    ));
                }
            }
        }
        let mut by_number: Vec<(u32, usize)> = fields.iter().map(|f| f.number).zip(0..).collect();
        by_number.sort_unstable();
        for pair in by_number.windows(2) {
            if let [(number, one), (same, other)] = pair
                && number == same
                && let (Some(one), Some(other)) = (fields.get(*one), fields.get(*other))
            {
                return Err(format!(
                    "the elements `{}` and `{}` of {what} would both have the field number {number}: declare one with \
                     `.number(n)`",
                    one.key, other.key,
                ));
            }
        }
        Ok(Self {
            name,
            fields,
            unknown,
            by_number,
        })
    }
}

/// The JSON name that protobuf gives a field unless it is told another: `cust_id` is `custId`.
fn json_name(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.extend(chars);
    }
    out
}

/// Whether protobuf takes it as a JSON name: names in brackets are those of extensions.
fn can_be_json_name(key: &str) -> bool {
    !(key.contains('\0') || (key.starts_with('[') && key.ends_with(']')))
}

impl Method {
    /// Makes the method of a service.
    ///
    /// # Errors
    ///
    /// Why there is none: nothing is declared, the name is refused, or two elements clash.
    pub fn new(service: &ServiceName, sio: &Sio, description: &str) -> Result<Self, String> {
        if !sio.is_declared() {
            return Err(UNDECLARED.to_owned());
        }
        let (package, name) = of_service(service.as_str())?;
        let unknown = sio.unknown_keys;
        let request = body(
            format!("{name}Request"),
            sio.input.as_ref(),
            unknown,
            "the input",
        )?;
        let response_name = format!("{name}Response");
        let response = match &sio.response_elem {
            None => body(response_name, sio.output.as_ref(), unknown, "the output")?,
            Some(key) => wrapped(response_name, key, sio.output.as_ref(), unknown)?,
        };
        Ok(Self {
            service: service.clone(),
            description: description.to_owned(),
            package,
            name,
            request,
            response,
        })
    }

    /// The method that has it run in the background.
    #[must_use]
    pub fn background_name(&self) -> String {
        format!("{}Async", self.name)
    }

    /// `customer.Service/Get`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}/{}", self.package, super::names::SERVICE, self.name)
    }
}

/// `whole` is the policy of the whole declaration, which dicts without one of their own fall back to.
fn body(
    name: String,
    declared: Option<&Elements>,
    whole: UnknownKeys,
    what: &str,
) -> Result<Body, String> {
    let Some(declared) = declared else {
        let fields = vec![field(PAYLOAD, Kind::Value, false)];
        return Ok(Body {
            message: Message::new(name, fields, whole, what)?,
            form: Form::Whole,
        });
    };
    if declared.list {
        let item = of_dict("Item".to_owned(), declared, whole, what)?;
        let fields = vec![field(ITEMS, Kind::Message(item), true)];
        return Ok(Body {
            message: Message::new(name, fields, whole, what)?,
            form: Form::Items,
        });
    }
    Ok(Body {
        message: of_dict(name, declared, whole, what)?,
        form: Form::Dict,
    })
}

fn of_dict(
    name: String,
    declared: &Elements,
    whole: UnknownKeys,
    what: &str,
) -> Result<Message, String> {
    let own = declared.unknown_keys.unwrap_or(whole);
    Message::new(name, fields(&declared.elements, whole, what)?, own, what)
}

/// The response of a service with a `response_elem`, which is a field like any other.
fn wrapped(
    name: String,
    key: &str,
    declared: Option<&Elements>,
    whole: UnknownKeys,
) -> Result<Body, String> {
    let what = "the output";
    let (kind, list) = match declared {
        None => (Kind::Value, false),
        Some(declared) => {
            let message = of_dict(pascal(key), declared, whole, what)?;
            (Kind::Message(message), declared.list)
        }
    };
    Ok(Body {
        message: Message::new(name, vec![field(key, kind, list)], whole, what)?,
        form: Form::Dict,
    })
}

fn fields(elements: &[Element], whole: UnknownKeys, what: &str) -> Result<Vec<Field>, String> {
    let fields = elements.iter();
    fields
        .map(|element| of_element(element, whole, what))
        .collect()
}

fn of_element(element: &Element, whole: UnknownKeys, what: &str) -> Result<Field, String> {
    let (kind, repeated) = match &element.kind {
        Type::List(None) => (Kind::Value, true),
        Type::List(Some(item)) => match &item.kind {
            // There is no list of lists in protobuf.
            Type::List(_) | Type::DictList(_) | Type::AsIs => (Kind::Value, true),
            _ => (kind(item, &element.name, whole, what)?, true),
        },
        Type::DictList(_) => (kind(element, &element.name, whole, what)?, true),
        Type::Csv => (Kind::Text, true),
        _ => (kind(element, &element.name, whole, what)?, false),
    };
    let mut field = field(&element.name, kind, repeated);
    field.redact = is_secret(element);
    field.required = !element.optional;
    field.description.clone_from(&element.description);
    if let Some(number) = element.number {
        field.number = number;
    }
    Ok(field)
}

fn is_secret(element: &Element) -> bool {
    match &element.kind {
        Type::Secret => true,
        Type::List(Some(item)) => is_secret(item),
        _ => false,
    }
}

fn kind(element: &Element, name: &str, whole: UnknownKeys, what: &str) -> Result<Kind, String> {
    Ok(match &element.kind {
        Type::Text | Type::Date | Type::Decimal | Type::Uuid | Type::Secret | Type::Csv => {
            Kind::Text
        }
        Type::Int => Kind::Int,
        Type::Float => Kind::Float,
        Type::Bool => Kind::Bool,
        Type::Bytes => Kind::Bytes,
        Type::DateTime => Kind::Instant,
        Type::AsIs | Type::List(_) => Kind::Value,
        Type::Dict(None) | Type::DictList(None) => Kind::Struct,
        Type::Dict(Some(elements)) | Type::DictList(Some(elements)) => {
            let own = element.unknown_keys.unwrap_or(whole);
            let fields = fields(elements, whole, what)?;
            Kind::Message(Message::new(pascal(name), fields, own, what)?)
        }
    })
}

fn field(key: &str, kind: Kind, repeated: bool) -> Field {
    let kind_name = match repeated {
        true => format!("repeated {}", kind.name()),
        false => kind.name().to_owned(),
    };
    Field {
        key: key.to_owned(),
        name: snake(key),
        number: number(key, &kind_name),
        kind,
        repeated,
        required: true,
        description: String::new(),
        redact: false,
    }
}
