//! Values: the dynamically typed inputs and outputs of services.

mod any;
mod convert;
mod de;
mod digits;
mod key;
mod merge_patch;
mod mismatch;
mod normalize;
mod number;
mod path;
mod ser;

use std::ops::{Index, IndexMut};

use bytes::Bytes;
use foldhash::fast::RandomState;
use indexmap::IndexMap;

pub use self::de::from_value;
pub use self::digits::Digits;
pub use self::key::Key;
pub use self::number::MAX_SAFE_INTEGER;
pub use self::ser::to_value;

/// A dynamically typed value: an input, an output, or a part of one.
///
/// Two kinds are wider than those of JSON and `google.protobuf.Struct`: whole numbers are exact to 64 bits, and
/// [`Digits`] keeps what neither `i64` nor `f64` holds exactly. [`Value::normalized`] has their form over gRPC.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number. NaN and infinities are rejected when they are encoded.
    Float(f64),
    /// A number that neither `i64` nor `f64` holds exactly, as its text.
    Digits(Digits),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// A list.
    List(Vec<Self>),
    /// A dict, ordered.
    Dict(Dict),
}

static NULL: Value = Value::Null;

impl Value {
    /// The kind of the value, for people: `a number`, `a dict`.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) | Self::Digits(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
        }
    }

    /// The dict, if it is one.
    #[must_use]
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Self::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// A string-keyed map that keeps the order of its keys. Equality ignores the order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(IndexMap<Key, Value, RandomState>);

impl Dict {
    /// Creates an empty dict.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty dict with capacity for `keys`.
    #[must_use]
    pub fn with_capacity(keys: usize) -> Self {
        Self(IndexMap::with_capacity_and_hasher(
            keys,
            RandomState::default(),
        ))
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The value of a key.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.0.get_mut(key)
    }

    /// Whether the key is present, null or not.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Sets a key and returns its previous value. An existing key keeps its position.
    #[inline]
    pub fn insert(&mut self, key: impl Into<Key>, value: impl IntoValue) -> Option<Value> {
        self.0.insert(key.into(), value.into_value())
    }

    /// Removes a key; the others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.shift_remove(key)
    }

    /// The keys and values, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> + ExactSizeIterator {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.keys().map(Key::as_str)
    }
}

impl<K: Into<Key>> FromIterator<(K, Value)> for Dict {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }
}

impl IntoIterator for Dict {
    type Item = (Key, Value);
    type IntoIter = indexmap::map::IntoIter<Key, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Index<&str> for Value {
    type Output = Self;

    /// The value of a key; null where it is missing.
    fn index(&self, key: &str) -> &Self {
        self.as_dict()
            .and_then(|dict| dict.get(key))
            .unwrap_or(&NULL)
    }
}

impl Index<usize> for Value {
    type Output = Self;

    /// The item of a list; null where it is missing.
    fn index(&self, index: usize) -> &Self {
        self.as_list()
            .and_then(|items| items.get(index))
            .unwrap_or(&NULL)
    }
}

impl Index<&str> for Dict {
    type Output = Value;

    /// The value of a key; null where it is missing.
    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&NULL)
    }
}

impl IndexMut<&str> for Dict {
    /// The value of a key, inserted as null where it is missing.
    fn index_mut(&mut self, key: &str) -> &mut Value {
        self.0.entry(key.into()).or_default()
    }
}

/// What can be a value of a [`Dict`]: every type that converts to [`Value`].
///
/// For a type that implements `serde::Serialize`, write `cidery::to_value(&value)?`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a value",
    label = "does not convert to `cidery::Value`",
    note = "for a type that implements `serde::Serialize`: `cidery::to_value(&value)?`",
    note = "a `Dict`, `Value`, `String`, number, bool, `Bytes`, `()`, and a `Vec`, array or `Option` of these convert"
)]
pub trait IntoValue {
    /// Converts it.
    fn into_value(self) -> Value;
}

#[diagnostic::do_not_recommend]
impl<T: Into<Value>> IntoValue for T {
    #[inline]
    fn into_value(self) -> Value {
        self.into()
    }
}

/// Creates a [`Dict`] from literal keys and values.
///
/// A value is anything that converts to [`Value`]; for a type of your own, write `cidery::to_value(&value)?`.
///
/// ```
/// use cidery::{Value, dict};
///
/// let input = dict! { "customer_id": 123, "phones": ["123-456-789"], "at": dict! { "zip": "1234" } };
/// assert_eq!(input["customer_id"], Value::Int(123));
/// ```
#[macro_export]
macro_rules! dict {
    ($($key:literal : $value:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "nothing is inserted into an empty dict")]
        let mut dict = $crate::Dict::new();
        $(dict.insert($key, $value);)*
        dict
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dicts_keep_their_order_and_compare_without_it() {
        let one = dict! { "b": 1, "a": 2 };
        let other = dict! { "a": 2, "b": 1 };
        assert_eq!(one.keys().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(one, other);
    }

    #[test]
    fn missing_keys_and_items_read_as_null() {
        let value = Value::from(dict! { "a": vec![1, 2] });
        assert_eq!(value["a"][1], Value::Int(2));
        assert_eq!(value["a"][9], Value::Null);
        assert_eq!(value["b"]["c"], Value::Null);
    }
}
