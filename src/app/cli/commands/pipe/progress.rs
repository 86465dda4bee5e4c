//! The progress of a pipe: a bar where a person reads standard error, and what became of the rows.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::input::Record;
use super::state::State;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::cli::times::duration_text;

/// How often the numbers are computed.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Shows how far a pipe is.
pub(super) struct Progress {
    notes: Notes,
    begun: Instant,
    drawn: Instant,
    /// The number of rows that an earlier process has written.
    rows_before: u64,
}

/// Prints notes above the bar.
#[derive(Clone)]
pub(super) struct Notes {
    printer: Printer,
    bar: Option<ProgressBar>,
}

impl Notes {
    pub(super) fn note(&self, tone: Tone, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.note(tone, text)),
            None => self.printer.note(tone, text),
        }
    }
}

impl Progress {
    /// `total_bytes` is the length of the input, where it is known: then the bar says how long it takes. Where the
    /// terminal shows the rows, they are the progress: a bar would stay between them.
    pub(super) fn new(
        printer: Printer,
        shows_rows: bool,
        total_bytes: Option<u64>,
        rows_before: u64,
    ) -> Self {
        let bar = (printer.has_reader() && !shows_rows).then(|| {
            let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr());
            let template = match total_bytes {
                Some(_) => "[{bar:24}] {percent:>3} %  {wide_msg} ETA {eta}",
                None => "{spinner} {wide_msg} {elapsed}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("##-"));
            }
            bar
        });
        let notes = Notes { printer, bar };
        if rows_before > 0 {
            let text = format!("continuing after row {rows_before}");
            notes.note(Tone::Quiet, &text);
        }
        let now = Instant::now();
        Self {
            notes,
            begun: now,
            drawn: now,
            rows_before,
        }
    }

    pub(super) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// A row is written.
    pub(super) fn advance(&mut self, record: &Record, state: &State) {
        let Some(bar) = &self.notes.bar else {
            return;
        };
        if self.drawn.elapsed() < DRAW_INTERVAL {
            return;
        }
        self.drawn = Instant::now();
        bar.set_position(record.end);
        bar.set_message(format!(
            "{} rows, {:.0}/s, {} failed",
            state.rows(),
            self.rate(state),
            state.failed()
        ));
    }

    /// Rows per second of this process.
    fn rate(&self, state: &State) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a number of rows, for people")]
        let rows = state.rows().saturating_sub(self.rows_before) as f64;
        rows / self.begun.elapsed().as_secs_f64().max(0.001)
    }

    /// Clears the bar, and says what became of the rows.
    pub(super) fn finish(&self, state: &State) {
        if let Some(bar) = &self.notes.bar {
            bar.finish_and_clear();
        }
        let (rows, failed) = (state.rows(), state.failed());
        let rows = match rows {
            1 => "1 row".to_owned(),
            rows => format!("{rows} rows"),
        };
        let time = duration_text(self.begun.elapsed());
        let (tone, failed) = match failed {
            0 => (Tone::Good, String::new()),
            failed => (Tone::Heading, format!(", {failed} failed")),
        };
        let rate = self.rate(state);
        let text = format!("{rows}{failed} in {time} ({rate:.0} per second)");
        self.notes.printer.note(tone, &text);
    }
}
