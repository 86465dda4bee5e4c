//! `--watch`: a command that lists is run again and again, until Ctrl-C.
//!
//! In a terminal each round is drawn over the one before; elsewhere each is printed, with its time where people read
//! it. A node that goes away is tried again in the next round.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::args::duration;
use super::lost::{is_lost, no_answer};
use super::node_option::NodeArgs;
use super::printer::{Page, Printer, Screen, Tone};
use super::stop::ended_by;
use super::times::local_time;
use crate::engine::clock::Clock;
use crate::model::error::{Error, Result};
use crate::remote::client::ContractClient;
use crate::service::runtime::Signals;

/// The shortest time between two rounds: each costs the node what the command costs.
const MIN_INTERVAL: Duration = Duration::from_millis(500);
/// How long a round may take. A list of a large store takes some seconds.
const ROUND_SECONDS: u64 = 30;

/// Whether a command is run again and again.
#[derive(Args, Clone, Debug)]
pub(super) struct WatchArgs {
    /// Show it again every 2 seconds, or every SECONDS (at least 0.5), until Ctrl-C.
    ///
    /// In a terminal it is drawn in place; elsewhere each round is printed after the one before, with `--output json` as
    /// one line. A node that goes away is tried again.
    #[arg(
        short,
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_name = "SECONDS",
        value_parser = interval
    )]
    watch: Option<Duration>,
}

/// Parses an interval: seconds, or a duration with its unit.
fn interval(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let interval = match seconds {
        Some(seconds) => seconds,
        None => duration(text)?,
    };
    match interval < MIN_INTERVAL {
        true => Err("must be at least 0.5 seconds".to_owned()),
        false => Ok(interval),
    }
}

impl WatchArgs {
    /// Whether it is asked for.
    pub(super) fn is_given(&self) -> bool {
        self.watch.is_some()
    }

    /// Connects to the node and runs a round; with `--watch`, again and again. Ctrl-C ends this with 0.
    ///
    /// # Errors
    ///
    /// Those of the round; of later rounds, not those of a node that is lost.
    pub(super) async fn run(
        &self,
        node: &NodeArgs,
        printer: &Printer,
        round: impl AsyncFn(&ContractClient, &Printer) -> Result<ExitCode>,
    ) -> Result<ExitCode> {
        let client = node.connect(printer).await?;
        let Some(interval) = self.watch else {
            return round(&client, printer).await;
        };
        let mut signals = Signals::new()?;
        let output = Output::new(printer, interval)?;
        let mut rounds = Rounds {
            // A round says itself that the node is lost.
            client: client.max_attempts(1),
            output,
            is_lost: false,
        };
        let signal = tokio::select! {
            failed = rounds.run(interval, round) => return Err(failed),
            signal = signals.next() => signal,
        };
        rounds.output.end();
        Ok(match signal {
            "SIGTERM" | "SIGHUP" => ended_by(signal),
            _ => ExitCode::SUCCESS,
        })
    }
}

/// The rounds of a command.
struct Rounds {
    client: ContractClient,
    output: Output,
    /// Whether the last round did not reach the node.
    is_lost: bool,
}

impl Rounds {
    /// Runs rounds until one fails.
    async fn run(
        &mut self,
        interval: Duration,
        round: impl AsyncFn(&ContractClient, &Printer) -> Result<ExitCode>,
    ) -> Error {
        loop {
            if let Err(error) = self.run_one(&round).await {
                return error;
            }
            tokio::time::sleep(interval).await;
        }
    }

    async fn run_one(
        &mut self,
        round: &impl AsyncFn(&ContractClient, &Printer) -> Result<ExitCode>,
    ) -> Result<()> {
        let printer = self.output.begin();
        let limit = Duration::from_secs(ROUND_SECONDS);
        let outcome = tokio::time::timeout(limit, round(&self.client, &printer)).await;
        match outcome.unwrap_or_else(|_| Err(no_answer(ROUND_SECONDS))) {
            Ok(_) => {
                let was_lost = std::mem::replace(&mut self.is_lost, false);
                self.output.show(was_lost)
            }
            Err(error) if is_lost(&error) => {
                let was_lost = std::mem::replace(&mut self.is_lost, true);
                let node = self.client.node();
                let lost = format!("lost the node {node}: {error}; trying again");
                self.output.show_lost(&lost, was_lost)
            }
            Err(error) => Err(error),
        }
    }
}

/// Where rounds are shown.
enum Output {
    /// A terminal, on which each round replaces the one before.
    Screen(OnScreen),
    /// Anything else, to which rounds are printed.
    Stream(Printer),
}

struct OnScreen {
    screen: Option<Screen>,
    printer: Printer,
    /// `every 2s`
    title: String,
    page: Arc<Page>,
    /// What the last round that reached the node has shown.
    shown: Vec<String>,
}

impl Output {
    fn new(printer: &Printer, interval: Duration) -> Result<Self> {
        if !printer.has_screen() {
            return Ok(Self::Stream(printer.in_rounds()));
        }
        Ok(Self::Screen(OnScreen {
            screen: Some(Screen::take(false)?),
            printer: printer.clone(),
            title: format!("every {} s", interval.as_secs_f64()),
            page: Arc::new(Page::new(0)),
            shown: Vec::new(),
        }))
    }

    /// The printer of a round.
    fn begin(&mut self) -> Printer {
        match self {
            Self::Screen(on) => {
                // The last column stays free: clearing a line that is full would clear its end.
                let width = on.size().0.saturating_sub(1);
                on.page = Arc::new(Page::new(width));
                on.printer.on_page(&on.page)
            }
            Self::Stream(printer) => {
                if printer.is_table() {
                    printer.data(&local_time(Clock::System.now()));
                }
                printer.clone()
            }
        }
    }

    /// Shows a round.
    fn show(&mut self, was_lost: bool) -> Result<()> {
        match self {
            Self::Screen(on) => {
                on.shown = on.page.lines();
                on.draw(None)
            }
            Self::Stream(printer) => {
                if was_lost {
                    printer.note(Tone::Good, "reached the node again");
                }
                if printer.is_table() {
                    printer.data("");
                }
                Ok(())
            }
        }
    }

    /// Shows that the node is lost, and on a screen what was shown before. A stream says it once.
    fn show_lost(&mut self, lost: &str, was_lost: bool) -> Result<()> {
        match self {
            Self::Screen(on) => on.draw(Some(lost)),
            Self::Stream(printer) => {
                if !was_lost {
                    printer.note(Tone::Warning, lost);
                }
                Ok(())
            }
        }
    }

    /// Gives the screen back, and prints the last round on it.
    fn end(&mut self) {
        if let Self::Screen(on) = self {
            on.screen = None;
            on.shown.iter().for_each(|line| on.printer.shown(line));
        }
    }
}

impl OnScreen {
    fn size(&self) -> (u16, u16) {
        self.screen.as_ref().map_or((80, 24), Screen::size)
    }

    fn draw(&self, lost: Option<&str>) -> Result<()> {
        let Some(screen) = &self.screen else {
            return Ok(());
        };
        let (width, height) = self.size();
        let head = Arc::new(Page::new(width));
        let printer = self.printer.on_page(&head);
        let time = local_time(Clock::System.now());
        match lost {
            Some(lost) => printer.note(Tone::Warning, &format!("{time}  {lost}")),
            None => printer.note(Tone::Quiet, &format!("{time}  {}", self.title)),
        }
        let mut lines = head.lines();
        lines.push(String::new());
        let room = usize::from(height).saturating_sub(lines.len());
        match self.shown.len() {
            all if all <= room => lines.extend_from_slice(&self.shown),
            all => {
                let shown = room.saturating_sub(1);
                lines.extend(self.shown.iter().take(shown).cloned());
                lines.push(format!("… and {} more lines", all - shown));
            }
        }
        screen.show(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_seconds_or_a_duration() {
        for (text, seconds) in [("2", 2.0), ("0.5", 0.5), ("1m", 60.0), ("500ms", 0.5)] {
            assert_eq!(
                interval(text),
                Ok(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
        for wrong in ["0.4", "0", "-1", "x", "NaN", "", "499ms"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
