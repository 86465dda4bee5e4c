//! The screen of a terminal, for as long as `top` or `--watch` has it: an alternate one, so that what was shown before
//! is shown again afterwards.
//!
//! It is given back however the command ends: when it is dropped, and by a panic before its message is printed.

use std::io::{self, Write as _};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{execute, queue, terminal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::model::error::{Error, Result};

/// A terminal that draws only what has changed.
pub(in crate::app::cli) type Canvas = Terminal<CrosstermBackend<io::Stdout>>;

/// The screen of this process. There is one at a time.
#[derive(Debug)]
pub(in crate::app::cli) struct Screen {
    is_taken: Arc<AtomicBool>,
    /// Whether keys are read one by one, and not shown.
    reads_keys: bool,
}

impl Screen {
    /// Takes the screen.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `TERMINAL_FAILED`.
    pub(in crate::app::cli) fn take(reads_keys: bool) -> Result<Self> {
        let is_taken = Arc::new(AtomicBool::new(true));
        let screen = Self {
            is_taken: Arc::clone(&is_taken),
            reads_keys,
        };
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back(&is_taken, reads_keys);
            before(panic);
        }));
        if reads_keys {
            terminal::enable_raw_mode().map_err(failed)?;
        }
        execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap, Hide).map_err(failed)?;
        Ok(screen)
    }

    /// What `top` draws on.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `TERMINAL_FAILED`.
    #[expect(
        clippy::unused_self,
        reason = "nothing may be drawn before the screen is taken"
    )]
    pub(in crate::app::cli) fn canvas(&self) -> Result<Canvas> {
        Terminal::new(CrosstermBackend::new(io::stdout())).map_err(failed)
    }

    /// The width and the height.
    #[expect(
        clippy::unused_self,
        reason = "its size is that of a screen that is taken"
    )]
    pub(in crate::app::cli) fn size(&self) -> (u16, u16) {
        terminal::size().unwrap_or((80, 24))
    }

    /// Shows lines instead of those that were shown before. Each replaces the one at its place, so that nothing
    /// flickers. What is wider than the screen is cut.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `TERMINAL_FAILED`.
    #[expect(
        clippy::unused_self,
        reason = "nothing may be drawn before the screen is taken"
    )]
    pub(in crate::app::cli) fn show(&self, lines: &[String]) -> Result<()> {
        let mut frame = Vec::new();
        let mut draw = || -> io::Result<()> {
            queue!(frame, BeginSynchronizedUpdate, MoveTo(0, 0))?;
            for (row, line) in (0..).zip(lines) {
                queue!(frame, MoveTo(0, row))?;
                frame.extend_from_slice(line.as_bytes());
                queue!(frame, Clear(ClearType::UntilNewLine))?;
            }
            queue!(
                frame,
                Clear(ClearType::FromCursorDown),
                EndSynchronizedUpdate
            )?;
            let mut out = io::stdout().lock();
            out.write_all(&frame)?;
            out.flush()
        };
        draw().map_err(failed)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(&self.is_taken, self.reads_keys);
    }
}

/// Gives the screen back, once. A terminal that is gone needs nothing.
fn give_back(is_taken: &AtomicBool, reads_keys: bool) {
    if !is_taken.swap(false, Ordering::AcqRel) {
        return;
    }
    let _ = execute!(io::stdout(), EnableLineWrap, LeaveAlternateScreen, Show);
    if reads_keys {
        let _ = terminal::disable_raw_mode();
    }
}

/// The error of a terminal that cannot be drawn on.
pub(in crate::app::cli) fn failed(error: io::Error) -> Error {
    Error::internal("TERMINAL_FAILED", "cannot use the terminal").with_source(error)
}
