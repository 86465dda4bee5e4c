//! Ctrl-C while a command waits for an invocation: one that the node runs in the background continues, a synchronous
//! call is cancelled.

use std::time::Duration;

use jiff::SignedDuration;

use super::printer::{Printer, Tone};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::operation::OperationId;

/// The exit code of a process that SIGINT ends, as shells report it: 128 + 2.
pub(super) const INTERRUPTED: u8 = 130;

/// Waits for a command that follows an invocation, at most this long.
///
/// # Errors
///
/// `DEADLINE_EXCEEDED` / `STILL_RUNNING` where the time is over: the invocation continues.
pub(super) async fn at_most(
    wait: Option<Duration>,
    cid: Cid,
    command: impl Future<Output = Result<()>>,
) -> Result<()> {
    let Some(wait) = wait else {
        return command.await;
    };
    let Ok(outcome) = tokio::time::timeout(wait, command).await else {
        let limit = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        let message = format!("{cid} has not ended within {limit:#}, and continues");
        return Err(Error::deadline_exceeded(reason::STILL_RUNNING, message).with_cid(cid));
    };
    outcome
}

/// Waits for a command that follows an invocation, or until Ctrl-C: then says that the invocation continues, and ends
/// the process.
pub(super) async fn until_interrupted(
    cid: Cid,
    printer: &Printer,
    command: impl Future<Output = Result<()>>,
) -> Result<()> {
    let detach = || {
        printer.note(Tone::Heading, &format!("detached: {cid} is still running"));
        let commands = [
            format!("  cidery result {cid} --follow   to follow it again"),
            format!("  cidery cancel {cid}            to cancel it"),
        ];
        for command in commands {
            printer.note(Tone::Quiet, &command);
        }
    };
    or_interrupted(command, detach).await
}

/// Waits for a command that follows an operation, or until Ctrl-C: then says that the operation continues, and ends the
/// process.
pub(super) async fn operation_until_interrupted(
    id: OperationId,
    printer: &Printer,
    command: impl Future<Output = Result<()>>,
) -> Result<()> {
    let detach = || {
        printer.note(
            Tone::Heading,
            &format!("detached: operation {id} is still running"),
        );
        let commands = [
            format!("  cidery operations follow {id}   to follow it again"),
            format!("  cidery operations cancel {id}   to cancel it"),
        ];
        for command in commands {
            printer.note(Tone::Quiet, &command);
        }
    };
    or_interrupted(command, detach).await
}

/// Waits for a synchronous call, or until Ctrl-C: then says that the call is cancelled, and ends the process, and with
/// its connection the call.
pub(super) async fn cancelled_if_interrupted(
    cid: Cid,
    printer: &Printer,
    call: impl Future<Output = Result<()>>,
) -> Result<()> {
    let cancelled = || {
        let text = format!("interrupted: the call {cid} is cancelled");
        printer.note(Tone::Heading, &text);
    };
    or_interrupted(call, cancelled).await
}

#[expect(
    clippy::exit,
    reason = "an interrupt ends the process, as it does without a handler of the signal"
)]
async fn or_interrupted(
    command: impl Future<Output = Result<()>>,
    interrupted: impl FnOnce(),
) -> Result<()> {
    tokio::select! {
        // The signal is caught before the command shows anything.
        biased;
        () = interrupt() => {},
        outcome = command => return outcome,
    }
    interrupted();
    std::process::exit(i32::from(INTERRUPTED));
}

/// Waits for Ctrl-C. Where signals cannot be caught, they end the process.
pub(super) async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
