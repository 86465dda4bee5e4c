//! Validation of values against their declaration: all violations at once, each with its path.

use std::collections::{HashMap, HashSet};
use std::mem;

use super::closest::closest_name;
use super::element::{Element, Type};
use super::ignored::Ignored;
use super::scalar::{self, ScalarError};
use super::{Elements, EmptyStrings, Shape, Sio, UnknownKeys};
use crate::model::error::{Violation, Violations, push_segment};
use crate::model::payload::weight;
use crate::model::value::{Dict, Value};

/// The limit of element lookups in one value (dicts times elements). Larger values are rejected.
const MAX_LOOKUPS: usize = 20_000_000;

/// The limit of what defaults add to one value, in bytes: as much as a message has by default. A list of empty dicts is
/// small, and may have a large default in each.
const MAX_DEFAULT_BYTES: usize = 16 * 1024 * 1024;

/// A valid value in canonical form.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The value: elements in declaration order, defaults filled in.
    pub value: Value,
    /// The undeclared keys that were dropped: JSON pointers without the leading slash, with `*` for any index.
    pub ignored: Ignored,
}

/// The direction of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Input,
    Output,
}

impl Sio {
    /// Checks an input against the declaration. Without a declaration every input is valid.
    ///
    /// # Errors
    ///
    /// All violations.
    pub fn check_input(&self, value: Value) -> Result<Checked, Violations> {
        self.check(self.input.as_ref(), Direction::Input, value)
    }

    /// Checks an output against the declaration, before it is wrapped in `response_elem`.
    ///
    /// # Errors
    ///
    /// All violations.
    pub fn check_output(&self, value: Value) -> Result<Value, Violations> {
        let checked = self.check(self.output.as_ref(), Direction::Output, value)?;
        Ok(checked.value)
    }

    fn check(
        &self,
        declared: Option<&Elements>,
        direction: Direction,
        value: Value,
    ) -> Result<Checked, Violations> {
        let Some(declared) = declared else {
            let ignored = Ignored::default();
            return Ok(Checked { value, ignored });
        };
        let mut walk = Check::new(self, direction);
        let value = walk.root(declared, value);
        walk.finish(value)
    }
}

/// One step of a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// A check of one value: walks over it along its declaration.
#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) sio: &'a Sio,
    direction: Direction,
    pub(super) path: Vec<Step<'a>>,
    pub(super) violations: Violations,
    pub(super) ignored: Ignored,
    /// The declared names of each dict with undeclared keys, collected once.
    declared: HashMap<*const Element, HashSet<&'a str>>,
    lookups: usize,
    /// What the defaults take that were added.
    default_bytes: usize,
}

impl<'a> Check<'a> {
    pub(super) fn new(sio: &'a Sio, direction: Direction) -> Self {
        Self {
            sio,
            direction,
            path: Vec::new(),
            violations: Violations::default(),
            ignored: Ignored::default(),
            declared: HashMap::new(),
            lookups: 0,
            default_bytes: 0,
        }
    }

    pub(super) fn finish(self, value: Value) -> Result<Checked, Violations> {
        if self.violations.is_empty() {
            let ignored = self.ignored;
            return Ok(Checked { value, ignored });
        }
        let ignored = (!self.ignored.is_empty()).then(|| self.ignored.to_text());
        Err(Violations {
            ignored,
            ..self.violations
        })
    }

    fn root(&mut self, declared: &'a Elements, value: Value) -> Value {
        let unknown = declared.unknown_keys.unwrap_or(self.sio.unknown_keys);
        match (declared.shape, declared.elements.as_slice()) {
            (Shape::Value, [element]) => self.whole(element, value),
            (Shape::List, elements) => self.dict_list(elements, unknown, value),
            (Shape::Dict | Shape::Value, elements) => self.dict_of(elements, unknown, value),
        }
    }

    /// A value that is not a dict. The empty dict is no input.
    fn whole(&mut self, element: &'a Element, value: Value) -> Value {
        let is_absent = matches!(&value, Value::Dict(dict) if dict.is_empty());
        if is_absent && !element.optional {
            // There is no path to name what is missing.
            let message = format!("a value of the type `{}` is required", element.kind.name());
            let code = "MISSING";
            return self.report(ScalarError { code, message });
        }
        let given = (!is_absent).then_some(value);
        self.element(element, given).unwrap_or_default()
    }

    fn dict_of(&mut self, elements: &'a [Element], unknown: UnknownKeys, value: Value) -> Value {
        match value {
            Value::Dict(dict) => Value::Dict(self.dict(elements, unknown, dict)),
            other => self.wrong_type(&other, "a dict"),
        }
    }

    fn dict_list(&mut self, elements: &'a [Element], unknown: UnknownKeys, value: Value) -> Value {
        let each = |walk: &mut Self, item| walk.dict_of(elements, unknown, item);
        self.list(value, "a list of dicts", each)
    }

    fn list(
        &mut self,
        value: Value,
        expected: &str,
        mut each: impl FnMut(&mut Self, Value) -> Value,
    ) -> Value {
        let Value::List(mut items) = value else {
            return self.wrong_type(&value, expected);
        };
        for (index, item) in items.iter_mut().enumerate() {
            self.path.push(Step::Index(index));
            *item = each(self, mem::take(item));
            self.path.pop();
        }
        Value::List(items)
    }

    pub(super) fn dict(
        &mut self,
        elements: &'a [Element],
        unknown: UnknownKeys,
        mut dict: Dict,
    ) -> Dict {
        // Absent elements reserve no memory.
        let mut out = Dict::with_capacity(elements.len().min(dict.len()));
        let mut found = 0;
        let first = self.violations.kept.len();
        let before = self.lookups;
        self.lookups += elements.len();
        if self.lookups > MAX_LOOKUPS {
            if before <= MAX_LOOKUPS {
                let message =
                    format!("needs more than {MAX_LOOKUPS} element lookups: send smaller inputs");
                self.report(ScalarError {
                    code: "TOO_MANY_KEYS",
                    message,
                });
            }
            return out;
        }
        for element in elements {
            let given = dict.get_mut(&element.name).map(mem::take);
            found += usize::from(given.is_some());
            self.path.push(Step::Key(&element.name));
            if let Some(value) = self.element(element, given) {
                out.insert(element.name.as_str(), value);
            }
            self.path.pop();
        }
        if found < dict.len() {
            self.unknown(elements, unknown, dict, first, &mut out);
        }
        out
    }

    fn element(&mut self, element: &'a Element, given: Option<Value>) -> Option<Value> {
        let is_null = matches!(given, Some(Value::Null));
        match given {
            Some(value) if !self.counts_as_absent(element, &value) => {
                Some(self.value(element, value))
            }
            _ if element.optional => self.default_of(element),
            _ => {
                let message = if is_null {
                    "is required, and is null"
                } else {
                    "is required"
                };
                self.report(ScalarError {
                    code: "MISSING",
                    message: message.to_owned(),
                });
                None
            }
        }
    }

    fn default_of(&mut self, element: &Element) -> Option<Value> {
        let default = element.default.as_ref()?;
        let before = self.default_bytes;
        self.default_bytes = before.saturating_add(weight(default));
        if self.default_bytes <= MAX_DEFAULT_BYTES {
            return Some(default.clone());
        }
        if before <= MAX_DEFAULT_BYTES {
            let message =
                format!("defaults add more than {MAX_DEFAULT_BYTES} bytes: send smaller inputs");
            self.report(ScalarError {
                code: "TOO_LARGE",
                message,
            });
        }
        None
    }

    fn counts_as_absent(&self, element: &Element, value: &Value) -> bool {
        match value {
            Value::Null => element.kind != Type::AsIs,
            Value::Text(text) if text.is_empty() => {
                // An empty text is a value where the element can be one.
                let is_text = matches!(
                    element.kind,
                    Type::Text | Type::Secret | Type::AsIs | Type::Csv
                );
                self.sio.empty_strings == EmptyStrings::Absent && !is_text
            }
            _ => false,
        }
    }

    fn value(&mut self, element: &'a Element, value: Value) -> Value {
        let unknown = element.unknown_keys.unwrap_or(self.sio.unknown_keys);
        match &element.kind {
            Type::AsIs => value,
            Type::List(None) => self.list(value, "a list", |_, item| item),
            Type::List(Some(item)) => {
                self.list(value, "a list", |walk, value| walk.item(item, value))
            }
            Type::Dict(None) if matches!(value, Value::Dict(_)) => value,
            Type::Dict(None) => self.wrong_type(&value, "a dict"),
            Type::Dict(Some(elements)) => self.dict_of(elements, unknown, value),
            Type::DictList(Some(elements)) => self.dict_list(elements, unknown, value),
            Type::DictList(None) => self.list(value, "a list of dicts", |walk, item| match item {
                Value::Dict(_) => item,
                other => walk.wrong_type(&other, "a dict"),
            }),
            Type::Csv => self.csv(value),
            _ => match scalar::read(element, value) {
                Ok(value) => value,
                Err(error) => self.report(error),
            },
        }
    }

    fn item(&mut self, element: &'a Element, value: Value) -> Value {
        match value {
            Value::Null if element.kind != Type::AsIs => {
                let message = "is null".to_owned();
                let code = "WRONG_TYPE";
                self.report(ScalarError { code, message })
            }
            value => self.value(element, value),
        }
    }

    /// Texts: a list for handlers, one comma-separated text for callers.
    fn csv(&mut self, value: Value) -> Value {
        let items = match value {
            Value::Text(text) if self.direction == Direction::Output => return Value::Text(text),
            Value::Text(text) if text.is_empty() => Value::List(Vec::new()),
            Value::Text(text) => Value::List(text.split(',').map(Value::from).collect()),
            other => other,
        };
        let comma = self.direction == Direction::Output;
        let items = self.list(
            items,
            "a list of texts, or one comma-separated text",
            |walk, item| match scalar::read(&Element::from(Type::Text), item) {
                Ok(Value::Text(text)) if comma && text.contains(',') => walk.report(ScalarError {
                    code: "OUT_OF_RANGE",
                    message: "contains a comma, which separates the texts".to_owned(),
                }),
                Ok(text) => text,
                Err(error) => walk.report(error),
            },
        );
        match (self.direction, items) {
            (Direction::Output, Value::List(items)) if items == [Value::from("")] => {
                self.report(ScalarError {
                    code: "OUT_OF_RANGE",
                    message: "is one empty text, which looks like an empty list".to_owned(),
                })
            }
            (Direction::Output, Value::List(items)) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_text).collect();
                Value::Text(texts.join(","))
            }
            (_, items) => items,
        }
    }

    /// Handles undeclared keys of a dict, whose own violations begin at `first`.
    fn unknown(
        &mut self,
        elements: &'a [Element],
        policy: UnknownKeys,
        dict: Dict,
        first: usize,
        out: &mut Dict,
    ) {
        let known = self.declared.remove(&elements.as_ptr());
        let names = || {
            elements
                .iter()
                .map(|element| element.name.as_str())
                .collect()
        };
        let declared: HashSet<&str> = known.unwrap_or_else(names);
        for (key, value) in dict {
            if declared.contains(key.as_str()) {
                continue;
            }
            match policy {
                UnknownKeys::Keep => {
                    out.insert(key, value);
                }
                UnknownKeys::Drop
                    if self.direction == Direction::Output || self.ignored.is_full() => {}
                UnknownKeys::Drop => {
                    let name = self.render(Some(&key), |_| "*".to_owned());
                    let name = name.strip_prefix('/').unwrap_or(&name);
                    self.ignored.add(name.to_owned());
                    self.name_misspelled(&key, &declared, first);
                }
                UnknownKeys::Refuse if self.violations.is_full() => self.violations.omitted += 1,
                UnknownKeys::Refuse => {
                    let message = match closest_name(&key, &declared) {
                        Some(name) => format!("is not declared; did you mean `{name}`?"),
                        None => "is not declared".to_owned(),
                    };
                    let path = self.pointer(Some(&key));
                    self.violations
                        .add(Violation::new(path, "UNKNOWN_KEY", message));
                }
            }
        }
        self.declared.insert(elements.as_ptr(), declared);
    }

    /// Names a key that was dropped where the element is missing that it may be meant for.
    fn name_misspelled(&mut self, key: &str, declared: &HashSet<&'a str>, first: usize) {
        if self.violations.kept.len() == first {
            return;
        }
        let Some(name) = closest_name(key, declared) else {
            return;
        };
        let path = self.pointer(Some(name));
        let mut missing = self.violations.kept.iter_mut().skip(first);
        if let Some(missing) = missing.find(|it| it.code == "MISSING" && it.path == path) {
            let advice = format!("; `{key}` is not declared: did you mean `{name}`?");
            missing.message.push_str(&advice);
        }
    }

    fn wrong_type(&mut self, value: &Value, expected: &str) -> Value {
        if self.violations.is_full() {
            self.violations.omitted += 1;
            return Value::Null;
        }
        match value {
            // The text may contain the secret.
            Value::Text(_) if self.sio.has_secrets() => {
                let text = Value::from("***");
                self.report(scalar::is_not(&text, expected))
            }
            value => self.report(scalar::is_not(value, expected)),
        }
    }

    pub(super) fn report(&mut self, error: ScalarError) -> Value {
        if self.violations.is_full() {
            self.violations.omitted += 1;
            return Value::Null;
        }
        let path = self.pointer(None);
        self.violations
            .add(Violation::new(path, error.code, error.message));
        Value::Null
    }

    fn pointer(&self, key: Option<&str>) -> String {
        self.render(key, |index| index.to_string())
    }

    fn render(&self, key: Option<&str>, place: impl Fn(usize) -> String) -> String {
        let mut pointer = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) => push_segment(&mut pointer, key),
                Step::Index(index) => push_segment(&mut pointer, &place(*index)),
            }
        }
        if let Some(key) = key {
            push_segment(&mut pointer, key);
        }
        pointer
    }
}

#[cfg(test)]
mod tests {
    use crate::dict;
    use crate::model::sio::{AsIs, Csv, EmptyStrings, Int, Secret, Sio, Text};
    use crate::model::value::{Dict, Value};

    #[test]
    fn an_empty_text_is_absent_only_where_it_is_no_value() {
        let sio = Sio::new()
            .empty_strings(EmptyStrings::Absent)
            .input(Text("text"))
            .input(Secret("secret"))
            .input(AsIs("any"))
            .input(Csv("csv"))
            .input(Int("count").default(5))
            .output(Text("text"))
            .optional_output(Text("note"))
            .optional_output(Int("count"));
        let given = dict! { "text": "", "secret": "", "any": "", "csv": "", "count": "" };
        let checked = sio.check_input(given.into()).unwrap();
        let csv = Value::List(Vec::new());
        let expected = dict! { "text": "", "secret": "", "any": "", "csv": csv, "count": 5 };
        assert_eq!(checked.value, Value::from(expected));
        let given = dict! { "text": "", "note": "", "count": "" };
        let output = sio.check_output(given.into()).unwrap();
        assert_eq!(output, Value::from(dict! { "text": "", "note": "" }));
    }

    #[test]
    fn defaults_cannot_make_a_small_value_large() {
        let large = "x".repeat(1 << 20);
        let sio = Sio::new().optional_input(Text("large").default(large));
        let sio = sio.list_input();
        let empty = |n: usize| Value::List(vec![Dict::new().into(); n]);
        assert!(sio.check_input(empty(15)).is_ok());
        let violations = sio.check_input(empty(100_000)).unwrap_err();
        assert_eq!(violations.kept.len(), 1);
        assert_eq!(&*violations.kept[0].code, "TOO_LARGE");
    }
}
