//! Hints for callers whose requests may not say what they mean.
//!
//! Generated code for JavaScript drops what is not a field: a plain object as a `Struct`, a `Date` as a `Timestamp` and
//! a misspelled field arrive empty, and nothing else tells the caller. Only clients in Node.js get these hints, and
//! only their inputs are searched. The hint is the metadata `cidery-hint` of the response, and `hint` in the
//! `ErrorInfo` of a failure: not its message, which users may read.

use http::header::USER_AGENT;
use tonic::Response;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::codec::convert::PayloadOneof;
use crate::codec::status::{HINT, HINT_KEY};
use crate::codec::struct_pb::{EmptyKind, EmptyMember, empty_in_struct, empty_in_value};
use crate::codec::typed::Body;
use crate::engine::Invoker;
use crate::model::error::{Error, reason};
use crate::model::payload::{Format, Payload};
use crate::model::sio::{Element, Shape, Type};

/// Part of the user agent of gRPC clients in Node.js.
const NODE_AGENT: &[u8] = b"grpc-node";
/// The code of violations by a `Value` that is empty.
const NO_KIND: &str = "NO_KIND";
/// The longest path in a hint, in bytes: a hint has to fit into a header.
const MAX_PATH_BYTES: usize = 80;
/// Another way to send an input that is a `Struct` or a `Value`.
const AS_DOCUMENT: &str = ", or send document: Buffer.from(JSON.stringify(...)) instead";

/// What may be wrong with a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Hint {
    /// The client runs in Node.js.
    is_node: bool,
    text: Option<Box<str>>,
}

/// Whether a client runs in Node.js.
fn is_node(transport: &MetadataMap) -> bool {
    let agent = transport.as_ref().get(USER_AGENT);
    agent.is_some_and(|agent| {
        let mut parts = agent.as_bytes().windows(NODE_AGENT.len());
        parts.any(|part| part == NODE_AGENT)
    })
}

impl Hint {
    fn new(transport: &MetadataMap, text: impl FnOnce() -> Option<String>) -> Self {
        if !is_node(transport) {
            return Self::default();
        }
        let text = text().map(String::into_boxed_str);
        Self {
            is_node: true,
            text,
        }
    }

    /// Looks for what arrived empty in a payload that is sent to a service.
    pub(super) fn of_input<O: PayloadOneof + Clone>(
        transport: &MetadataMap,
        invoker: &Invoker,
        service: &str,
        input: Option<&O>,
    ) -> Self {
        Self::new(transport, || input_hint(invoker, service, input, ""))
    }

    /// Looks for what arrived empty in the payloads of a batch: the first one is named.
    pub(super) fn of_inputs<'a, O: PayloadOneof + Clone + 'a>(
        transport: &MetadataMap,
        invoker: &Invoker,
        inputs: impl Iterator<Item = (&'a str, Option<&'a O>)>,
    ) -> Self {
        Self::new(transport, || {
            inputs.enumerate().find_map(|(position, (service, input))| {
                let path = format!("/requests/{position}/payload");
                input_hint(invoker, service, input, &path)
            })
        })
    }

    /// Looks for what arrived empty in the request of a typed method.
    pub(super) fn of_message(transport: &MetadataMap, request: &Body, message: &[u8]) -> Self {
        // Nothing can be lost of other messages.
        if !message.is_empty() && !request.has_messages() {
            return Self::default();
        }
        Self::new(transport, || {
            let found = request.empty_member(message)?;
            Some(of_member(&found, "the message", KEY, SAMPLE))
        })
    }

    /// Sets the hint, unless there is one.
    pub(super) fn or(&mut self, text: impl FnOnce() -> Option<String>) {
        if self.text.is_none() {
            self.text = text().map(String::into_boxed_str);
        }
    }

    /// Adds the hint to the error of a call.
    pub(super) fn explain(&self, error: Error) -> Error {
        if let Some(text) = self.no_kind(&error) {
            return error.with_info(HINT, text);
        }
        match &self.text {
            None => error,
            Some(text) => error.with_info(HINT, text),
        }
    }

    /// The hint for a `Value` that arrived empty: it is malformed.
    fn no_kind(&self, error: &Error) -> Option<String> {
        if !self.is_node || error.reason() != reason::VALUE_INVALID {
            return None;
        }
        let mut violations = error.field_violations().iter();
        let found = violations.find(|violation| violation.code == NO_KIND)?;
        let what = quoted(&found.path, "the value");
        Some(format!(
            "{what} arrived empty; in JavaScript, write a Value as {{stringValue: '...'}}, {{numberValue: 1}} or \
             {{structValue: {{fields: {{...}}}}}}"
        ))
    }

    /// Adds the hint to a response: the call may not have done what its caller wanted.
    pub(super) fn add<T>(&self, response: &mut Response<T>) {
        let text = self.text.as_deref();
        if let Some(hint) = text.and_then(|text| MetadataValue::try_from(text).ok()) {
            response.metadata_mut().insert(HINT_KEY, hint);
        }
    }
}

/// The key and the value of an example, where the declaration has none.
const KEY: &str = "KEY";
const SAMPLE: &str = "stringValue: '...'";

fn input_hint<O: PayloadOneof + Clone>(
    invoker: &Invoker,
    service: &str,
    input: Option<&O>,
    path: &str,
) -> Option<String> {
    let found = match input?.clone().into_payload(Format::Json)? {
        Payload::Struct(bytes) => empty_in_struct(&bytes),
        Payload::Any(bytes) => empty_in_value(&bytes),
        Payload::Value(_) | Payload::Document(..) => None,
    }?;
    // Whoever may not invoke it learns nothing of its declaration.
    let shown = invoker.sees_service(service);
    let definition = invoker.definition(service).ok().filter(|_| shown);
    let declared = definition.as_ref();
    let declared = declared.and_then(|definition| definition.declaration().input.as_ref());
    let is_whole = found.path.is_empty();
    let example = match declared {
        // The service takes nothing.
        Some(declared) if is_whole && declared.elements.is_empty() => return None,
        Some(declared) if is_whole && declared.shape != Shape::Value => {
            let required = declared.elements.iter().find(|element| !element.optional);
            required.or_else(|| declared.elements.first())
        }
        _ => None,
    };
    let (key, value) = example.map_or((KEY, SAMPLE), example_of);
    let what = quoted(path, "the payload");
    let found = EmptyMember {
        path: match is_whole {
            true => String::new(),
            false => format!("{path}{}", found.path),
        },
        ..found
    };
    let typed = match declared {
        Some(_) => ", or call the typed method with a plain object (keepCase: true)",
        None => "",
    };
    Some(format!(
        "{}{AS_DOCUMENT}{typed}",
        of_member(&found, &what, key, value)
    ))
}

/// The key of an element and an example of its value, in the form that `Value` has in JavaScript.
fn example_of(element: &Element) -> (&str, &'static str) {
    let value = match &element.kind {
        Type::Int | Type::Float => "numberValue: 1",
        Type::Bool => "boolValue: true",
        Type::List(_) | Type::DictList(_) => "listValue: {values: [...]}",
        Type::Dict(_) => "structValue: {fields: {...}}",
        _ => SAMPLE,
    };
    match is_printable(&element.name) {
        true => (&element.name, value),
        false => (KEY, value),
    }
}

/// The hint for an empty member, which is `whole` where it has no path.
fn of_member(found: &EmptyMember, whole: &str, key: &str, value: &str) -> String {
    let what = quoted(&found.path, whole);
    let advice = match found.kind {
        EmptyKind::Struct => format!("write a Struct as {{fields: {{{key}: {{{value}}}}}}}"),
        EmptyKind::List => format!("write a ListValue as {{values: [{{{value}}}]}}"),
        EmptyKind::Timestamp => {
            "write a Timestamp as {seconds: Math.floor(date / 1000), nanos: date % 1000 * 1e6}"
                .to_owned()
        }
        EmptyKind::Message => "keys that are not fields are dropped (proto-loader: fields have \
                               their declared names with keepCase: true)"
            .to_owned(),
    };
    format!("{what} arrived empty; in JavaScript, {advice}")
}

/// A path for a hint; `whole` without one.
fn quoted(path: &str, whole: &str) -> String {
    match path {
        "" => whole.to_owned(),
        path if is_printable(path) => format!("`{path}`"),
        _ => "a part of the input".to_owned(),
    }
}

/// Whether a text can be part of a header.
fn is_printable(text: &str) -> bool {
    text.len() <= MAX_PATH_BYTES && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
