//! Elements: a name, a type, and what else is declared of it.

use std::ops::RangeInclusive;

use super::UnknownKeys;
use crate::model::value::Value;

/// The type of an element.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Type {
    /// Any value, as it is.
    #[default]
    AsIs,
    /// Text.
    Text,
    /// A whole number of any size.
    Int,
    /// A double.
    Float,
    /// A decimal number, every digit kept.
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
    /// A list, of the item where that is declared.
    List(Option<Box<Element>>),
    /// A dict, of the elements where they are declared.
    Dict(Option<Vec<Element>>),
    /// A list of dicts, of the elements where they are declared.
    DictList(Option<Vec<Element>>),
    /// A list of texts, written with commas between them.
    Csv,
    /// Text that is never logged and masked in listings.
    Secret,
}

impl Type {
    /// The types that are not made of others.
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

    /// The name, as the table of types has it.
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
/// A text is an element that takes any value: `"cust_id"` is required, `"-cust_id"` is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// Its key; empty for what a list is of.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// Whether it may be absent.
    pub optional: bool,
    /// What is there where it is absent.
    pub default: Option<Value>,
    /// The texts that are allowed, for `Text`; empty: any.
    pub one_of: Vec<String>,
    /// The least that is allowed, for `Int`.
    pub minimum: Option<i128>,
    /// The most that is allowed, for `Int`.
    pub maximum: Option<i128>,
    /// What becomes of keys that are not declared, for `Dict` and `DictList`. Default: as for the whole.
    pub unknown_keys: Option<UnknownKeys>,
    /// The field number of the typed method. Default: from the name and the type.
    pub number: Option<u32>,
    /// What it is, in a sentence.
    pub description: String,
    /// Whether it was declared by nothing but its name.
    pub(super) bare: bool,
    /// What was said of it that is not for its type.
    pub(super) misused: Option<&'static str>,
}

impl Element {
    /// Makes a required element. A name that begins with `-` is optional.
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

    /// It may be absent.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// What is there where it is absent. Implies that it may be.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self.optional()
    }

    /// Says what it is, in a sentence.
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

    /// Allows these texts alone.
    #[must_use]
    pub fn one_of<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        self.one_of = texts.into_iter().map(Into::into).collect();
        self
    }

    /// Allows these whole numbers alone.
    #[must_use]
    pub fn range(mut self, range: RangeInclusive<i64>) -> Self {
        self.minimum = Some((*range.start()).into());
        self.maximum = Some((*range.end()).into());
        self
    }

    /// Says what becomes of keys of this dict that are not declared.
    #[must_use]
    pub fn unknown_keys(mut self, policy: UnknownKeys) -> Self {
        self.unknown_keys = Some(policy);
        self
    }

    /// Declares what a list is of.
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

/// What a list is of.
impl From<Type> for Element {
    fn from(kind: Type) -> Self {
        Self::new("", kind)
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:expr;)*) => {
        $(
            $(#[$doc])*
            #[allow(non_snake_case, reason = "it stands for a type, and is written as the model writes it")]
            pub fn $name(name: impl Into<String>) -> Element {
                Element::new(name, $kind)
            }
        )*
    };
}

constructors! {
    /// An element that takes any value, whatever its name says.
    AsIs => Type::AsIs;
    /// A text.
    Text => Type::Text;
    /// A whole number of any size.
    Int => Type::Int;
    /// A double.
    Float => Type::Float;
    /// A decimal number, every digit kept.
    Decimal => Type::Decimal;
    /// True or false.
    Bool => Type::Bool;
    /// A calendar date: `2026-01-31`.
    Date => Type::Date;
    /// An instant: `2026-01-31T12:00:00Z`.
    DateTime => Type::DateTime;
    /// A UUID.
    Uuid => Type::Uuid;
    /// Bytes, as base64 where they are text.
    Bytes => Type::Bytes;
    /// A list; see [`Element::of`].
    List => Type::List(None);
    /// A dict; see [`Element::with`].
    Dict => Type::Dict(None);
    /// A list of dicts; see [`Element::with`].
    DictList => Type::DictList(None);
    /// A list of texts, written with commas between them.
    Csv => Type::Csv;
    /// A text that is never logged and masked in listings.
    Secret => Type::Secret;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hyphen_in_front_means_optional_and_one_inside_nothing() {
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
