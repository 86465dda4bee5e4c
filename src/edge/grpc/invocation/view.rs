//! The view of an invocation that callers get: pending reason, and masked secrets.

use std::sync::Arc;

use prost::Message as _;

use crate::codec::convert::invocation_to_proto;
use crate::codec::proto::v1;
use crate::codec::sio;
use crate::engine::{InvocationView, Invoker, Outlook};
use crate::model::error::Result;
use crate::model::invocation::EventKind;
use crate::model::payload::Payload;

/// Converts an invocation to its message in a view.
pub(super) fn view_to_proto(
    invoker: &Invoker,
    found: InvocationView,
    view: v1::InvocationView,
) -> Result<v1::Invocation> {
    match view {
        v1::InvocationView::Unspecified | v1::InvocationView::Basic => {
            to_proto(invoker, found, false)
        }
        v1::InvocationView::Full => to_proto(invoker, found, true),
        v1::InvocationView::Summary => summary_to_proto(invoker, found),
    }
}

/// Without what may be large.
fn summary_to_proto(invoker: &Invoker, found: InvocationView) -> Result<v1::Invocation> {
    let mut shown = outline_to_proto(invoker, found)?;
    shown.metadata.clear();
    if let Some(progress) = &mut shown.progress {
        progress.value = None;
    }
    if let Some(failure) = &mut shown.last_failure {
        failure.details.clear();
    }
    let outcome = shown.outcome.as_mut().and_then(|it| it.outcome.as_mut());
    if let Some(v1::outcome::Outcome::Failure(failure)) = outcome {
        failure.details.clear();
    }
    Ok(shown)
}

/// Converts an invocation to its message; the full view includes the input, its secrets masked.
fn to_proto(invoker: &Invoker, mut found: InvocationView, full: bool) -> Result<v1::Invocation> {
    if full {
        mask_input(invoker, &mut found);
    }
    invocation_to_proto(&found.invocation, found.pending_reason(), full)
}

/// Adds what lies before an invocation. A group has no attempts, and waits for its members alone.
pub(super) fn add_outlook(invocation: &mut v1::Invocation, outlook: Outlook) {
    if invocation.group.is_some() {
        return;
    }
    let ahead = outlook.ahead.map(u32::try_from);
    invocation.invocations_ahead = ahead.map(|ahead| ahead.unwrap_or(u32::MAX));
    invocation.key_holder_cid = outlook
        .key_holder
        .map(|cid| cid.to_string())
        .unwrap_or_default();
    invocation.max_attempts = outlook.max_attempts;
    invocation.paused = outlook.paused;
}

/// Converts an invocation to its message, without its response. That of a group stays: it is small, and the counts in
/// it say how the group ended.
pub(in crate::edge::grpc) fn outline_to_proto(
    invoker: &Invoker,
    found: InvocationView,
) -> Result<v1::Invocation> {
    let mut shown = to_proto(invoker, found, false)?;
    if shown.group.is_some() {
        return Ok(shown);
    }
    if let Some(outcome) = &mut shown.outcome {
        let is_failure =
            |outcome: &v1::outcome::Outcome| matches!(outcome, v1::outcome::Outcome::Failure(_));
        outcome.outcome = outcome.outcome.take().filter(is_failure);
        outcome.data_format = i32::default();
    }
    Ok(shown)
}

/// Masks the secrets of an outcome: lists show them masked, `GetInvocation` of a single CID does not.
pub(super) fn mask_outcome(invoker: &Invoker, found: &mut InvocationView) {
    let service = found.invocation.request.service.as_str();
    let Ok(definition) = invoker.definition(service) else {
        return;
    };
    let sio = definition.declaration();
    if let Some(last) = found.invocation.events.last_mut()
        && sio.has_secrets()
        && let EventKind::Succeeded(reply) = &mut Arc::make_mut(last).kind
    {
        let payload = std::mem::replace(&mut reply.payload, Payload::empty());
        reply.payload = sio::masked_output(sio, payload);
    }
}

/// Masks the secrets of an input: only the handler reads them.
fn mask_input(invoker: &Invoker, found: &mut InvocationView) {
    let request = &mut found.invocation.request;
    let Ok(definition) = invoker.definition(request.service.as_str()) else {
        return;
    };
    let sio = definition.declaration();
    if sio.has_secrets() {
        let masked = sio::masked_input(sio, request.input.clone());
        Arc::make_mut(request).input = masked;
    }
}

/// Leaves out of a listed invocation what has no room on its page: its attempts first, its outcome last. Only what is
/// larger than a page on its own is ever left out, or what grew after the store was read.
pub(super) fn leave_out_large(invocation: &mut v1::Invocation, room: usize) {
    let parts: [fn(&mut v1::Invocation); 4] = [
        |it| it.attempts.clear(),
        |it| it.input = None,
        |it| it.progress = None,
        |it| it.outcome = None,
    ];
    for leave_out in parts {
        if invocation.encoded_len() <= room {
            return;
        }
        leave_out(invocation);
    }
}
