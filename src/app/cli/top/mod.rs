//! `cidery top`: a node on the whole screen.
//!
//! `poll` asks the node, `data` has its answers, `state` what is looked at and what a key does, `draw` draws the state,
//! `live` connects them. Only `poll` and `live` do I/O: the rest is tested without a terminal and without a node.

mod change;
mod data;
mod draw;
mod keys;
mod live;
mod numbers;
mod poll;
mod rates;
mod state;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use self::live::Live;
use super::args::usage_error;
use super::printer::Printer;
use crate::model::error::Result;
use crate::remote::client::ContractClient;

/// Refuses what is no terminal, before anything is drawn.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `USAGE_INVALID`.
pub(super) fn check_terminal(printer: &Printer) -> Result<()> {
    if !printer.is_table() {
        let message =
            "`cidery top` draws, and has no other output: `cidery status --watch --output json`";
        return Err(usage_error(message));
    }
    match io::stdin().is_terminal() && io::stdout().is_terminal() {
        true => Ok(()),
        false => Err(usage_error(
            "`cidery top` needs a terminal: use `cidery status`, or `cidery services --watch`",
        )),
    }
}

/// Shows the node until the user quits, or a signal ends the command.
///
/// # Errors
///
/// `INTERNAL` / `TERMINAL_FAILED`, `SIGNALS_FAILED`.
pub(super) async fn run(client: ContractClient, printer: &Printer) -> Result<ExitCode> {
    Box::pin(Live::new(client, printer)?.run()).await
}
