//! Tells the user what a command waits for while its calls are retried.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::printer::{Printer, Tone};
use crate::remote::client::ContractClient;

/// Retries within this time are not mentioned: most end with success.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// How many attempts a command that follows an invocation makes to reach the node again. With the backoff they take
/// about a minute: as long as a node drains by default, and starts again.
const FOLLOW_MAX_ATTEMPTS: u32 = 40;

/// Prints the error of a call that is retried for longer than [`QUIET_TIME`].
pub(super) fn note_retries(client: ContractClient, printer: &Printer) -> ContractClient {
    note(client, printer, "about 5 seconds")
}

/// A client that survives a restart of the node, for a command that follows an invocation.
pub(super) fn across_restarts(client: &ContractClient, printer: &Printer) -> ContractClient {
    let client = client.clone().max_attempts(FOLLOW_MAX_ATTEMPTS);
    note(client, printer, "about a minute")
}

/// Prints each message once.
fn note(client: ContractClient, printer: &Printer, time: &'static str) -> ContractClient {
    let printer = printer.clone();
    let last = Mutex::new(String::new());
    client.on_retry(Arc::new(move |error, waited| {
        if waited < QUIET_TIME {
            return;
        }
        let message = error.to_string();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != message {
            printer.note(Tone::Warning, &format!("{message}; retrying for {time}"));
            *last = message;
        }
    }))
}
