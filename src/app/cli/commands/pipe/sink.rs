//! Where the rows of a pipe are written: the output, and the file of those that failed.
//!
//! With `--state`, what is beyond the recorded length is cut off when a pipe continues: those rows are written again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::args::Pipe;
use super::caller::Outcome;
use super::input::Record;
use super::plan::{OWN_PREFIX, Plan, row_of, writes_csv};
use super::state::{State, cannot_write};
use crate::app::cli::args::usage_error;
use crate::app::cli::printer::Printer;
use crate::codec::csv::write_row;
use crate::codec::failure::error_object;
use crate::codec::json;
use crate::dict;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::sio::CsvOptions;
use crate::model::value::Value;

/// How often the files are written, and the state is recorded.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// The line end of CSV, as it is written.
const LINE_END: &[u8] = b"\r\n";

/// Writes rows.
pub(super) struct Sink<'a> {
    printer: Printer,
    out: Option<RowFile>,
    failed: Option<RowFile>,
    options: CsvOptions,
    /// The output is CSV.
    is_csv: bool,
    columns: &'a [String],
    saved: Instant,
}

impl<'a> Sink<'a> {
    /// Opens the files, and cuts off what `state` does not know of. The state of a new pipe is recorded before any row
    /// is called: its idempotency keys depend on it.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` with the error of the system; `FAILED_PRECONDITION` / `FILE_EXISTS`.
    pub(super) fn open(
        pipe: &Pipe,
        plan: &'a Plan,
        state: &mut State,
        printer: Printer,
    ) -> Result<Self> {
        let (out_bytes, failed_bytes) = state.bytes();
        let open = |path: &PathBuf, bytes: u64| match state.is_new() {
            true => RowFile::create(path),
            false => RowFile::reopen(path, bytes),
        };
        let out = pipe.out.as_ref().map(|path| open(path, out_bytes));
        let failed = pipe.failed.as_ref().map(|path| open(path, failed_bytes));
        let is_csv = writes_csv(pipe.format, printer.is_table());
        let mut sink = Self {
            printer,
            out: out.transpose()?,
            failed: failed.transpose()?,
            options: pipe.csv_options(),
            is_csv,
            columns: plan.output_columns(),
            saved: Instant::now(),
        };
        sink.write_headers(plan)?;
        sink.checkpoint(state, false)?;
        Ok(sink)
    }

    /// Writes the headers of CSV where nothing is written yet.
    fn write_headers(&mut self, plan: &Plan) -> Result<()> {
        let is_begun = self.out.as_ref().is_some_and(|out| out.bytes > 0);
        if self.is_csv && !is_begun {
            let names: Vec<Value> = self.columns.iter().map(|it| it.as_str().into()).collect();
            self.print(&write_row(&names, self.options)?)?;
        }
        let (Some(columns), Some(failed)) = (plan.columns(), &mut self.failed) else {
            return Ok(());
        };
        if failed.bytes == 0 {
            let own = ["row", "reason", "message", "cid"].map(|it| format!("{OWN_PREFIX}{it}"));
            let names = columns.names().iter().cloned();
            let names: Vec<Value> = own.into_iter().chain(names).map(Value::from).collect();
            failed.write(&write_row(&names, self.options)?)?;
        }
        Ok(())
    }

    /// Writes a row, and records it now and then.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` with the error of the system.
    pub(super) fn write(
        &mut self,
        record: &Record,
        outcome: Outcome,
        plan: &Plan,
        state: &mut State,
    ) -> Result<()> {
        let cid = outcome.cid;
        let values = outcome.response.and_then(|response| {
            let values = plan.output_values(record, response)?;
            self.encoded(cid, values)
        });
        match values {
            Ok(encoded) => self.print_row(encoded)?,
            Err(error) => {
                state.fail(record.number, &error);
                self.write_failed(record, cid, &error, plan)?;
            }
        }
        state.advance(record.chain);
        if self.saved.elapsed() >= CHECKPOINT_INTERVAL {
            self.checkpoint(state, false)?;
        }
        Ok(())
    }

    /// Makes a row of values: bytes for a file and for CSV, otherwise what the printer formats.
    fn encoded(&self, cid: Option<Cid>, values: Vec<Value>) -> Result<Encoded> {
        if self.is_csv {
            return write_row(&values, self.options).map(Encoded::Bytes);
        }
        let row = match self.printer.is_name() {
            true => Value::from(cid.map(|cid| cid.to_string())),
            false => row_of(self.columns, values),
        };
        match (self.out.is_some(), row) {
            (_, Value::Text(name)) => Ok(Encoded::Bytes(format!("{name}\n").into_bytes())),
            (true, row) => Ok(Encoded::Bytes((json::write(&row)? + "\n").into_bytes())),
            (false, row) => Ok(Encoded::Object(row)),
        }
    }

    fn print_row(&mut self, row: Encoded) -> Result<()> {
        match row {
            Encoded::Bytes(bytes) => self.print(&bytes),
            Encoded::Object(row) => {
                if !self.printer.event(|| row.clone()) {
                    self.printer.line(&row);
                }
                Ok(())
            }
        }
    }

    fn print(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.out {
            Some(out) => out.write(bytes),
            None => {
                self.printer.raw(bytes);
                Ok(())
            }
        }
    }

    fn write_failed(
        &mut self,
        record: &Record,
        cid: Option<Cid>,
        error: &Error,
        plan: &Plan,
    ) -> Result<()> {
        let Some(failed) = &mut self.failed else {
            return Ok(());
        };
        let cid = cid.or_else(|| error.cid()).map(|cid| cid.to_string());
        let number = Value::from(record.number);
        if plan.columns().is_some() {
            let cells = [
                number,
                error.reason().into(),
                explained(error).into(),
                cid.into(),
            ];
            let mut line = write_row(&cells, self.options)?;
            // The row follows as it is in the input.
            line.truncate(line.len().saturating_sub(LINE_END.len()));
            line.push(self.options.delimiter);
            line.extend_from_slice(&record.row.text);
            line.extend_from_slice(LINE_END);
            return failed.write(&line);
        }
        let input = json::read(&record.row.text).unwrap_or_else(|_| {
            Value::from(String::from_utf8_lossy(&record.row.text).into_owned())
        });
        let line = dict! {
            "row": number, "input": input, "error": error_object(error), "cid": cid
        };
        failed.write((json::write(&line.into())? + "\n").as_bytes())
    }

    /// Records how far the rows are written, once they are on disk.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` with the error of the system.
    pub(super) fn checkpoint(&mut self, state: &mut State, is_complete: bool) -> Result<()> {
        let syncs = state.is_kept();
        let written = |file: &mut Option<RowFile>| match file {
            Some(file) => file.finish(syncs).map(|()| file.bytes),
            None => Ok(0),
        };
        let bytes = (written(&mut self.out)?, written(&mut self.failed)?);
        state.save(bytes, is_complete)?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// A row of the output.
enum Encoded {
    Bytes(Vec<u8>),
    Object(Value),
}

/// The message of a failure with its violations, on one line.
fn explained(error: &Error) -> String {
    let violations = error.field_violations();
    match violations {
        [] | [_] => error.to_string(),
        several => {
            let texts: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("{error}: {}", texts.join("; "))
        }
    }
}

/// A file of rows, and how long it is.
struct RowFile {
    path: PathBuf,
    writer: BufWriter<File>,
    bytes: u64,
}

impl RowFile {
    /// A file that is new, or empty.
    fn create(path: &Path) -> Result<Self> {
        let file = Self::locked(path)?;
        let length = file
            .metadata()
            .map_err(|error| cannot_write(path, &error))?;
        if length.is_file() && length.len() > 0 {
            let message = format!(
                "`{}` is not empty: remove it, or continue with the --state that it belongs to",
                path.display()
            );
            return Err(Error::failed_precondition(reason::FILE_EXISTS, message));
        }
        Ok(Self::of(path, file, 0))
    }

    /// A file whose first `bytes` are kept.
    fn reopen(path: &Path, bytes: u64) -> Result<Self> {
        let mut file = Self::locked(path)?;
        let cannot_write = |error| cannot_write(path, &error);
        let length = file.metadata().map_err(cannot_write)?.len();
        if length < bytes {
            let message = format!(
                "`{}` is shorter than --state says: {length} bytes, not {bytes}",
                path.display()
            );
            return Err(usage_error(message));
        }
        file.set_len(bytes).map_err(cannot_write)?;
        file.seek(SeekFrom::End(0)).map_err(cannot_write)?;
        Ok(Self::of(path, file, bytes))
    }

    /// Opens a file that no other pipe writes.
    fn locked(path: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = options
            .open(path)
            .map_err(|error| cannot_write(path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {
                let message = format!("another process writes `{}`", path.display());
                Err(usage_error(message))
            }
            // A file system without locks.
            Err(std::fs::TryLockError::Error(error))
                if error.kind() == io::ErrorKind::Unsupported =>
            {
                Ok(file)
            }
            Err(std::fs::TryLockError::Error(error)) => Err(cannot_write(path, &error)),
        }
    }

    fn of(path: &Path, file: File, bytes: u64) -> Self {
        Self {
            path: path.to_owned(),
            writer: BufWriter::new(file),
            bytes,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        let written = self.writer.write_all(bytes);
        written.map_err(|error| cannot_write(&self.path, &error))
    }

    /// Writes all that is buffered, and waits until it is on disk if it `syncs`.
    fn finish(&mut self, syncs: bool) -> Result<()> {
        let flushed = self.writer.flush();
        let done = flushed.and_then(|()| match syncs {
            true => self.writer.get_ref().sync_data(),
            false => Ok(()),
        });
        done.map_err(|error| cannot_write(&self.path, &error))
    }
}
