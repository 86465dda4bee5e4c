//! All output of the command line: data on standard output, notes and errors on standard error.
//!
//! Control characters in it are escaped, see [`escape`]: names, messages and documents come from callers and workers.
//! Not so output for programs, and CSV or text documents, that are written to a file or a pipe.

mod failure;
mod page;
mod screen;
mod style;
mod table;
mod yaml;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use tracing::{Level, enabled};

pub(super) use self::failure::{in_context, of_stored};
pub(super) use self::page::Page;
pub(super) use self::screen::{Canvas, Screen, failed as terminal_failed};
use self::style::{BOLD, DIM, GREEN, RED, YELLOW};
pub(super) use self::table::Column;
use super::args::{GlobalArgs, Output};
use crate::app::escape;
use crate::app::telemetry::LogFormat;
use crate::codec::json;
use crate::codec::objects::response_value;
use crate::dict;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;
use crate::model::payload::{Format, Payload};
use crate::model::value::Value;

/// The color of a note, or of a part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Heading,
    Quiet,
    Good,
    Warning,
    Bad,
}

impl Tone {
    const fn style(self) -> anstyle::Style {
        match self {
            Self::Heading => BOLD,
            Self::Quiet => DIM,
            Self::Good => GREEN,
            Self::Warning => YELLOW,
            Self::Bad => RED,
        }
    }
}

/// A list, in all output formats.
#[derive(Debug)]
pub(super) struct List<const N: usize> {
    pub(super) columns: [Column; N],
    pub(super) rows: Vec<Row<N>>,
    /// The note for people where there are no rows: `no services match`.
    pub(super) if_empty: &'static str,
}

/// One object of a list.
#[derive(Debug)]
pub(super) struct Row<const N: usize> {
    /// Its identifier.
    pub(super) name: String,
    /// Its fields, for programs.
    pub(super) object: Value,
    /// Its cells, for people.
    pub(super) cells: [String; N],
}

/// Writes data to standard output, and everything else to standard error.
#[derive(Clone, Debug)]
pub(super) struct Printer {
    global: GlobalArgs,
    /// Standard output is a terminal.
    has_terminal: bool,
    /// Standard error is a terminal.
    is_interactive: bool,
    /// Whether one value follows another, as the events of a stream do: each JSON value is one line.
    in_rounds: bool,
    /// What everything is written to instead; `None` where it is printed.
    page: Option<Arc<Page>>,
}

#[expect(
    clippy::unused_self,
    reason = "all output goes through the printer, whether or not it depends on its settings"
)]
impl Printer {
    pub(super) fn new(global: GlobalArgs) -> Self {
        Self {
            global,
            has_terminal: io::stdout().is_terminal(),
            is_interactive: io::stderr().is_terminal(),
            in_rounds: false,
            page: None,
        }
    }

    /// The same printer, for a command that prints its output again and again.
    pub(super) fn in_rounds(&self) -> Self {
        Self {
            in_rounds: true,
            ..self.clone()
        }
    }

    /// The same printer, whose data and notes are kept on a page, as text for people.
    pub(super) fn on_page(&self, page: &Arc<Page>) -> Self {
        let mut global = self.global;
        global.output = Output::Table;
        Self {
            global,
            page: Some(Arc::clone(page)),
            ..self.clone()
        }
    }

    /// Whether a person reads standard output: it is a terminal, and neither JSON, YAML nor identifiers.
    pub(super) fn has_screen(&self) -> bool {
        self.is_table() && self.has_terminal
    }

    /// Whether people read the output: it is neither JSON, YAML nor identifiers.
    pub(super) fn is_table(&self) -> bool {
        self.global.output == Output::Table
    }

    /// Whether only identifiers are printed.
    pub(super) fn is_name(&self) -> bool {
        self.global.output == Output::Name
    }

    /// Whether a person reads standard error: to them, progress and examples are shown.
    pub(super) fn has_reader(&self) -> bool {
        self.is_table() && self.is_interactive && !self.global.quiet
    }

    /// The log filter that `--quiet` and `--verbose` ask for.
    pub(super) fn log_filter(&self) -> Option<&'static str> {
        self.global.log_filter()
    }

    /// The width to which tables are fitted; `None` where they may be as wide as they are.
    pub(super) fn width(&self) -> Option<u16> {
        match &self.page {
            Some(page) => Some(page.width()),
            None => table::terminal_width(),
        }
    }

    /// The message of a failure as a cell of a table: as much of it as the terminal is wide, or 200 characters.
    pub(super) fn message(&self, text: &str) -> String {
        table::message(text, self.width())
    }

    /// Prints one line of data.
    pub(super) fn data(&self, line: &str) {
        self.write(escape::line(line).as_bytes(), b"\n");
    }

    /// Prints one line of data whose parts have colors, where the terminal shows them.
    pub(super) fn colored(&self, parts: &[(Option<Tone>, String)]) {
        let has_colors = self.has_colors();
        let parts = parts.iter().map(|(tone, text)| {
            let text = escape::line(text);
            match tone.filter(|_| has_colors) {
                Some(tone) => format!("{style}{text}{style:#}", style = tone.style()),
                None => text.into_owned(),
            }
        });
        let line: String = parts.collect();
        self.write(line.as_bytes(), b"\n");
    }

    /// Prints a line of a page, which is escaped already.
    pub(super) fn shown(&self, line: &str) {
        self.write(line.as_bytes(), b"\n");
    }

    /// Whether data on standard output may have colors.
    pub(super) fn has_colors(&self) -> bool {
        anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
    }

    /// Prints the address at which this process listens, as its first line. Standard output may be closed.
    pub(super) fn listening(&self, address: impl Display) -> io::Result<()> {
        let event = Value::from(dict! { "event": "listening", "address": address.to_string() });
        let line = match self.global.output {
            Output::Table | Output::Name => format!("listening on {address}"),
            Output::Json | Output::Jsonl => json::write(&event).unwrap_or_default(),
            Output::Yaml => format!("---\n{}", yaml::write(&event)),
        };
        self.try_write(line.as_bytes(), b"\n")
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
        if let Some(page) = &self.page {
            page.write(text, end);
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text)?;
        out.write_all(end)?;
        out.flush()
    }

    /// Prints a value in the output format: indented JSON where people read it.
    pub(super) fn value(&self, value: &Value) {
        match self.global.output {
            Output::Jsonl => self.line(value),
            Output::Json if self.in_rounds => self.line(value),
            Output::Yaml if self.in_rounds => self.document(value),
            Output::Yaml => self.structured(&yaml::write(value)),
            Output::Table | Output::Json | Output::Name => self.structured(&json::pretty(value)),
        }
    }

    /// Prints a value as JSON on one line.
    pub(super) fn line(&self, value: &Value) {
        self.structured(&json::write(value).unwrap_or_else(|error| error.to_string()));
    }

    /// Prints JSON or YAML. Escapes keep its meaning; only JSON that a program reads needs none.
    fn structured(&self, text: &str) {
        let is_json = matches!(self.global.output, Output::Json | Output::Jsonl);
        match is_json && !self.has_terminal {
            true => self.write(text.as_bytes(), b"\n"),
            false => self.write(escape::json(text).as_bytes(), b"\n"),
        }
    }

    /// Prints the response of an invocation: a CSV or text document as it is, everything else as a value.
    pub(super) fn response(&self, cid: Cid, payload: Payload) -> Result<()> {
        match payload {
            _ if self.is_name() => self.data(&cid.to_string()),
            Payload::Document(bytes, Format::Csv | Format::Text | Format::Form)
                if self.is_table() =>
            {
                self.raw(&bytes);
            }
            payload => self.value(&response_value(payload)?),
        }
        Ok(())
    }

    /// Prints an object, unless people read the output: returns `false`, and the caller prints it.
    pub(super) fn object(&self, name: &str, object: impl FnOnce() -> Value) -> bool {
        match self.global.output {
            Output::Table => return false,
            Output::Name => self.data(name),
            Output::Json | Output::Jsonl | Output::Yaml => self.value(&object()),
        }
        true
    }

    /// Prints an event of a stream, unless people read the output: returns `false`, and the caller prints it. An event
    /// has no identifier: with `--output name`, nothing is printed.
    pub(super) fn event(&self, event: impl FnOnce() -> Value) -> bool {
        match self.global.output {
            Output::Table => return false,
            Output::Name => {}
            Output::Json | Output::Jsonl => self.line(&event()),
            Output::Yaml => self.document(&event()),
        }
        true
    }

    /// Prints a document of a stream in YAML.
    fn document(&self, value: &Value) {
        self.structured(&format!("---\n{}", yaml::write(value)));
    }

    /// Prints a list.
    pub(super) fn list<const N: usize>(&self, list: List<N>) {
        match self.global.output {
            Output::Table if list.rows.is_empty() => self.note(Tone::Quiet, list.if_empty),
            Output::Table => {
                let rows = list.rows.iter().map(|row| row.cells.as_slice());
                self.text(&table::list(&list.columns, rows, self.width()));
            }
            Output::Name => list.rows.iter().for_each(|row| self.data(&row.name)),
            Output::Jsonl => list.rows.iter().for_each(|row| self.line(&row.object)),
            Output::Json | Output::Yaml => {
                let objects = list.rows.into_iter().map(|row| row.object);
                self.value(&Value::List(objects.collect()));
            }
        }
    }

    /// Prints a table for people. Its cells wrap where the terminal is too narrow.
    pub(super) fn table<const N: usize>(&self, headings: [&str; N], rows: &[[String; N]]) {
        let rows = rows.iter().map(<[String; N]>::as_slice);
        self.text(&table::wrapped(&headings, rows, self.width()));
    }

    /// Prints names and texts in two columns; texts wrap where the terminal is too narrow.
    pub(super) fn properties(&self, rows: &[[String; 2]]) {
        self.text(&table::properties(rows, self.width()));
    }

    /// Prints one line to standard error. For programs, only a warning, as JSON.
    pub(super) fn note(&self, tone: Tone, text: &str) {
        let style = tone.style();
        if self.global.quiet {
            return;
        }
        if let Some(page) = &self.page {
            let text = escape::line(text);
            match self.has_colors() {
                true => page.write(format!("{style}{text}{style:#}").as_bytes(), b"\n"),
                false => page.write(text.as_bytes(), b"\n"),
            }
            return;
        }
        let mut err = anstream::stderr().lock();
        let _ = match (self.global.output, tone) {
            (Output::Table | Output::Name, _) => {
                writeln!(err, "{style}{}{style:#}", escape::line(text))
            }
            (_, Tone::Warning) => {
                let warning = Value::from(dict! { "warning": dict! { "message": text } });
                writeln!(err, "{}", json::write(&warning).unwrap_or_default())
            }
            _ => Ok(()),
        };
    }

    /// Prints an error with its causes, violations and a hint. Returns the exit code.
    pub(super) fn fail(&self, error: &Error) -> ExitCode {
        match self.global.output {
            Output::Table | Output::Name => {
                let _ = failure::write_text(error, &mut anstream::stderr().lock());
                failure::exit_code(error)
            }
            Output::Json | Output::Jsonl | Output::Yaml => fail_as_json(error),
        }
    }
}

/// Logs a failure where the log is JSON, so that standard error has nothing else; then only its exit code is left.
///
/// # Errors
///
/// The failure, where the log does not have it.
pub(super) fn log_failure(log: LogFormat, outcome: Result<ExitCode>) -> Result<ExitCode> {
    match outcome {
        Err(error) if log == LogFormat::Json && enabled!(Level::ERROR) => {
            failure::write_log(&error);
            Ok(failure::exit_code(&error))
        }
        outcome => outcome,
    }
}

/// Prints an error for programs: JSON on one line. Returns the exit code.
pub(super) fn fail_as_json(error: &Error) -> ExitCode {
    let _ = failure::write_json(error, &mut io::stderr().lock());
    failure::exit_code(error)
}
