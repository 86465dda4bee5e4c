//! Messages and fields of typed methods, with a check for clashes between fields.

use std::collections::HashMap;

use super::names::to_snake_case;
use super::number::number;
use crate::model::sio::UnknownKeys;

/// A message.
#[derive(Clone, Debug)]
pub struct MessageType {
    /// The name, relative to the enclosing message.
    pub name: String,
    /// The fields, in declaration order.
    pub fields: Vec<Field>,
    /// The policy for undeclared fields.
    pub(super) unknown: UnknownKeys,
    /// The indexes of the fields, by field number.
    by_number: Vec<(u32, usize)>,
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// The declared name, which is also the JSON name.
    pub key: String,
    /// The name in the descriptor.
    pub name: String,
    /// The number.
    pub number: u32,
    /// The type.
    pub kind: FieldType,
    /// Whether it is a list.
    pub repeated: bool,
    /// Whether it is required. An empty list and an absent one are the same on the wire, so a required list is empty.
    pub(super) required: bool,
    /// The description of the element and its rules, as comments: each a sentence, or a label with its value.
    pub comments: Vec<String>,
    /// Whether it is a secret, which tools redact.
    pub redact: bool,
}

/// The type of a field.
#[derive(Clone, Debug)]
pub enum FieldType {
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
    /// A nested message.
    Message(MessageType),
}

impl FieldType {
    /// The protobuf name of the type; `message` for nested messages.
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

    /// Whether repeated fields of this type are packed: numbers and booleans.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Bool)
    }

    /// Whether the type has field presence without `optional`.
    pub(super) fn is_message(&self) -> bool {
        matches!(
            self,
            Self::Instant | Self::Struct | Self::Value | Self::Message(_)
        )
    }
}

impl MessageType {
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

    pub(super) fn new(
        name: String,
        fields: Vec<Field>,
        unknown: UnknownKeys,
        what: &str,
    ) -> Result<Self, String> {
        // Two fields must not share the name or the derived JSON name.
        let mut names: HashMap<(&str, String), &str> = HashMap::new();
        for field in &fields {
            if !can_be_json_name(&field.key) {
                let key = &field.key;
                return Err(format!(
                    "`{key}` of {what} cannot be the JSON name of a field"
                ));
            }
            let claims = [
                ("field", field.name.clone()),
                ("JSON name", json_name(&field.name)),
            ];
            for claim in claims {
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

/// The default JSON name of a protobuf field: `cust_id` becomes `custId`.
pub(super) fn json_name(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.extend(chars);
    }
    out
}

/// Whether protobuf accepts it as a JSON name: names in brackets are reserved for extensions.
fn can_be_json_name(key: &str) -> bool {
    !(key.contains('\0') || (key.starts_with('[') && key.ends_with(']')))
}

impl Field {
    /// Makes a required field whose name and number follow from `key` and the type.
    pub(super) fn new(key: &str, kind: FieldType, repeated: bool) -> Self {
        let kind_name = match repeated {
            true => format!("repeated {}", kind.name()),
            false => kind.name().to_owned(),
        };
        Self {
            key: key.to_owned(),
            name: to_snake_case(key),
            number: number(key, &kind_name),
            kind,
            repeated,
            required: true,
            comments: Vec::new(),
            redact: false,
        }
    }
}
