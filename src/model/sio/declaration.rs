//! The declaration of a service's input and output, and its builder.

use super::{CsvOptions, Element, EmptyStrings, UnknownKeys};
use crate::model::value::Value;

/// The declaration of a service's input and output.
///
/// ```
/// use cidery::sio::{Int, Sio, Text};
///
/// let sio = Sio::new()
///     .input("cust_id")
///     .optional_input(Int("age").default(18))
///     .output(Text("cust_name"))
///     .response_elem("customer");
/// assert!(sio.input.unwrap().elements[1].optional);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sio {
    /// The input. `None`: any value.
    pub input: Option<Elements>,
    /// The output. `None`: any value.
    pub output: Option<Elements>,
    /// The key that wraps the output, if there is one.
    pub response_elem: Option<String>,
    /// The policy for undeclared keys. Default: [`UnknownKeys::Drop`].
    pub unknown_keys: UnknownKeys,
    /// The policy for empty texts. Default: [`EmptyStrings::Refuse`].
    pub empty_strings: EmptyStrings,
    /// The dialect of CSV documents.
    pub csv: CsvOptions,
    /// Whether the types of bare names are inferred.
    pub(super) infers: bool,
}

/// The declared elements of one direction, in declaration order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Elements {
    /// The elements of the dict, or of each dict of the list; the only one is the value where `shape` says so.
    pub elements: Vec<Element>,
    /// What has these elements. Default: one dict.
    pub shape: Shape,
    /// The policy for undeclared keys. Default: that of the whole declaration.
    pub unknown_keys: Option<UnknownKeys>,
}

/// What has the declared elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A dict.
    #[default]
    Dict,
    /// A list of dicts.
    List,
    /// A value that is not a dict, such as a number or a text: the only element is its type.
    Value,
}

impl Sio {
    /// The limit of elements in one declaration, nested ones included.
    pub const MAX_ELEMENTS: usize = 1_000;

    /// The maximum number of texts in one `one_of`.
    pub const MAX_ONE_OF: usize = 1_000;

    /// Creates an empty declaration: any input, any output.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an element to the input. It is required unless declared otherwise (`"-name"`, [`Element::optional`],
    /// [`Element::default`]).
    #[must_use]
    pub fn input(mut self, element: impl Into<Element>) -> Self {
        let element = self.inferred(element.into());
        self.input.get_or_insert_default().elements.push(element);
        self
    }

    /// Adds an optional element to the input.
    #[must_use]
    pub fn optional_input(self, element: impl Into<Element>) -> Self {
        self.input(element.into().optional())
    }

    /// Adds an element to the output. It is required unless declared otherwise.
    #[must_use]
    pub fn output(mut self, element: impl Into<Element>) -> Self {
        let element = self.inferred(element.into());
        self.output.get_or_insert_default().elements.push(element);
        self
    }

    /// Adds an optional element to the output.
    #[must_use]
    pub fn optional_output(self, element: impl Into<Element>) -> Self {
        self.output(element.into().optional())
    }

    /// Declares that the input has no elements; it is not read.
    #[must_use]
    pub fn no_input(mut self) -> Self {
        self.input = Some(Elements::default());
        self
    }

    /// Declares that the output has no elements; the response is the empty dict.
    #[must_use]
    pub fn no_output(mut self) -> Self {
        self.output = Some(Elements::default());
        self
    }

    /// Declares that the input is a list of the declared dicts.
    #[must_use]
    pub fn list_input(mut self) -> Self {
        self.input.get_or_insert_default().shape = Shape::List;
        self
    }

    /// Declares that the output is a list of the declared dicts.
    #[must_use]
    pub fn list_output(mut self) -> Self {
        self.output.get_or_insert_default().shape = Shape::List;
        self
    }

    /// Wraps the output: `{"my_response_elem": ..}`.
    #[must_use]
    pub fn response_elem(mut self, key: impl Into<String>) -> Self {
        self.response_elem = Some(key.into());
        self
    }

    /// Sets the policy for undeclared keys. Default: they are dropped.
    #[must_use]
    pub fn unknown_keys(mut self, policy: UnknownKeys) -> Self {
        self.unknown_keys = policy;
        self
    }

    /// Sets the policy for empty texts. Default: they are texts.
    #[must_use]
    pub fn empty_strings(mut self, policy: EmptyStrings) -> Self {
        self.empty_strings = policy;
        self
    }

    /// Sets the dialect of CSV documents. Default: RFC 4180 with a header.
    #[must_use]
    pub fn csv(mut self, options: CsvOptions) -> Self {
        self.csv = options;
        self
    }

    /// Infers the types of all bare names, earlier and later ones, by the rules of Zato: `id`, `*_id`, `*_count`,
    /// `*_size` and `*_timeout` are `Int`, `is_*`, `has_*` and the like `Bool`, `password`, `token` and the like
    /// `Secret`, all others `Text`. Default: off, a bare name takes any value.
    #[must_use]
    pub fn infer_types(mut self) -> Self {
        self.infers = true;
        for side in [&mut self.input, &mut self.output].into_iter().flatten() {
            side.elements.iter_mut().for_each(Element::infer);
        }
        self
    }

    /// Whether an input or an output is declared.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// Strips `response_elem` from a response: the value of that key, or the response itself where the key is missing.
    ///
    /// Keys that a hook added beside it are dropped: the declared output is what the key holds.
    #[must_use]
    pub fn strip_response_elem(&self, mut response: Value) -> Value {
        let output = match (&self.response_elem, &mut response) {
            (Some(key), Value::Dict(dict)) => dict.remove(key),
            _ => None,
        };
        output.unwrap_or(response)
    }

    fn inferred(&self, mut element: Element) -> Element {
        if self.infers {
            element.infer();
        }
        element
    }
}
