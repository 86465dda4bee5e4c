//! Stops the node of `cidery serve` and `cidery demo` after a signal; the exit code of a command that a signal ended.

use std::process::ExitCode;
use std::time::Duration;

use super::printer::{Printer, Tone};
use crate::app::NodeHandle;
use crate::service::runtime::Signals;

/// Stops a node gracefully after `signal`; the next signal stops it at once. Tells a person what Ctrl-C waits for; the
/// log says it for every signal.
///
/// Returns the exit code: 0 after a graceful stop, otherwise the one with which a shell reports the second signal.
pub(super) async fn stop(
    node: NodeHandle,
    drain: Duration,
    signal: &str,
    signals: &mut Signals,
    printer: &Printer,
) -> ExitCode {
    node.log_stop(signal);
    let running = node.invoker().running_handlers();
    if running > 0 && signal == "SIGINT" && printer.has_reader() {
        let handlers = match running {
            1 => "1 running handler".to_owned(),
            _ => format!("{running} running handlers"),
        };
        let drain = jiff::SignedDuration::try_from(drain).unwrap_or(jiff::SignedDuration::MAX);
        let text = format!(
            "waiting for {handlers}, at most {drain:#}; press Ctrl-C again to stop at once"
        );
        printer.note(Tone::Heading, &text);
    }
    match signals.stop(node.stop()).await {
        None => ExitCode::SUCCESS,
        Some(forced) => ended_by(forced),
    }
}

/// The exit code with which a shell reports that a signal ended a process.
pub(super) fn ended_by(signal: &str) -> ExitCode {
    ExitCode::from(128 + number(signal))
}

/// The number of a signal that ends a process in order.
fn number(signal: &str) -> u8 {
    match signal {
        "SIGHUP" => 1,
        "SIGTERM" => 15,
        // SIGINT, and Ctrl-C where there are no signals.
        _ => 2,
    }
}
