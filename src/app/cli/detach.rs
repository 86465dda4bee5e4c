//! Ctrl-C while a command waits for an invocation that the node runs in the background: the command ends, and the
//! invocation continues.

use std::time::Duration;

use jiff::SignedDuration;

use super::printer::{Printer, Tone};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;

/// The exit code of a process that SIGINT ends, as shells report it: 128 + 2.
const INTERRUPTED: u8 = 130;

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
#[expect(
    clippy::exit,
    reason = "an interrupt ends the process, as it does without a handler of the signal"
)]
pub(super) async fn until_interrupted(
    cid: Cid,
    printer: &Printer,
    command: impl Future<Output = Result<()>>,
) -> Result<()> {
    tokio::select! {
        outcome = command => return outcome,
        interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() {
            // Signals cannot be caught: they end the process.
            return std::future::pending().await;
        },
    }
    printer.note(Tone::Heading, &format!("detached: {cid} is still running"));
    printer.note(
        Tone::Quiet,
        &format!("  cidery result {cid} --follow   to follow it again"),
    );
    printer.note(
        Tone::Quiet,
        &format!("  cidery cancel {cid}            to cancel it"),
    );
    std::process::exit(i32::from(INTERRUPTED));
}
