//! Validation of declarations themselves: all violations at once.

use std::collections::HashSet;

use super::element::{Element, Type};
use super::{Elements, Sio};
use crate::model::error::{Error, Result, Violation, Violations, reason};

/// The field numbers that protobuf reserves.
const RESERVED: std::ops::RangeInclusive<u32> = 19_000..=19_999;
const MAX_NUMBER: u32 = (1 << 29) - 1;
const MAX_ELEMENT_NAME_BYTES: usize = 255;
const MAX_DECLARATION_DEPTH: usize = 16;

impl Sio {
    /// Checks the declaration and converts its defaults to canonical form.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DECLARATION_INVALID` with all violations.
    pub fn prepared(mut self) -> Result<Self> {
        let mut violations = Vec::new();
        let policies = Self {
            input: None,
            output: None,
            ..self.clone()
        };
        for (side, elements) in [("input", &mut self.input), ("output", &mut self.output)] {
            let Some(elements) = elements else { continue };
            let mut validator = Validator {
                policies: &policies,
                is_input: side == "input",
                seen: 0,
                violations: Vec::new(),
            };
            validator.elements(&mut elements.elements, 1);
            if validator.seen > Self::MAX_ELEMENTS {
                let message = format!("has more than {} elements", Self::MAX_ELEMENTS);
                validator
                    .violations
                    .push(Violation::new("", "TOO_MANY", message));
            }
            violations.extend(
                validator
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
            let message = "the delimiter and the quote must be two different ASCII characters other than line breaks";
            violations.push(Violation::new("/csv", "INVALID", message));
        }
        if violations.is_empty() {
            return Ok(self);
        }
        Err(Error::violations(reason::DECLARATION_INVALID, violations))
    }
}

struct Validator<'a> {
    policies: &'a Sio,
    is_input: bool,
    seen: usize,
    violations: Vec<Violation>,
}

impl Validator<'_> {
    fn elements(&mut self, elements: &mut [Element], depth: usize) {
        let (mut names, mut numbers) = (HashSet::new(), HashSet::new());
        for element in elements {
            let before = self.violations.len();
            let name = element.name.clone();
            if name.is_empty() || name.len() > MAX_ELEMENT_NAME_BYTES {
                self.report(
                    "INVALID",
                    format!("a name must have 1 to {MAX_ELEMENT_NAME_BYTES} bytes"),
                );
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
        if depth > MAX_DECLARATION_DEPTH {
            self.report(
                "TOO_DEEP",
                format!("is nested deeper than {MAX_DECLARATION_DEPTH} dicts and lists"),
            );
            return;
        }
        if let Some(number) = element.number
            && (number == 0 || number > MAX_NUMBER || RESERVED.contains(&number))
        {
            let message = format!(
                "a field number must be from 1 to {MAX_NUMBER}, and not from 19000 to 19999"
            );
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
        self.options_without_effect(element);
        match &mut element.kind {
            // A dict without elements is any dict: on the wire the two are the same.
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
                    let message = "the item of a list can be neither optional nor have a default";
                    self.report("INVALID", message.to_owned());
                }
                self.element(item, depth + 1);
            }
            _ => {}
        }
        self.default(element);
    }

    /// Reports options that have no effect on the type.
    fn options_without_effect(&mut self, element: &Element) {
        let name = element.kind.name();
        let is_int = element.kind == Type::Int;
        if !is_int && (element.minimum.is_some() || element.maximum.is_some()) {
            self.report(
                "INVALID",
                format!("has a range, which applies to `Int`, not to `{name}`"),
            );
        }
        if element.kind != Type::Text && !element.one_of.is_empty() {
            self.report(
                "INVALID",
                format!("lists allowed texts, which apply to `Text`, not to `{name}`"),
            );
        }
        if element.one_of.len() > Sio::MAX_ONE_OF {
            let message = format!("lists more than {} texts", Sio::MAX_ONE_OF);
            self.report("TOO_MANY", message);
        }
        let is_dict = matches!(element.kind, Type::Dict(_) | Type::DictList(_));
        if !is_dict && element.unknown_keys.is_some() {
            self.report(
                "INVALID",
                format!("has a policy for undeclared keys, which `{name}` does not have"),
            );
        }
        if let Some(misused) = element.misused {
            self.report("INVALID", format!("`{misused}` does not apply to `{name}`"));
        }
    }

    fn default(&mut self, element: &mut Element) {
        let Some(default) = element.default.take() else {
            return;
        };
        // The default is checked as the only, required element of a declaration.
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
    fn all_violations_of_a_declaration_are_reported_at_once() {
        let sio = Sio::new()
            .input(Int("a").default("x"))
            .input("a")
            .input(Text("").number(19_500))
            .input(DictList("rows").with([Int("n").number(1), Int("m").number(1)]))
            .input(crate::model::sio::Decimal("price").range(0..=1))
            .input(Int("n").one_of(["1"]))
            .input(Text("text").of(Type::Int))
            .input(Text("color").one_of((0..1_001).map(|n| n.to_string())))
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
            ("/input/color", "TOO_MANY"),
            ("/output/l/default/1", "WRONG_TYPE"),
            ("/response_elem", "EMPTY"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn defaults_are_converted_to_canonical_form() {
        let sio = Sio::new().input(Int("n").default("07")).prepared().unwrap();
        let checked = sio.check_input(crate::dict! {}.into()).unwrap();
        assert_eq!(checked.value["n"], Value::Int(7));
    }
}
