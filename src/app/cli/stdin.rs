//! Standard input as the input of an invocation: whether there is any, and how it is read.

use std::io::{self, Read};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::args::usage_error;
use super::printer::{Printer, Tone};
use crate::codec::limits::MAX_MESSAGE_BYTES;
use crate::model::error::{Error, Result, reason};

/// How long an open pipe may have nothing to read until the user is told that the command waits for it.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// Whether standard input is a pipe, a socket or a file. A terminal is not read unless it is asked for, and `/dev/null`
/// and a closed standard input, as with cron, have nothing to read.
#[cfg(unix)]
pub(super) fn has_input() -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileTypeExt as _;
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let kind = stdin.and_then(|stdin| std::fs::File::from(stdin).metadata());
    let kind = kind.map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket() || kind.is_file())
}

/// Whether standard input is not a terminal.
#[cfg(not(unix))]
pub(super) fn has_input() -> bool {
    use std::io::IsTerminal as _;
    !io::stdin().is_terminal()
}

/// Reads standard input to its end. Says that it waits, for users whose program left a pipe open.
///
/// # Errors
///
/// As for [`read_all`].
pub(super) fn read(printer: &Printer) -> Result<Vec<u8>> {
    let (sender, receiver) = channel();
    let reader = std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || drop(sender.send(read_all("standard input", io::stdin()))));
    reader.map_err(|error| cannot_read("standard input", &error))?;
    let text = match receiver.recv_timeout(QUIET_TIME) {
        Err(RecvTimeoutError::Timeout) => {
            let text = "reading the input from standard input; `</dev/null` passes none";
            printer.note(Tone::Quiet, text);
            receiver.recv().ok()
        }
        read => read.ok(),
    };
    text.unwrap_or_else(|| Ok(Vec::new()))
}

/// Reads a file to its end, up to the largest message that a node accepts.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `USAGE_INVALID` with the error of the system; `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE`.
pub(super) fn read_all(name: &str, file: impl Read) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    // One byte more than a node takes: a file without an end is not read forever.
    let limit = MAX_MESSAGE_BYTES as u64 + 1;
    let read = file.take(limit).read_to_end(&mut text);
    read.map_err(|error| cannot_read(name, &error))?;
    if text.len() > MAX_MESSAGE_BYTES {
        let message = format!("{name} is larger than {MAX_MESSAGE_BYTES} bytes");
        let error = Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message);
        return Err(error.with_retryable(false));
    }
    Ok(text)
}

/// The error of a file that cannot be read.
pub(super) fn cannot_read(name: &str, error: &io::Error) -> Error {
    let message = format!("cannot read {name}: {error}");
    usage_error(message)
}
