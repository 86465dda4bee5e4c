//! `cidery pipe`: invokes a service once for each row of a document, and writes the responses as rows.
//!
//! A thread reads rows (`input`), `plan` makes calls of them, `caller` makes the calls, a bounded number at once, and
//! `sink` writes what they answer. `state` records how far the output is written, so that a pipe that was ended
//! continues. Nothing here grows with the number of rows.

mod args;
mod caller;
mod input;
mod line_splitter;
mod plan;
mod progress;
mod sink;
mod state;

use std::pin::pin;
use std::process::ExitCode;

use futures_util::stream::{self, LocalBoxStream, Stream, StreamExt as _};

pub(in crate::app::cli) use self::args::Pipe;
use self::caller::{Caller, Outcome};
use self::input::{Input, Record};
use self::plan::Plan;
use self::progress::Progress;
use self::sink::Sink;
use self::state::State;
use crate::app::cli::detach::{INTERRUPTED, interrupt};
use crate::app::cli::printer::{Printer, Tone};
use crate::codec::convert::sio_from_proto;
use crate::codec::csv::Columns;
use crate::model::error::{Error, Result, reason};

/// A row whose call has ended.
struct Done {
    record: Record,
    outcome: Outcome,
}

impl Pipe {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let client = self.node.connect(printer).await?.max_attempts(1);
        let described = client.describe(&self.name).await?;
        let declaration = described.declaration.unwrap_or_default();
        let sio = sio_from_proto(declaration.sio.unwrap_or_default())?;
        let mut input = Input::open(self.format, self.csv_options())?;
        let columns = input.columns().await?;
        let is_json = |columns: &Columns| {
            let first = columns.names().first();
            first.is_some_and(|name| name.trim_start().starts_with('{'))
        };
        if columns.as_ref().is_some_and(is_json) {
            let text = "the header begins with `{`: JSON lines are read with `--format jsonl`";
            printer.note(Tone::Warning, text);
        }
        let plan = Plan::new(&self, sio, columns)?;
        let mut state = State::open(&self, &plan, input.origin())?;
        if state.is_complete() {
            let text = "all rows are written already; remove the file of --state to begin again";
            printer.note(Tone::Quiet, text);
            return ended(&state);
        }
        let mut sink = Sink::open(&self, &plan, &mut state, printer.clone())?;
        let shows_rows = self.out.is_none() && printer.has_screen();
        let (total, before) = (input.total_bytes(), state.rows());
        let mut progress = Progress::new(printer.clone(), shows_rows, total, before);
        input.skip(state.rows(), state.chain()).await?;
        let caller = Caller::new(&self, client, &state, progress.notes());
        let calls = calls(&self, input, &plan, &caller);
        let ended_by = drive(calls, &plan, &mut sink, &mut state, &mut progress).await;
        // What is written is kept, whatever has ended the pipe.
        sink.checkpoint(&mut state, matches!(ended_by, Ok(Ended::AtEnd)))?;
        progress.finish(&state);
        match ended_by? {
            Ended::AtEnd => ended(&state),
            Ended::Interrupted => {
                let text = format!("interrupted after row {}", state.rows());
                printer.note(Tone::Heading, &text);
                if state.is_kept() {
                    let text = "the same command with the same --state continues";
                    printer.note(Tone::Quiet, text);
                }
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    }
}

/// Why no more rows are read.
enum Ended {
    AtEnd,
    Interrupted,
}

/// The calls of all rows: at most `--in-flight` at once, answered in the order of the rows unless that is not asked
/// for. In order, those that wait for an earlier one count as in flight: they bound what is held.
fn calls<'a>(
    pipe: &Pipe,
    input: Input,
    plan: &'a Plan,
    caller: &'a Caller,
) -> LocalBoxStream<'a, Result<Done>> {
    let rows = rows(input);
    let calls = rows.map(async move |record| call(record?, plan, caller).await);
    match pipe.unordered {
        true => calls.buffer_unordered(pipe.in_flight()).boxed_local(),
        false => calls.buffered(pipe.in_flight()).boxed_local(),
    }
}

/// The rows of the input; the last one is an error where the input is malformed.
fn rows(input: Input) -> impl Stream<Item = Result<Record>> {
    stream::unfold(input, async |mut input| {
        let record = input.next().await.transpose()?;
        Some((record, input))
    })
}

/// Makes the call of a row. A row that is malformed by itself fails without one.
///
/// # Errors
///
/// What stops the pipe: the node cannot be reached for too long, or refuses all calls.
async fn call(record: Record, plan: &Plan, caller: &Caller) -> Result<Done> {
    let outcome = match plan.call_input(&record) {
        Ok(value) => Box::pin(caller.call(&record, &value)).await?,
        Err(error) => Outcome::refused(error),
    };
    Ok(Done { record, outcome })
}

/// Writes what the calls answer, until the last one, the first error, or Ctrl-C.
async fn drive(
    mut calls: LocalBoxStream<'_, Result<Done>>,
    plan: &Plan,
    sink: &mut Sink<'_>,
    state: &mut State,
    progress: &mut Progress,
) -> Result<Ended> {
    let mut interrupted = pin!(interrupt());
    loop {
        let done = tokio::select! {
            // The signal is caught before anything is written.
            biased;
            () = &mut interrupted => return Ok(Ended::Interrupted),
            done = calls.next() => done,
        };
        let Some(done) = done.transpose()? else {
            return Ok(Ended::AtEnd);
        };
        sink.write(&done.record, done.outcome, plan, state)?;
        progress.advance(&done.record, state);
    }
}

/// The exit code of a pipe that has written all rows.
///
/// # Errors
///
/// `ABORTED` / `ROWS_FAILED`.
fn ended(state: &State) -> Result<ExitCode> {
    let failed = match state.failed() {
        0 => return Ok(ExitCode::SUCCESS),
        1 => "1 row has failed".to_owned(),
        failed => format!("{failed} rows have failed"),
    };
    let message = match state.first_failure() {
        Some((row, failure)) => format!("{failed}, such as row {row}: {failure}"),
        None => failed,
    };
    // The rows that failed are written: the same input would fail again.
    Err(Error::aborted(reason::ROWS_FAILED, message).with_retryable(false))
}
