//! Hints for JavaScript clients that send a plain object as a `google.protobuf.Struct` or `Value`.
//!
//! Their generated code drops the keys of `{sku: 'pen'}`, which are not fields of these messages, so that it arrives
//! empty.

use tonic::Response;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::model::error::{Error, reason};
use crate::model::payload::Payload;

/// The metadata key of a hint that a successful response has: the call may not have done what its caller wanted.
pub(in crate::edge::grpc) const HINT_KEY: &str = "cidery-hint";
/// Part of the user agent of gRPC clients in Node.js.
const USER_AGENT: &str = "grpc-node";
/// The code of violations by absent elements.
const MISSING: &str = "MISSING";
/// The code of violations by a `Value` that is empty.
const NO_KIND: &str = "NO_KIND";
/// The hint of a response to an empty `Struct`: ASCII, as all headers.
const EMPTY_PAYLOAD: &str = "the payload arrived empty; in JavaScript, write a Struct as {fields: {KEY: {stringValue: \
                             '...'}}}, or call the typed method of the service with a plain object";

/// What may be lost of the input of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge::grpc) struct PlainObject {
    /// The client runs in Node.js.
    is_node: bool,
    /// A payload is there, and is empty.
    is_empty: bool,
}

/// Whether a client generates code that drops unknown keys: it runs in Node.js.
pub(in crate::edge::grpc) fn is_node(transport: &MetadataMap) -> bool {
    let agent = transport.get("user-agent");
    agent.is_some_and(|agent| agent.to_str().is_ok_and(|agent| agent.contains(USER_AGENT)))
}

impl PlainObject {
    /// Looks at the input of a request. `is_given`: whether the request has one.
    pub(super) fn new(transport: &MetadataMap, is_given: bool, input: &Payload) -> Self {
        let is_empty = matches!(input, Payload::Struct(bytes) if bytes.is_empty());
        Self {
            is_node: is_node(transport),
            is_empty: is_given && is_empty,
        }
    }

    /// Adds to the error of a call how its input is written in JavaScript.
    pub(super) fn explain(self, error: Error) -> Error {
        if !self.is_node {
            return error;
        }
        let find = |code: &str| {
            let mut violations = error.field_violations().iter();
            violations.find(|violation| violation.code == code)
        };
        let hint = match error.reason() {
            reason::INPUT_INVALID if self.is_empty => find(MISSING).map(|missing| {
                let key = missing.path.trim_start_matches('/');
                format!(
                    "the payload arrived empty: in JavaScript, write a `Struct` as {{fields: {{{key}: {{stringValue: \
                     '...'}}}}}} (`numberValue`, `boolValue`), or call the typed method of the service with a plain \
                     object (proto-loader: with `keepCase: true`)"
                )
            }),
            reason::VALUE_INVALID => find(NO_KIND).map(|_| {
                "in JavaScript, write a `Value` as {stringValue: '...'}, {numberValue: 1} or {structValue: {fields: \
                 {...}}}"
                    .to_owned()
            }),
            _ => None,
        };
        with_hint(error, hint)
    }

    /// Adds the hint to a response: a service that requires nothing accepts an empty input.
    pub(super) fn add_hint<T>(self, response: &mut Response<T>) {
        if self.is_node && self.is_empty {
            let hint = MetadataValue::from_static(EMPTY_PAYLOAD);
            response.metadata_mut().insert(HINT_KEY, hint);
        }
    }
}

/// Adds to the error of a typed method what an empty message in JavaScript means.
pub(in crate::edge::grpc) fn explain_empty_message(error: Error) -> Error {
    let violations = error.field_violations();
    let is_missing = violations.iter().any(|violation| violation.code == MISSING);
    let hint = is_missing && error.reason() == reason::INPUT_INVALID;
    let hint = hint.then(|| {
        "the message arrived empty: in JavaScript, keys that are not fields are dropped (proto-loader: fields have \
         their declared names with `keepCase: true`)"
            .to_owned()
    });
    with_hint(error, hint)
}

fn with_hint(error: Error, hint: Option<String>) -> Error {
    match hint {
        None => error,
        Some(hint) => {
            let message = format!("{}; {hint}", error.message());
            error.with_message(message)
        }
    }
}
