//! Environment variables that are empty count as not set, as those of the configuration do. Used once, for the whole
//! command line.

use clap::Command;
use clap::builder::Resettable;

/// Takes the variables that are empty from the options that they would set.
pub(super) fn unset(command: Command) -> Command {
    let command = command.mut_args(|option| {
        let variable = option.get_env().and_then(std::env::var_os);
        match variable.is_some_and(|value| value.is_empty()) {
            true => option.env(Resettable::Reset),
            false => option,
        }
    });
    command.mut_subcommands(unset)
}
