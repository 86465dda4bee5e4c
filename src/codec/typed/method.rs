//! Typed methods: a declaration as a gRPC method with a request and a response message.

use super::comments::{Side, comments};
use super::message::{Field, FieldType, MessageType};
use super::names::{SERVICE, package_and_method, to_pascal_case};
use super::nested_names::resolve_names;
use crate::model::error::{Error, Violation};
use crate::model::id::ServiceName;
use crate::model::sio::{Element, Elements, Shape, Sio, Type, UnknownKeys};

/// The usual reason why a service has no typed method.
pub const UNDECLARED: &str = "neither its input nor its output is declared";

/// The field of a list of dicts.
const ITEMS: &str = "items";
/// The field of an undeclared input or output.
const PAYLOAD: &str = "payload";

/// A service as a gRPC method.
#[derive(Clone, Debug)]
pub struct Method {
    /// The service.
    pub service: ServiceName,
    /// The description, in a sentence.
    pub description: String,
    /// The package, such as `customer`.
    pub package: String,
    /// The method, such as `Get`.
    pub name: String,
    /// The request. That of the asynchronous method has the same fields.
    pub request: Body,
    /// The response.
    pub response: Body,
}

/// The request or the response of a method: a message, and its mapping to a value.
#[derive(Clone, Debug)]
pub struct Body {
    /// The message.
    pub message: MessageType,
    pub(super) form: Form,
}

impl Body {
    /// Whether fields that are not declared are refused.
    #[must_use]
    pub fn refuses_unknown_fields(&self) -> bool {
        self.message.unknown == UnknownKeys::Refuse
    }

    /// The error of a value as that of the message that carried it: in a list, the path `/0/name` becomes
    /// `/items/0/name`.
    #[must_use]
    pub fn locate(&self, error: Error) -> Error {
        let field = match (self.form, self.message.fields.as_slice()) {
            (Form::Items | Form::Whole, [field]) => &field.key,
            _ => return error,
        };
        let under = |violation: Violation| violation.under(field);
        let Some(first) = error.field_violations().first().cloned() else {
            return error;
        };
        let rest = error.message().strip_prefix(&first.to_string());
        let message = rest.map(|rest| format!("{}{rest}", under(first)));
        let error = error.map_violations(under);
        match message {
            Some(message) => error.with_message(message),
            None => error,
        }
    }
}

/// The mapping between a value and a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The value is a dict, and its keys are the fields.
    Dict,
    /// The value is a list, and the only field holds its items.
    Items,
    /// The value is in the only field.
    Whole,
}

impl Method {
    /// Derives the method of a service.
    ///
    /// # Errors
    ///
    /// The reason why there is none: nothing is declared, the name is reserved, or two elements clash.
    pub fn new(service: &ServiceName, sio: &Sio, description: &str) -> Result<Self, String> {
        if !sio.is_declared() {
            return Err(UNDECLARED.to_owned());
        }
        let (package, name) = package_and_method(service.as_str())?;
        let unknown = sio.unknown_keys;
        let mut request = body(
            format!("{name}Request"),
            sio.input.as_ref(),
            unknown,
            Side::Input,
        )?;
        let response_name = format!("{name}Response");
        let mut response = match &sio.response_elem {
            None => body(response_name, sio.output.as_ref(), unknown, Side::Output)?,
            Some(key) => wrapped(response_name, key, sio.output.as_ref(), unknown)?,
        };
        resolve_names(&mut request.message);
        resolve_names(&mut response.message);
        Ok(Self {
            service: service.clone(),
            description: description.to_owned(),
            package,
            name,
            request,
            response,
        })
    }

    /// The name of the asynchronous method, `GetAsync`.
    ///
    /// It has a request message of its own: for `Get`, the C# generator makes a client method `GetAsync` too, and the
    /// two are overloads that differ by their requests.
    #[must_use]
    pub fn background_name(&self) -> String {
        format!("{}Async", self.name)
    }

    /// `customer.Service/Get`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}/{}", self.package, SERVICE, self.name)
    }
}

/// `whole` is the policy of the declaration, to which dicts without their own policy fall back.
fn body(
    name: String,
    declared: Option<&Elements>,
    whole: UnknownKeys,
    side: Side,
) -> Result<Body, String> {
    let Some(declared) = declared else {
        let mut field = Field::new(PAYLOAD, FieldType::Value, false);
        field.comments = vec![format!("Any value: {} is not declared.", side.name())];
        let fields = vec![field];
        return Ok(Body {
            message: MessageType::new(name, fields, whole, side.name())?,
            form: Form::Whole,
        });
    };
    let (fields, form) = match declared.shape {
        Shape::Dict => {
            return Ok(Body {
                message: of_dict(name, declared, whole, side)?,
                form: Form::Dict,
            });
        }
        Shape::List => {
            let item = of_dict("Item".to_owned(), declared, whole, side)?;
            let mut items = Field::new(ITEMS, FieldType::Message(item), true);
            items.comments = vec![format!("The items: {} is a list.", side.name())];
            (vec![items], Form::Items)
        }
        Shape::Value => {
            let fields = fields(&declared.elements, whole, side)?;
            let is_list = fields.iter().any(|field| field.repeated);
            let form = if is_list { Form::Items } else { Form::Whole };
            (fields, form)
        }
    };
    Ok(Body {
        message: MessageType::new(name, fields, whole, side.name())?,
        form,
    })
}

fn of_dict(
    name: String,
    declared: &Elements,
    whole: UnknownKeys,
    side: Side,
) -> Result<MessageType, String> {
    let own = declared.unknown_keys.unwrap_or(whole);
    MessageType::new(
        name,
        fields(&declared.elements, whole, side)?,
        own,
        side.name(),
    )
}

/// The response of a service with a `response_elem`, which becomes a field.
fn wrapped(
    name: String,
    key: &str,
    declared: Option<&Elements>,
    whole: UnknownKeys,
) -> Result<Body, String> {
    let side = Side::Output;
    let field = match declared {
        None => Field::new(key, FieldType::Value, false),
        Some(declared) => match (declared.shape, declared.elements.as_slice()) {
            (Shape::Value, [element]) => {
                let mut named = element.clone();
                key.clone_into(&mut named.name);
                of_element(&named, whole, side)?
            }
            (shape, _) => {
                let is_list = shape == Shape::List;
                let name = match is_list {
                    true => item_name(key),
                    false => to_pascal_case(key),
                };
                let message = of_dict(name, declared, whole, side)?;
                Field::new(key, FieldType::Message(message), is_list)
            }
        },
    };
    Ok(Body {
        message: MessageType::new(name, vec![field], whole, side.name())?,
        form: Form::Dict,
    })
}

fn fields(elements: &[Element], whole: UnknownKeys, side: Side) -> Result<Vec<Field>, String> {
    let fields = elements.iter();
    fields
        .map(|element| of_element(element, whole, side))
        .collect()
}

fn of_element(element: &Element, whole: UnknownKeys, side: Side) -> Result<Field, String> {
    let (kind, repeated) = match &element.kind {
        Type::List(None) => (FieldType::Value, true),
        Type::List(Some(item)) => match &item.kind {
            // Protobuf has no list of lists.
            Type::List(_) | Type::DictList(_) | Type::AsIs => (FieldType::Value, true),
            _ => (kind(item, item_name(&element.name), whole, side)?, true),
        },
        Type::DictList(_) => (kind(element, item_name(&element.name), whole, side)?, true),
        Type::Csv => (FieldType::Text, true),
        _ => (
            kind(element, to_pascal_case(&element.name), whole, side)?,
            false,
        ),
    };
    let mut field = Field::new(&element.name, kind, repeated);
    field.redact = is_secret(element);
    field.required = !element.optional;
    field.comments = comments(element, side);
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

/// The message of the items of a list: `LinesItem` for `lines`.
fn item_name(list: &str) -> String {
    format!("{}Item", to_pascal_case(list))
}

/// `name` is that of the nested message, if there is one.
fn kind(
    element: &Element,
    name: String,
    whole: UnknownKeys,
    side: Side,
) -> Result<FieldType, String> {
    Ok(match &element.kind {
        Type::Text | Type::Date | Type::Decimal | Type::Uuid | Type::Secret | Type::Csv => {
            FieldType::Text
        }
        Type::Int => FieldType::Int,
        Type::Float => FieldType::Float,
        Type::Bool => FieldType::Bool,
        Type::Bytes => FieldType::Bytes,
        Type::DateTime => FieldType::Instant,
        Type::AsIs | Type::List(_) => FieldType::Value,
        Type::Dict(None) | Type::DictList(None) => FieldType::Struct,
        Type::Dict(Some(elements)) | Type::DictList(Some(elements)) => {
            let own = element.unknown_keys.unwrap_or(whole);
            let fields = fields(elements, whole, side)?;
            FieldType::Message(MessageType::new(name, fields, own, side.name())?)
        }
    })
}
