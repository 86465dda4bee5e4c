//! A hint for JavaScript clients that send a plain object as a `google.protobuf.Struct`.
//!
//! Their generated code drops the keys of `{sku: 'pen'}`, which are not fields of `Struct`, so that it arrives empty.

use tonic::metadata::MetadataMap;

use crate::model::error::{Error, reason};
use crate::model::payload::Payload;

/// Part of the user agent of gRPC clients in Node.js.
const USER_AGENT: &str = "grpc-node";
/// The code of violations by absent elements.
const MISSING: &str = "MISSING";

/// Whether a request may have lost a plain object: a client in Node.js sends an empty `Struct`.
pub(super) fn may_be_lost(transport: &MetadataMap, input: &Payload) -> bool {
    let agent = transport.get("user-agent");
    let is_node =
        agent.is_some_and(|agent| agent.to_str().is_ok_and(|agent| agent.contains(USER_AGENT)));
    is_node && matches!(input, Payload::Struct(bytes) if bytes.is_empty())
}

/// Adds what a `Struct` looks like in JavaScript to the error of a service that requires elements.
pub(super) fn explain(error: Error) -> Error {
    let mut violations = error.field_violations().iter();
    let Some(missing) = violations.find(|violation| violation.code == MISSING) else {
        return error;
    };
    if error.reason() != reason::INPUT_INVALID {
        return error;
    }
    let message = format!(
        "{}; the payload arrived empty: in JavaScript, write a `Struct` as {{fields: {{{}: {{stringValue: '...'}}}}}} \
         (`numberValue`, `boolValue`), or call the typed method of the service with a plain object (proto-loader: with \
         `keepCase: true`)",
        error.message(),
        missing.path.trim_start_matches('/'),
    );
    error.with_message(message)
}
