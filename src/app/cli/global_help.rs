//! The options of all commands in the help of one command: `cidery --help` explains them, the others only name them.

use clap::{Arg, Command};

/// The options of all commands, except `--node`, which each command that connects to a node explains.
const NAMES: [&str; 4] = ["output", "quiet", "verbose", "color"];

const SUMMARY: &str = "Global options (`cidery --help` explains them): \
                       -o/--output FORMAT, -q/--quiet, -v/--verbose, --color WHEN";

/// Names the global options in one sentence at the end of the help of each command.
pub(super) fn summarized(command: Command) -> Command {
    let global = command
        .get_arguments()
        .filter(|option| NAMES.contains(&option.get_id().as_str()));
    let global: Vec<Arg> = global
        .map(|option| {
            let option = option.clone().hide_long_help(true);
            option.hide_short_help(true)
        })
        .collect();
    summarize(command, &global)
}

fn summarize(command: Command, global: &[Arg]) -> Command {
    command.mut_subcommands(|command| {
        let command = command.args(global).after_help(SUMMARY);
        summarize(command, global)
    })
}
