//! Completions of what the grammar of the command line does not know: services, elements of inputs, CIDs, operations,
//! contexts and criteria of filters. The script of a shell (`cidery completions`) runs this program for each of them.
//!
//! They are added to the arguments in one place, for completions only: any other command is parsed without them.

mod candidates;
mod words;

use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use clap_complete::env::Shells;

use self::candidates::{cids, contexts, elements, filter_terms, operations, services};
use crate::codec::proto::v1::State;
use crate::model::error::{Error, Result};

/// The environment variable that the scripts set.
pub(super) const VARIABLE: &str = "CIDERY_COMPLETE";

/// Answers the script of a shell, if that has started this process: returns whether it has.
pub(super) fn answer(command: fn() -> Command) -> bool {
    let completed = CompleteEnv::with_factory(|| with_candidates(command()))
        .var(VARIABLE)
        .bin("cidery")
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    // A shell shows no errors while a person types.
    completed.unwrap_or(true)
}

/// Writes the script of a shell.
///
/// # Errors
///
/// `INTERNAL` with the error of the library.
pub(super) fn script(shell: &str) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let written = shells
        .completer(shell)
        .map(|shell| shell.write_registration(VARIABLE, "cidery", "cidery", "cidery", &mut script));
    match written {
        Some(Ok(())) => Ok(script),
        Some(Err(error)) => Err(Error::internal("SCRIPT_FAILED", error.to_string())),
        None => Err(Error::internal("SCRIPT_FAILED", "there is no such script")),
    }
}

fn with_candidates(command: Command) -> Command {
    let of = command.get_name().to_owned();
    let command = command.mut_args(|argument| with_candidates_of(argument, &of));
    command.mut_subcommands(with_candidates)
}

/// Adds the candidates of an argument, by what its value is.
fn with_candidates_of(argument: Arg, command: &str) -> Arg {
    let mut value_names = argument.get_value_names().unwrap_or_default().iter();
    let is_cid = value_names.any(|name| name == "CID");
    let (id, long) = (argument.get_id().as_str(), argument.get_long());
    match (command, id, long) {
        (_, "context", Some(_)) | ("use" | "show" | "remove", "name", None) => {
            argument.add(ArgValueCandidates::new(contexts))
        }
        (_, "elements", None) => argument.add(ArgValueCompleter::new(elements)),
        (_, _, Some("filter")) | ("tail", "filter", None) => {
            argument.add(ArgValueCompleter::new(filter_terms))
        }
        (_, _, Some("service" | "callback" | "failure-callback"))
        | (
            "invoke" | "pipe" | "bench" | "describe" | "health" | "workers" | "pause" | "resume"
            | "disable" | "enable" | "forget",
            "name" | "names" | "service",
            None,
        ) => argument.add(ArgValueCompleter::new(services)),
        _ if is_cid => {
            let states = states_of(command);
            argument.add(ArgValueCandidates::new(move || cids(states)))
        }
        ("show" | "follow" | "cancel", "id" | "ids", None) => {
            argument.add(ArgValueCandidates::new(operations))
        }
        _ => argument,
    }
}

/// The states of invocations that a command can change; none: it takes all.
fn states_of(command: &str) -> &'static [State] {
    match command {
        "cancel" => &[State::Pending, State::Running],
        "retry" => &[State::Failed, State::Cancelled, State::Expired],
        "release" => &[State::Pending],
        _ => &[],
    }
}
