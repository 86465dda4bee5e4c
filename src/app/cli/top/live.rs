//! The loop of `top`: keys, answers and the time change the state, and each change is drawn.

use std::process::ExitCode;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::draw::draw;
use super::keys;
use super::poll::Poller;
use super::state::{Effect, State};
use crate::app::cli::printer::{Canvas, Printer, Screen, terminal_failed};
use crate::app::cli::stop::ended_by;
use crate::engine::clock::Clock;
use crate::model::error::Result;
use crate::remote::client::ContractClient;
use crate::service::runtime::Signals;

/// How often the state is drawn at least, since ages grow, and how often it is decided what to ask.
const TICK: Duration = Duration::from_millis(250);

/// All that the loop waits for.
pub(super) struct Live {
    state: State,
    poller: Poller,
    signals: Signals,
    keys: EventStream,
    ticks: Interval,
    canvas: Canvas,
    has_colors: bool,
    /// Dropped last, and so given back after everything else.
    screen: Screen,
}

/// What happened.
enum Happened {
    Signal(&'static str),
    /// `None`: the terminal has no more keys.
    Input(Option<std::io::Result<Event>>),
    Answer,
    Tick,
}

impl Live {
    pub(super) fn new(client: ContractClient, printer: &Printer) -> Result<Self> {
        // Before the screen is taken: a signal must not leave it so.
        let signals = Signals::new()?;
        let state = State::new(client.node(), Clock::System.now());
        let screen = Screen::take(true)?;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            state,
            poller: Poller::new(client, printer.clone()),
            signals,
            keys: EventStream::new(),
            ticks,
            canvas: screen.canvas()?,
            has_colors: printer.has_colors(),
            screen,
        })
    }

    /// Runs until the user quits, or a signal comes.
    pub(super) async fn run(mut self) -> Result<ExitCode> {
        loop {
            self.state.now = Clock::System.now();
            self.state.size = self.screen.size();
            self.poller.start(self.state.wanted());
            let (state, has_colors) = (&self.state, self.has_colors);
            let drawn = self.canvas.draw(|frame| draw(frame, state, has_colors));
            drawn.map_err(terminal_failed)?;
            match self.next().await {
                Happened::Signal(signal) => return Ok(ended_by(signal)),
                Happened::Input(Some(Ok(Event::Key(key)))) => {
                    let action = keys::action(key, self.state.mode());
                    match action.and_then(|action| self.state.act(action)) {
                        Some(Effect::Quit) => return Ok(ExitCode::SUCCESS),
                        Some(Effect::Ask(request)) => self.poller.ask(request),
                        None => {}
                    }
                }
                Happened::Input(Some(Err(error))) => return Err(terminal_failed(error)),
                Happened::Input(None) => return Ok(ExitCode::SUCCESS),
                // Another size, or what no key sends, is drawn as it is.
                Happened::Input(Some(Ok(_))) | Happened::Answer | Happened::Tick => {}
            }
        }
    }

    async fn next(&mut self) -> Happened {
        tokio::select! {
            signal = self.signals.next() => Happened::Signal(signal),
            event = self.keys.next() => Happened::Input(event),
            (request, outcome) = self.poller.next() => {
                self.state.take(&request, outcome);
                Happened::Answer
            }
            _ = self.ticks.tick() => Happened::Tick,
        }
    }
}
