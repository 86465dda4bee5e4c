//! All output of the command line: data on standard output, notes and errors on standard error.
//!
//! Control characters in it are escaped, see [`escape`]: names, messages and documents come from callers and workers.
//! Not so JSON output, and CSV or text documents that are written to a file or a pipe: programs read them.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use super::args::Output;
use crate::app::escape;
use crate::codec::{json, payload};
use crate::model::error::{Error, Kind, Result};
use crate::model::payload::{Format, Payload};
use crate::model::value::Value;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// The color of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Heading,
    Quiet,
    Good,
    Warning,
}

/// Writes data to standard output, and everything else to standard error. Colors need a terminal, and no `NO_COLOR`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer {
    output: Output,
    /// Standard output is a terminal.
    has_terminal: bool,
    /// Standard error is a terminal.
    is_interactive: bool,
}

#[expect(
    clippy::unused_self,
    reason = "all output goes through the printer, whether or not it depends on its settings"
)]
impl Printer {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            has_terminal: io::stdout().is_terminal(),
            is_interactive: io::stderr().is_terminal(),
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Prints one line of data.
    pub(super) fn data(&self, line: &str) {
        self.write(escape::line(line).as_bytes(), b"\n");
    }

    /// Prints one line of data. Standard output may be closed.
    pub(super) fn try_data(&self, line: &str) -> io::Result<()> {
        self.try_write(escape::line(line).as_bytes(), b"\n")
    }

    /// Prints data on several lines.
    pub(super) fn text(&self, text: &str) {
        self.write(escape::lines(text).as_bytes(), b"\n");
    }

    /// Prints a document, unchanged where no terminal shows it; a line end is added if it has none.
    pub(super) fn raw(&self, document: &[u8]) {
        let end: &[u8] = match document {
            [] | [.., b'\n'] => b"",
            _ => b"\n",
        };
        match self.has_terminal {
            true => {
                let text = String::from_utf8_lossy(document);
                self.write(escape::lines(&text).as_bytes(), end);
            }
            false => self.write(document, end),
        }
    }

    fn write(&self, text: &[u8], end: &[u8]) {
        if let Err(error) = self.try_write(text, end) {
            // A broken pipe means that the reader has closed it (`cidery services | head -1`): exit quietly.
            std::process::exit(i32::from(error.kind() != io::ErrorKind::BrokenPipe));
        }
    }

    fn try_write(&self, text: &[u8], end: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text)?;
        out.write_all(end)?;
        out.flush()
    }

    /// Prints a value: indented, or on one line as JSON output.
    pub(super) fn value(&self, value: &Value) {
        if self.is_json() {
            self.line(value);
        } else {
            self.write(escape::json(&json::pretty(value)).as_bytes(), b"\n");
        }
    }

    /// Prints a response: a CSV or text document as it is, everything else as a value.
    pub(super) fn payload(&self, payload: Payload) -> Result<()> {
        match payload {
            Payload::Document(bytes, Format::Csv | Format::Text) => self.raw(&bytes),
            payload => self.value(&payload::decode(payload)?),
        }
        Ok(())
    }

    /// Prints a value on one line.
    pub(super) fn line(&self, value: &Value) {
        let text = json::write(value).unwrap_or_else(|error| error.to_string());
        match self.is_json() {
            true => self.write(text.as_bytes(), b"\n"),
            false => self.write(escape::json(&text).as_bytes(), b"\n"),
        }
    }

    /// Prints a table. Each column is as wide as its widest cell.
    pub(super) fn table<const N: usize>(&self, headings: [&str; N], rows: &[[String; N]]) {
        let rows: Vec<[Cow<'_, str>; N]> = rows
            .iter()
            .map(|row| row.each_ref().map(|cell| escape::line(cell)))
            .collect();
        let mut widths = headings.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: [&str; N]| {
            let padded = cells
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut lines = vec![line(headings)];
        lines.extend(
            rows.iter()
                .map(|row| line(row.each_ref().map(AsRef::as_ref))),
        );
        self.text(&lines.join("\n"));
    }

    /// Prints one line to standard error.
    pub(super) fn note(&self, tone: Tone, text: &str) {
        let color = match tone {
            Tone::Heading => BOLD,
            Tone::Quiet => DIM,
            Tone::Good => GREEN,
            Tone::Warning => YELLOW,
        };
        let mut err = anstream::stderr().lock();
        let _ = writeln!(err, "{color}{}{RESET}", escape::line(text));
    }

    /// Prints a line that the next one overwrites, on a terminal only.
    pub(super) fn transient(&self, text: &str) {
        if self.is_interactive {
            let mut err = anstream::stderr().lock();
            let _ = write!(err, "\r\x1b[2K{DIM}{}{RESET}", escape::line(text));
            let _ = err.flush();
        }
    }

    /// Clears the transient line.
    pub(super) fn clear_transient(&self) {
        if self.is_interactive {
            let mut err = anstream::stderr().lock();
            let _ = write!(err, "\r\x1b[2K");
        }
    }

    /// Prints an error with its causes, violations and a hint. Returns the exit code.
    pub(super) fn fail(&self, error: &Error) -> ExitCode {
        let mut err = anstream::stderr().lock();
        let (message, reason) = (error.to_string(), error.reason());
        let (message, reason) = (escape::indented(&message, 7), escape::line(reason));
        let _ = writeln!(err, "{RED}error{RESET}: {message} ({reason})");
        let mut cause = std::error::Error::source(error);
        while let Some(source) = cause {
            let text = source.to_string();
            let _ = writeln!(err, "  caused by: {}", escape::indented(&text, 13));
            cause = source.source();
        }
        for violation in error.field_violations() {
            let text = violation.to_string();
            let _ = writeln!(err, "  - {}", escape::indented(&text, 4));
        }
        if let Some(cid) = error.cid() {
            let _ = writeln!(err, "  cid: {cid}");
        }
        if let Some(hint) = hint(error) {
            let _ = writeln!(err, "{DIM}hint{RESET}: {hint}");
        }
        ExitCode::from(error.kind().exit_code())
    }
}

/// What the user can do about an error.
fn hint(error: &Error) -> Option<&'static str> {
    match (error.reason(), error.kind()) {
        ("CONNECT_FAILED", _) => Some(
            "start a node with `cidery serve`, or give the address of another one with `--node HOST:PORT`",
        ),
        ("BIND_FAILED", _) => {
            Some("another process may use the address; choose another one with `--listen`")
        }
        ("SERVICE_UNKNOWN", _) => Some("`cidery services` lists all services"),
        ("DEADLINE_EXCEEDED", _) => Some("use a longer `--timeout`, or `--async`"),
        ("CID_UNKNOWN", _) => {
            Some("results are stored on the node that accepted the invocation; check `--node`")
        }
        (_, Kind::ResourceExhausted) if error.is_retryable() => Some("retry later"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_end_without_a_full_stop() {
        for reason in [
            "CONNECT_FAILED",
            "BIND_FAILED",
            "SERVICE_UNKNOWN",
            "CID_UNKNOWN",
        ] {
            let text = hint(&Error::unavailable(reason, "x")).unwrap();
            assert!(!text.ends_with('.'), "{text}");
        }
    }
}
