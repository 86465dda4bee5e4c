//! Dispatches with sample inputs, and the check of their results.

use std::time::Duration;

use prost::Message as _;

use super::report::Fault;
use super::rules;
use crate::codec::convert::{
    dispatch_outcome_from_proto, duration_to_proto, payload_to_proto, timestamp_to_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::dispatch_result::Outcome;
use crate::engine::clock::Clock;
use crate::model::error::Kind;
use crate::model::id::Cid;
use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::model::value::Value;
use crate::service::Definition;

/// The largest message that a node with default limits sends.
const MAX_NODE_MESSAGE_BYTES: usize = 16 << 20;
/// The bytes that a node keeps free around an input.
const ENVELOPE_BYTES: usize = 1024;
/// The longest list of violations in a fault.
const MAX_SHOWN_VIOLATIONS: usize = 3;

/// A dispatch of a service, with a sample input.
pub(super) fn sample_dispatch(definition: &Definition, timeout: Duration) -> v1::Dispatch {
    let sample = Payload::Value(definition.declaration().sample_input());
    // A node dispatches the input in its canonical form.
    let admitted = definition.admit(sample.clone());
    let input = admitted.map_or(sample, |admitted| admitted.input);
    dispatch(definition, input, timeout)
}

fn dispatch(definition: &Definition, input: Payload, timeout: Duration) -> v1::Dispatch {
    let (input, data_format) = payload_to_proto(input).ok().unzip();
    let cid = Cid::new().to_string();
    let deadline = Clock::System.now().checked_add(timeout).ok();
    v1::Dispatch {
        token: Token::new().to_string(),
        cid: cid.clone(),
        service: definition.name().to_string(),
        attempt: 1,
        input,
        data_format: data_format.unwrap_or_default(),
        timeout: Some(duration_to_proto(timeout)),
        deadline: deadline.map(timestamp_to_proto),
        root_cid: cid,
        ..v1::Dispatch::default()
    }
}

/// A dispatch that is nearly as large as the worker accepts, and as a node sends.
pub(super) fn large_dispatch(
    definition: &Definition,
    timeout: Duration,
    max_message_bytes: usize,
) -> v1::Dispatch {
    let limit = max_message_bytes.min(MAX_NODE_MESSAGE_BYTES);
    let bytes = limit.saturating_sub(ENVELOPE_BYTES);
    let padded = |length: usize| {
        let mut input = definition.declaration().sample_input();
        pad(&mut input, "x".repeat(length));
        dispatch(definition, Payload::Value(input), timeout)
    };
    let smallest = padded(0).encoded_len();
    // The lengths of the nested fields take some bytes more.
    padded(bytes.saturating_sub(smallest + 64))
}

/// Puts a text into the first element of an input that holds text, or else into a new one.
fn pad(input: &mut Value, text: String) {
    let dict = match input {
        Value::List(rows) => rows.first_mut(),
        input => Some(input),
    };
    let Some(Value::Dict(dict)) = dict else {
        return;
    };
    let is_text = |(_, value): &(&str, &Value)| matches!(value, Value::Text(_));
    let key = dict.iter().find(is_text).map(|(key, _)| key.to_owned());
    dict.insert(key.unwrap_or_else(|| "padding".to_owned()), text);
}

/// Checks the outcome of a result. Returns how it ended: a response or a failure.
pub(super) fn check_result(
    definition: &Definition,
    result: v1::DispatchResult,
    can_answer_later: bool,
) -> Result<Option<String>, Fault> {
    let broken = |seen: String| Err(rules::OUTPUT.broken(seen));
    match &result.outcome {
        None => return broken("a result without an outcome".to_owned()),
        Some(Outcome::Later(_)) if can_answer_later => {
            return Ok(Some("answers later".to_owned()));
        }
        Some(Outcome::Later(_)) => {
            return broken("an answer `later`, but no CAPABILITY_LATER in the hello".to_owned());
        }
        Some(Outcome::Failure(failure)) if Kind::from_grpc_code(failure.code).is_none() => {
            return broken(format!("a failure with the code {}", failure.code));
        }
        Some(_) => {}
    }
    match dispatch_outcome_from_proto(result) {
        Ok(Ok(reply)) => match definition.check_output(reply) {
            Ok(_) => Ok(None),
            Err(error) => {
                let violations = error.field_violations().iter().take(MAX_SHOWN_VIOLATIONS);
                let violations: Vec<String> = violations.map(ToString::to_string).collect();
                broken(format!("{}: {}", error.message(), violations.join("; ")))
            }
        },
        Ok(Err(failure)) => Ok(Some(format!(
            "failed: {} {}",
            failure.reason(),
            failure.message()
        ))),
        Err(error) => broken(error.message().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sio::{Int, Sio, Text};

    fn definition(sio: Sio) -> Definition {
        let name = "a.task".parse().unwrap();
        let definition = Definition::served_by_workers(name, sio, Default::default());
        definition.prepared().unwrap()
    }

    #[test]
    fn a_large_dispatch_is_just_below_the_limit() {
        let second = Duration::from_secs(1);
        for sio in [Sio::new(), Sio::new().input(Int("n")).input(Text("text"))] {
            let limit = 100_000;
            let large = large_dispatch(&definition(sio), second, limit);
            let bytes = large.encoded_len() + ENVELOPE_BYTES;
            assert!(bytes <= limit && bytes > limit - 200, "{bytes}");
        }
    }
}
