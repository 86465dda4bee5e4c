//! Stops the node of `cidery serve` and `cidery demo` after a signal.

use std::time::Duration;

use super::printer::{Printer, Tone};
use crate::app::NodeHandle;
use crate::service::runtime::Signals;

/// Stops a node gracefully after `signal`; the next signal stops it at once. Says what Ctrl-C waits for.
pub(super) async fn stop(
    node: NodeHandle,
    drain: Duration,
    signal: &'static str,
    signals: &mut Signals,
    printer: &Printer,
) {
    let running = node.invoker().running_handlers();
    if running > 0 && signal == "SIGINT" {
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
    signals.stop(signal, node.stop()).await;
}
