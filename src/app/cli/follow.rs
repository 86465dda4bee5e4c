//! Prints the events of an invocation as they arrive: items and the response as data, everything else as notes.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::names::{reason_name, state_name};
use super::objects;
use super::printer::{Printer, Tone, of_stored};
use super::retry_note::across_restarts;
use super::times::{between, duration_text, local_time, time_of_day};
use crate::app::escape;
use crate::codec::convert::{
    PayloadOneof as _, failure_from_proto, format_from_proto, outcome_from_proto,
    timestamp_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::stream_results_response::Event;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::{Format, Payload};
use crate::remote::client::ContractClient;

/// Follows an invocation to its end, or until it is held. Returns its failure, if it fails.
///
/// # Errors
///
/// Also `UNAVAILABLE` / `CONNECT_FAILED` where the node cannot be reached for about a minute: the invocation continues.
pub(super) async fn follow(client: &ContractClient, cid: Cid, printer: &Printer) -> Result<()> {
    let is_lost = |error: &Error| {
        error.cid().is_none()
            && [reason::CONNECT_FAILED, reason::TRANSPORT].contains(&error.reason())
    };
    match show_events(client, cid, printer).await {
        Err(error) if is_lost(&error) => Err(detached(client.node(), cid, &error)),
        outcome => outcome,
    }
}

/// The error of a command that follows an invocation and has lost the node.
fn detached(node: &str, cid: Cid, error: &Error) -> Error {
    let message = format!("detached from {cid}: lost the node {node}: {error}");
    Error::unavailable(reason::CONNECT_FAILED, message).with_cid(cid)
}

async fn show_events(client: &ContractClient, cid: Cid, printer: &Printer) -> Result<()> {
    let mut results = across_restarts(client, printer).results(cid).await?;
    let mut follower = Follower::new(cid, printer);
    if printer.is_name() {
        printer.data(&cid.to_string());
    }
    printer.note(Tone::Quiet, &format!("following {cid}"));
    while let Some(response) = results.next().await? {
        if let Some(outcome) = follower.show(&response) {
            return outcome;
        }
        // One that was held before and retried since has the same event.
        if is_held(&response)
            && reason_name(&client.invocation(cid, Duration::ZERO).await?) == "HELD"
        {
            return Err(held(cid, response.attempt));
        }
    }
    Ok(())
}

/// Whether the event says that no attempt is left, and the invocation is held.
fn is_held(response: &v1::StreamResultsResponse) -> bool {
    matches!(&response.event, Some(Event::RetryScheduled(event)) if event.start_time.is_none())
}

/// `DEADLINE_EXCEEDED` / `STILL_RUNNING`: a held invocation ends only when an operator decides.
fn held(cid: Cid, attempt: u32) -> Error {
    let message = format!(
        "{cid} has not ended: it is held after attempt {attempt}; `cidery retry {cid}` or `cidery cancel {cid}`"
    );
    Error::deadline_exceeded(reason::STILL_RUNNING, message).with_cid(cid)
}

/// Prints the events of one invocation. A progress bar is shown where standard error is a terminal.
pub(super) struct Follower<'a> {
    cid: Cid,
    printer: &'a Printer,
    /// From the first progress report to the next event of another kind.
    bar: Option<ProgressBar>,
    /// When progress was noted last.
    noted: Option<Timestamp>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(cid: Cid, printer: &'a Printer) -> Self {
        Self {
            cid,
            printer,
            bar: None,
            noted: None,
        }
    }

    /// Prints one event; returns the outcome if it is the last one.
    pub(super) fn show(&mut self, response: &v1::StreamResultsResponse) -> Option<Result<()>> {
        if let Some(Event::Progress(event)) = &response.event
            && self.printer.has_reader()
        {
            let bar = self.bar.get_or_insert_with(|| {
                ProgressBar::with_draw_target(Some(PROGRESS_STEPS), ProgressDrawTarget::stderr())
            });
            event
                .progress
                .iter()
                .for_each(|progress| show_progress(bar, progress));
        } else if let Some(Event::Progress(event)) = &response.event {
            self.note_progress(response, event);
        } else if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let is_last = !matches!(
            response.event.as_ref()?,
            Event::Accepted(_)
                | Event::Started(_)
                | Event::Progress(_)
                | Event::Item(_)
                | Event::RetryScheduled(_)
        );
        if is_last {
            return self.show_outcome(response);
        }
        let shown = match self.printer.is_table() {
            true => self.show_text(response),
            false => objects::event(response).map(|event| {
                self.printer.event(|| event);
            }),
        };
        shown.err().map(Err)
    }

    fn show_outcome(&self, response: &v1::StreamResultsResponse) -> Option<Result<()>> {
        let outcome = outcome_from_proto(response.event.clone()?).transpose()?;
        let outcome = outcome.and_then(|outcome| outcome);
        let outcome = outcome.map_err(|error| match response.event {
            Some(Event::NotFound(_)) => error,
            _ => of_stored(error, self.cid),
        });
        if !self.printer.is_table() {
            return Some(
                objects::outcome_event(response, &outcome).and_then(|event| {
                    self.printer.event(|| event);
                    outcome.map(drop)
                }),
            );
        }
        let (tone, what) = match response.event.as_ref()? {
            Event::Succeeded(_) => (Tone::Good, "succeeded"),
            Event::Cancelled(_) => (Tone::Warning, "cancelled"),
            Event::Expired(_) => (Tone::Warning, "expired"),
            Event::Failed(_) => (Tone::Warning, "failed"),
            _ => (Tone::Warning, "not found"),
        };
        self.note(tone, response, what, "");
        Some(outcome.and_then(|reply| self.printer.response(self.cid, reply.payload)))
    }

    fn show_text(&self, response: &v1::StreamResultsResponse) -> Result<()> {
        let attempt = response.attempt;
        let event_time = time(response.event_time.as_ref());
        match &response.event {
            Some(Event::Accepted(event)) => {
                let start = time(event.start_time.as_ref());
                let delayed = start.zip(event_time).filter(|(start, now)| start > now);
                let delay = delayed.map(|(start, now)| {
                    let delay = duration_text(between(now, start));
                    format!(", starts at {} (in {delay})", local_time(start))
                });
                let text = format!("{}{}", event.service, delay.unwrap_or_default());
                self.note(Tone::Quiet, response, "accepted", &text);
            }
            Some(Event::Started(event)) => {
                let worker = match event.worker.as_str() {
                    "" => "the node",
                    worker => worker,
                };
                let text = format!("attempt {attempt} on {worker}");
                self.note(Tone::Quiet, response, "started", &text);
            }
            Some(Event::Item(event)) => self.printer.line(&objects::item(event)?),
            Some(Event::RetryScheduled(event)) => {
                let failure = failure_from_proto(event.failure.clone().unwrap_or_default());
                let start = time(event.start_time.as_ref());
                let next = start.zip(event_time).map(|(start, now)| {
                    let (at, delay) = (time_of_day(start), duration_text(between(now, start)));
                    format!("; next attempt at {at} (in {delay})")
                });
                let next = next.unwrap_or_else(|| "; held: retry or cancel it".to_owned());
                let text = format!("attempt {attempt}: {failure} ({}){next}", failure.reason());
                self.note(Tone::Warning, response, "failed", &text);
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes progress in a line, at most one for each [`PROGRESS_INTERVAL`] of the invocation.
    fn note_progress(&mut self, response: &v1::StreamResultsResponse, event: &v1::ProgressEvent) {
        let now = time(response.event_time.as_ref()).unwrap_or_default();
        let is_soon = self
            .noted
            .is_some_and(|noted| between(noted, now) < PROGRESS_INTERVAL);
        if !self.printer.is_table() || is_soon {
            return;
        }
        self.noted = Some(now);
        let progress = event.progress.clone().unwrap_or_default();
        let percent = progress
            .fraction
            .map(|fraction| fraction.clamp(0.0, 1.0) * 100.0);
        let percent = percent.map(|percent| format!("{percent:.0} % "));
        let text = percent.unwrap_or_default() + &progress.message;
        self.note(Tone::Quiet, response, "progress", &text);
    }

    fn note(&self, tone: Tone, response: &v1::StreamResultsResponse, what: &str, text: &str) {
        let time = time(response.event_time.as_ref());
        let time = time.map(time_of_day).unwrap_or_default();
        self.printer
            .note(tone, format!("{time}  {what:9}  {text}").trim_end());
    }
}

fn show_progress(bar: &ProgressBar, progress: &v1::Progress) {
    let template = match progress.fraction {
        Some(_) => "[{bar:24}] {percent:>3} %  {wide_msg}",
        None => "{spinner} {wide_msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("##-"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a fraction of a small number"
    )]
    let position =
        (progress.fraction.unwrap_or(0.0).clamp(0.0, 1.0) * PROGRESS_STEPS as f64) as u64;
    // The position first: each of the two may draw the bar, and the last may be left out.
    bar.set_position(position);
    bar.set_message(escape::line(&progress.message).into_owned());
}

/// The least time between two notes of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// The length of a progress bar.
const PROGRESS_STEPS: u64 = 1_000;

fn time(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(timestamp_from_proto)
}

/// The outcome of an invocation; an error with its state if it has not ended.
pub(super) fn outcome(invocation: v1::Invocation, cid: Cid) -> Result<Payload> {
    let Some(outcome) = invocation.outcome else {
        let (state, attempt) = (state_name(invocation.state), invocation.attempt);
        let message = format!("{cid} has not ended: it is {state}, attempt {attempt}");
        return Err(Error::deadline_exceeded(reason::STILL_RUNNING, message).with_cid(cid));
    };
    let format = format_from_proto("/data_format", outcome.data_format)?.unwrap_or(Format::Json);
    match outcome.outcome {
        Some(v1::outcome::Outcome::Failure(failure)) => {
            Err(of_stored(failure_from_proto(failure), cid))
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
    fn a_lost_node_is_named_with_the_invocation() {
        let cid = Cid::new();
        let cause = Error::unavailable(reason::TRANSPORT, "broken pipe");
        let error = detached("127.0.0.1:9000", cid, &cause);
        let message = format!("detached from {cid}: lost the node 127.0.0.1:9000: broken pipe");
        assert_eq!(error.message(), message);
        assert_eq!(
            (error.reason(), error.cid()),
            (reason::CONNECT_FAILED, Some(cid))
        );
    }
}
