//! Dotted paths: `my_response_elem.cust_name`, `phone_list.0.number`.

use super::Value;

impl Value {
    /// The value at a dotted path. A segment is a key of a dict or an index of a list; the empty path is the value
    /// itself.
    ///
    /// ```
    /// use cidery::{Value, dict};
    ///
    /// let value = Value::from(dict! { "phones": vec!["123"], "at": dict! { "zip": "1234" } });
    /// assert_eq!(value.at("at.zip"), Some(&Value::from("1234")));
    /// assert_eq!(value.at("phones.0"), Some(&Value::from("123")));
    /// assert_eq!(value.at("phones.1"), None);
    /// ```
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Self> {
        if path.is_empty() {
            return Some(self);
        }
        path.split('.')
            .try_fold(self, |value, segment| match value {
                Self::Dict(dict) => dict.get(segment),
                Self::List(items) => items.get(segment.parse::<usize>().ok()?),
                _ => None,
            })
    }
}
