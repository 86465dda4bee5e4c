//! Elements of a declaration: a name, a type and its options.

use std::ops::RangeInclusive;

use super::UnknownKeys;
use crate::model::value::Value;

/// The type of an element.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Type {
    /// Any value, unchanged.
    #[default]
    AsIs,
    /// Text.
    Text,
    /// A whole number of any size.
    Int,
    /// A double.
    Float,
    /// A decimal number with all its digits.
    Decimal,
    /// True or false.
    Bool,
    /// A calendar date.
    Date,
    /// An instant.
    DateTime,
    /// A UUID.
    Uuid,
    /// Bytes.
    Bytes,
    /// A list, with the declared item type if there is one.
    List(Option<Box<Element>>),
    /// A dict, with the declared elements if there are any.
    Dict(Option<Vec<Element>>),
    /// A list of dicts, with the declared elements if there are any.
    DictList(Option<Vec<Element>>),
    /// A list of texts, written as one comma-separated text.
    Csv,
    /// Text that is never logged, and is masked in listings.
    Secret,
}

impl Type {
    /// The types without a parameter.
    pub const PLAIN: [Self; 12] = [
        Self::AsIs,
        Self::Text,
        Self::Int,
        Self::Float,
        Self::Decimal,
        Self::Bool,
        Self::Date,
        Self::DateTime,
        Self::Uuid,
        Self::Bytes,
        Self::Csv,
        Self::Secret,
    ];

    /// The name of the type, as in the table of types.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AsIs => "AsIs",
            Self::Text => "Text",
            Self::Int => "Int",
            Self::Float => "Float",
            Self::Decimal => "Decimal",
            Self::Bool => "Bool",
            Self::Date => "Date",
            Self::DateTime => "DateTime",
            Self::Uuid => "Uuid",
            Self::Bytes => "Bytes",
            Self::List(_) => "List",
            Self::Dict(_) => "Dict",
            Self::DictList(_) => "DictList",
            Self::Csv => "Csv",
            Self::Secret => "Secret",
        }
    }

    /// The elements of a dict, or of each dict of a list.
    #[must_use]
    pub fn elements(&self) -> Option<&[Element]> {
        match self {
            Self::Dict(elements) | Self::DictList(elements) => elements.as_deref(),
            _ => None,
        }
    }
}

/// One declared element.
///
/// A bare name declares an element of any type: `"cust_id"` is required, `"-cust_id"` is optional.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// The key; empty for the item of a list.
    pub name: String,
    /// The type.
    pub kind: Type,
    /// Whether it may be absent.
    pub optional: bool,
    /// The value where it is absent.
    pub default: Option<Value>,
    /// The allowed texts, for `Text`; empty: any.
    pub one_of: Vec<String>,
    /// The smallest allowed value, for `Int`.
    pub minimum: Option<i128>,
    /// The largest allowed value, for `Int`.
    pub maximum: Option<i128>,
    /// The policy for undeclared keys, for `Dict` and `DictList`. Default: that of the whole declaration.
    pub unknown_keys: Option<UnknownKeys>,
    /// The field number of the typed method. Default: a hash of the name and the type.
    pub number: Option<u32>,
    /// The description, in a sentence.
    pub description: String,
    /// Whether it was declared by its name alone.
    pub(super) bare: bool,
    /// A builder method that was called although it does not apply to the type.
    pub(super) misused: Option<&'static str>,
}

impl Element {
    /// Creates a required element. With a name that begins with `-` it is optional.
    pub fn new(name: impl Into<String>, kind: Type) -> Self {
        let mut name = name.into();
        let optional = name.len() > 1 && name.starts_with('-');
        if optional {
            name.remove(0);
        }
        Self {
            name,
            kind,
            optional,
            ..Default::default()
        }
    }

    /// Makes it optional.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Sets the value where it is absent. Implies that it is optional.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self.optional()
    }

    /// Sets the description, in a sentence.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the field number of the typed method: from 1 to 2^29 − 1, except 19 000 to 19 999.
    #[must_use]
    pub fn number(mut self, number: u32) -> Self {
        self.number = Some(number);
        self
    }

    /// Allows only these texts.
    #[must_use]
    pub fn one_of<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        self.one_of = texts.into_iter().map(Into::into).collect();
        self
    }

    /// Allows only these whole numbers.
    #[must_use]
    pub fn range(mut self, range: RangeInclusive<i64>) -> Self {
        self.minimum = Some((*range.start()).into());
        self.maximum = Some((*range.end()).into());
        self
    }

    /// Sets the policy for undeclared keys of this dict.
    #[must_use]
    pub fn unknown_keys(mut self, policy: UnknownKeys) -> Self {
        self.unknown_keys = Some(policy);
        self
    }

    /// Declares the item type of a list.
    #[must_use]
    pub fn of(mut self, item: impl Into<Self>) -> Self {
        match &mut self.kind {
            Type::List(of) => *of = Some(Box::new(item.into())),
            _ => self.misused = Some("of"),
        }
        self
    }

    /// Declares the elements of a dict, or of each dict of a list.
    #[must_use]
    pub fn with<E: Into<Self>>(mut self, elements: impl IntoIterator<Item = E>) -> Self {
        match &mut self.kind {
            Type::Dict(with) | Type::DictList(with) => {
                *with = Some(elements.into_iter().map(Into::into).collect());
            }
            _ => self.misused = Some("with"),
        }
        self
    }
}

impl From<&str> for Element {
    fn from(name: &str) -> Self {
        Self {
            bare: true,
            ..Self::new(name, Type::AsIs)
        }
    }
}

impl From<String> for Element {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

/// The item type of a list.
impl From<Type> for Element {
    fn from(kind: Type) -> Self {
        Self::new("", kind)
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:expr;)*) => {
        $(
            $(#[$doc])*
            #[allow(non_snake_case, reason = "it names a type, in the spelling of Zato")]
            pub fn $name(name: impl Into<String>) -> Element {
                Element::new(name, $kind)
            }
        )*
    };
}

constructors! {
    /// An element of any type, which is never inferred from its name.
    AsIs => Type::AsIs;
    /// A text.
    Text => Type::Text;
    /// A whole number of any size.
    Int => Type::Int;
    /// A double.
    Float => Type::Float;
    /// A decimal number with all its digits.
    Decimal => Type::Decimal;
    /// True or false.
    Bool => Type::Bool;
    /// A calendar date: `2026-01-31`.
    Date => Type::Date;
    /// An instant: `2026-01-31T12:00:00Z`.
    DateTime => Type::DateTime;
    /// A UUID.
    Uuid => Type::Uuid;
    /// Bytes, as base64 in text.
    Bytes => Type::Bytes;
    /// A list; see [`Element::of`].
    List => Type::List(None);
    /// A dict; see [`Element::with`].
    Dict => Type::Dict(None);
    /// A list of dicts; see [`Element::with`].
    DictList => Type::DictList(None);
    /// A list of texts, written as one comma-separated text.
    Csv => Type::Csv;
    /// A text that is never logged, and is masked in listings.
    Secret => Type::Secret;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leading_hyphen_means_optional() {
        let element = Element::from("-first-name");
        assert_eq!(
            (element.name.as_str(), element.optional),
            ("first-name", true)
        );
        assert!(!Element::from("first-name").optional);
        assert!(Int("-age").optional);
        assert_eq!(Element::from("-").name, "-");
    }
}
