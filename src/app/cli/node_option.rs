//! `--node`, also before the command: for those that connect to a node. The others refuse it.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};

use super::args::usage_error;
use super::printer::Printer;
use super::retry_note::note_retries;
use crate::model::error::{Kind, Result, reason};
use crate::remote::client::ContractClient;

/// The name of the option.
const NODE: &str = "node";

/// The node to connect to. The option may stand before the command, too.
#[derive(Args, Clone, Debug)]
pub(super) struct NodeArgs {
    /// Address of the node.
    #[arg(
        short,
        long,
        global = true,
        env = "CIDERY_NODE",
        default_value = "127.0.0.1:24337",
        value_name = "HOST:PORT"
    )]
    node: String,
}

impl NodeArgs {
    /// Connects to the node. While a later call is retried, the user is told.
    pub(super) async fn connect(&self, printer: &Printer) -> Result<ContractClient> {
        let client = ContractClient::connect(&self.node).await;
        // The address is an argument, or in the environment.
        let client = client.map_err(|error| match error.kind() {
            Kind::InvalidArgument => error.with_reason(reason::USAGE_INVALID),
            _ => error,
        })?;
        Ok(note_retries(client, printer))
    }
}

/// Hides the option from the help of commands that connect to no node.
pub(super) fn hide_elsewhere(command: Command) -> Command {
    match option(&command).cloned() {
        Some(node) => hide_in(command, &node),
        None => command,
    }
}

fn hide_in(mut command: Command, node: &Arg) -> Command {
    let nested = command.get_subcommands();
    let nested: Vec<String> = nested.map(|one| one.get_name().to_owned()).collect();
    for name in nested {
        command = command.mut_subcommand(name, |one| match connects(&one) {
            true if one.has_subcommands() => hide_in(one, node),
            true => one,
            false => one.arg(node.clone().hide(true)),
        });
    }
    command
}

/// Refuses the option where the command connects to no node.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `USAGE_INVALID`.
pub(super) fn check(command: &Command, matches: &ArgMatches) -> Result<()> {
    let (mut called, mut matches, mut names) = (command, matches, String::from("cidery"));
    while let Some((name, nested)) = matches.subcommand()
        && let Some(subcommand) = called.find_subcommand(name)
    {
        (called, matches) = (subcommand, nested);
        names = format!("{names} {name}");
    }
    let is_given = matches.value_source(NODE) == Some(ValueSource::CommandLine);
    match option(called) {
        Some(option) if option.is_hide_set() && is_given => Err(usage_error(format!(
            "`{names}` connects to no node: it has no `--node`"
        ))),
        _ => Ok(()),
    }
}

fn option(command: &Command) -> Option<&Arg> {
    command
        .get_arguments()
        .find(|option| option.get_id() == NODE)
}

/// Whether a command, or one of its own commands, connects to a node.
fn connects(command: &Command) -> bool {
    option(command).is_some() || command.get_subcommands().any(connects)
}
