//! Prints the events of an invocation as they arrive: items and the response as data, everything else as notes.

use super::printer::{Printer, Tone};
use crate::codec::convert::{
    PayloadOneof as _, failure_from_proto, format_from_proto, outcome_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::stream_results_response::Event;
use crate::codec::struct_pb;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::{Format, Payload};
use crate::model::value::Value;
use crate::remote::client::ContractClient;

/// Follows an invocation to its end. Returns its failure, if it fails.
pub(super) async fn follow(client: &ContractClient, cid: Cid, printer: &Printer) -> Result<()> {
    let mut results = client.results(cid).await?;
    while let Some(response) = results.next().await? {
        if let Some(outcome) = show(response, cid, printer) {
            return outcome;
        }
    }
    Ok(())
}

/// Prints one event; returns the outcome if it is the last one.
pub(super) fn show(
    response: v1::StreamResultsResponse,
    cid: Cid,
    printer: &Printer,
) -> Option<Result<()>> {
    let attempt = response.attempt;
    let event = response.event?;
    if !matches!(event, Event::Progress(_)) {
        printer.clear_transient();
    }
    match event {
        Event::Accepted(event) => {
            printer.note(Tone::Quiet, &format!("{cid}  accepted  {}", event.service));
        }
        Event::Started(_) => {
            printer.note(Tone::Quiet, &format!("{cid}  started   attempt {attempt}"))
        }
        Event::Progress(event) => {
            printer.transient(&progress_bar(&event.progress.unwrap_or_default()))
        }
        Event::Item(event) => match item(event) {
            Ok(value) => printer.line(&value),
            Err(error) => return Some(Err(error)),
        },
        Event::RetryScheduled(event) => {
            let failure = failure_from_proto(event.failure.unwrap_or_default());
            let text = format!("{cid}  retry     attempt {attempt} failed: {failure}");
            printer.note(Tone::Warning, &text);
        }
        last => {
            if matches!(last, Event::Succeeded(_)) {
                printer.note(Tone::Good, &format!("{cid}  succeeded"));
            }
            let outcome = outcome_from_proto(last).transpose()?;
            let reply = outcome.and_then(|outcome| outcome.map_err(|error| error.with_cid(cid)));
            return Some(reply.and_then(|reply| printer.payload(reply.payload)));
        }
    }
    None
}

fn progress_bar(progress: &v1::Progress) -> String {
    const WIDTH: usize = 24;
    let Some(fraction) = progress.fraction else {
        return progress.message.clone();
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a fraction of a small width"
    )]
    let done = (fraction.clamp(0.0, 1.0) * WIDTH as f64) as usize;
    format!(
        "[{}{}] {:3.0} %  {}",
        "#".repeat(done),
        "-".repeat(WIDTH - done),
        fraction * 100.0,
        progress.message
    )
}

fn item(event: v1::ItemEvent) -> Result<Value> {
    match event.item {
        Some(v1::item_event::Item::Payload(bytes)) => {
            struct_pb::decode_dict(&bytes).map(Value::Dict)
        }
        Some(v1::item_event::Item::Value(bytes)) => struct_pb::decode_value(&bytes),
        None => Ok(Value::Null),
    }
}

/// The outcome of an invocation; an error with its state if it has not ended.
pub(super) fn outcome(invocation: v1::Invocation, cid: Cid) -> Result<Payload> {
    let state = v1::State::try_from(invocation.state).unwrap_or_default();
    let Some(outcome) = invocation.outcome else {
        let state = state.as_str_name().trim_start_matches("STATE_");
        let attempt = invocation.attempt;
        let message = format!("{cid} has not ended: it is {state}, attempt {attempt}");
        return Err(Error::failed_precondition("NOT_ENDED", message).with_cid(cid));
    };
    let format = format_from_proto("/data_format", outcome.data_format)?.unwrap_or(Format::Json);
    match outcome.outcome {
        Some(v1::outcome::Outcome::Failure(failure)) => {
            Err(failure_from_proto(failure).with_cid(cid))
        }
        Some(output) => Ok(output.into_payload(format).unwrap_or(Payload::empty())),
        None => Err(Error::internal(
            reason::TRANSPORT,
            "the node answered with an empty outcome",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_bar_matches_the_fraction() {
        let at = |fraction| {
            progress_bar(&v1::Progress {
                fraction: Some(fraction),
                message: "x".to_owned(),
                value: None,
            })
        };
        assert!(at(0.0).starts_with("[------------------------]   0 %"));
        assert!(at(0.5).starts_with("[############------------]  50 %"));
        assert!(at(7.0).starts_with("[########################]"));
    }
}
