//! Whether a declaration is sound in itself: everything that is wrong with it at once.

use std::collections::HashSet;

use super::element::{Element, Type};
use super::violations::Violations;
use super::{Elements, Sio};
use crate::model::error::{Error, Result, Violation, reason};

/// The field numbers that protobuf keeps for itself.
const RESERVED: std::ops::RangeInclusive<u32> = 19_000..=19_999;
const MAX_NUMBER: u32 = (1 << 29) - 1;
const MAX_NAME_BYTES: usize = 255;
const MAX_DEPTH: usize = 16;

impl Sio {
    /// Checks the declaration and brings its defaults into the form that handlers get.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DECLARATION_INVALID` with everything that is wrong with it.
    pub fn prepared(mut self) -> Result<Self> {
        let mut violations = Vec::new();
        let policies = Self {
            input: None,
            output: None,
            ..self.clone()
        };
        for (side, elements) in [("input", &mut self.input), ("output", &mut self.output)] {
            let Some(elements) = elements else { continue };
            let mut audit = Audit {
                policies: &policies,
                is_input: side == "input",
                seen: 0,
                violations: Vec::new(),
            };
            audit.elements(&mut elements.elements, 1);
            if audit.seen > Self::MAX_ELEMENTS {
                let message = format!("has more than {} elements", Self::MAX_ELEMENTS);
                audit
                    .violations
                    .push(Violation::new("", "TOO_MANY", message));
            }
            violations.extend(
                audit
                    .violations
                    .into_iter()
                    .map(|violation| violation.under(side)),
            );
        }
        if self.response_elem.as_deref() == Some("") {
            violations.push(Violation::new("/response_elem", "EMPTY", "is empty"));
        }
        let (delimiter, quote) = (self.csv.delimiter, self.csv.quote);
        let usable = |c: u8| c.is_ascii() && c != b'\r' && c != b'\n' && c != 0;
        if !usable(delimiter) || !usable(quote) || delimiter == quote {
            let message =
                "the delimiter and the quote are two different ASCII characters, no line ends";
            violations.push(Violation::new("/csv", "INVALID", message));
        }
        if violations.is_empty() {
            return Ok(self);
        }
        Err(Error::violations(reason::DECLARATION_INVALID, violations))
    }
}

struct Audit<'a> {
    policies: &'a Sio,
    is_input: bool,
    seen: usize,
    violations: Vec<Violation>,
}

impl Audit<'_> {
    fn elements(&mut self, elements: &mut [Element], depth: usize) {
        let (mut names, mut numbers) = (HashSet::new(), HashSet::new());
        for element in elements {
            let before = self.violations.len();
            let name = element.name.clone();
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                self.report("INVALID", format!("a name has 1 to {MAX_NAME_BYTES} bytes"));
            }
            if !names.insert(name.clone()) {
                self.report("DUPLICATE_KEY", "is declared twice".to_owned());
            }
            if let Some(number) = element.number
                && !numbers.insert(number)
            {
                self.report(
                    "DUPLICATE_NUMBER",
                    format!("has the number {number} of another element"),
                );
            }
            self.element(element, depth);
            for violation in self.violations.iter_mut().skip(before) {
                *violation = violation.clone().under(&name);
            }
        }
    }

    fn element(&mut self, element: &mut Element, depth: usize) {
        self.seen += 1;
        if depth > MAX_DEPTH {
            self.report(
                "TOO_DEEP",
                format!("is nested deeper than {MAX_DEPTH} dicts and lists"),
            );
            return;
        }
        if let Some(number) = element.number
            && (number == 0 || number > MAX_NUMBER || RESERVED.contains(&number))
        {
            let message =
                format!("a field number is from 1 to {MAX_NUMBER}, and not from 19000 to 19999");
            self.report("OUT_OF_RANGE", message);
        }
        if let (Some(least), Some(most)) = (element.minimum, element.maximum)
            && least > most
        {
            self.report(
                "OUT_OF_RANGE",
                format!("the range from {least} to {most} is empty"),
            );
        }
        self.what_does_nothing(element);
        match &mut element.kind {
            // A dict of nothing is any dict: on the wire the two are the same.
            Type::Dict(elements) | Type::DictList(elements)
                if elements.as_ref().is_some_and(Vec::is_empty) =>
            {
                *elements = None;
            }
            Type::Dict(Some(elements)) | Type::DictList(Some(elements)) => {
                self.elements(elements, depth + 1);
            }
            Type::List(Some(item)) => {
                if item.optional || item.default.is_some() {
                    let message = "what a list is of is neither optional nor has a default";
                    self.report("INVALID", message.to_owned());
                }
                self.element(item, depth + 1);
            }
            _ => {}
        }
        self.default(element);
    }

    /// What is declared and would not be looked at.
    fn what_does_nothing(&mut self, element: &Element) {
        let name = element.kind.name();
        let is_int = element.kind == Type::Int;
        if !is_int && (element.minimum.is_some() || element.maximum.is_some()) {
            self.report(
                "INVALID",
                format!("has a range, which is for `Int`, not for `{name}`"),
            );
        }
        if element.kind != Type::Text && !element.one_of.is_empty() {
            self.report(
                "INVALID",
                format!("names texts, which is for `Text`, not for `{name}`"),
            );
        }
        let is_dict = matches!(element.kind, Type::Dict(_) | Type::DictList(_));
        if !is_dict && element.unknown_keys.is_some() {
            self.report(
                "INVALID",
                format!("says what becomes of keys, which `{name}` does not have"),
            );
        }
        if let Some(misused) = element.misused {
            self.report("INVALID", format!("`{misused}` is not for `{name}`"));
        }
    }

    fn default(&mut self, element: &mut Element) {
        let Some(default) = element.default.take() else {
            return;
        };
        // As the one element of a declaration that it is required in.
        let alone = Elements {
            elements: vec![Element {
                name: "default".to_owned(),
                optional: false,
                ..element.clone()
            }],
            ..Elements::default()
        };
        let mut sio = self.policies.clone();
        let dict = crate::model::value::Dict::from_iter([("default", default)]).into();
        let checked = if self.is_input {
            sio.input = Some(alone);
            sio.check_input(dict).map(|checked| checked.value)
        } else {
            sio.output = Some(alone);
            sio.check_output(dict)
        };
        match checked {
            Ok(checked) => element.default = Some(checked["default"].clone()),
            Err(Violations { kept, .. }) => self.violations.extend(kept),
        }
    }

    fn report(&mut self, code: &'static str, message: String) {
        self.violations.push(Violation::new("", code, message));
    }
}

#[cfg(test)]
mod tests {
    use crate::model::sio::{DictList, Int, List, Sio, Text, Type};
    use crate::model::value::Value;

    #[test]
    fn everything_that_is_wrong_with_a_declaration_is_said_at_once() {
        let sio = Sio::new()
            .input(Int("a").default("x"))
            .input("a")
            .input(Text("").number(19_500))
            .input(DictList("rows").with([Int("n").number(1), Int("m").number(1)]))
            .input(crate::model::sio::Decimal("price").range(0..=1))
            .input(Int("n").one_of(["1"]))
            .input(Text("text").of(Type::Int))
            .output(List("l").of(Type::Int).default(vec!["1", "two"]))
            .response_elem("");
        let error = sio.prepared().unwrap_err();
        assert_eq!(error.reason(), "DECLARATION_INVALID");
        let found: Vec<(&str, &str)> = error
            .field_violations()
            .iter()
            .map(|v| (v.path.as_str(), &*v.code))
            .collect();
        let expected = [
            ("/input/a/default", "WRONG_TYPE"),
            ("/input/a", "DUPLICATE_KEY"),
            ("/input/", "INVALID"),
            ("/input/", "OUT_OF_RANGE"),
            ("/input/rows/m", "DUPLICATE_NUMBER"),
            ("/input/price", "INVALID"),
            ("/input/n", "INVALID"),
            ("/input/text", "INVALID"),
            ("/output/l/default/1", "WRONG_TYPE"),
            ("/response_elem", "EMPTY"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn defaults_come_in_the_form_that_handlers_get() {
        let sio = Sio::new().input(Int("n").default("07")).prepared().unwrap();
        let checked = sio.check_input(crate::dict! {}.into()).unwrap();
        assert_eq!(checked.value["n"], Value::Int(7));
    }
}
