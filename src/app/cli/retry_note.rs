//! Tells the user what a command waits for while its calls are retried.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::printer::{Printer, Tone};
use crate::remote::client::ContractClient;

/// Retries within this time are not mentioned: most end with success.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// Prints the error of a call that is retried for longer than [`QUIET_TIME`], each message once.
pub(super) fn note_retries(client: ContractClient, printer: &Printer) -> ContractClient {
    let printer = *printer;
    let last = Mutex::new(String::new());
    client.on_retry(Arc::new(move |error, waited| {
        if waited < QUIET_TIME {
            return;
        }
        let message = error.to_string();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != message {
            printer.note(
                Tone::Warning,
                &format!("{message}; retrying for about 5 seconds"),
            );
            *last = message;
        }
    }))
}
