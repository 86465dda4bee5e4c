//! The command line, `cidery VERB`: parses arguments and runs one command.
//!
//! Data is written to standard output, everything else to standard error.

mod action;
mod address;
mod args;
mod bulk;
mod changes;
mod cid_arg;
mod commands;
mod complete;
mod contexts;
mod control_text;
mod credential_args;
mod detach;
mod element_text;
mod empty_variables;
mod event_stream;
mod event_text;
mod filter;
mod filter_text;
mod fit_text;
mod follow;
mod global_help;
mod groups;
mod id_prefix;
mod input;
mod last;
mod lost;
mod names;
mod node_option;
mod objects;
mod operation_arg;
mod operation_progress;
mod printer;
mod restriction;
mod retry_note;
mod selection;
mod states;
mod stdin;
mod stop;
mod store_keys;
mod summary_table;
mod times;
mod tips;
mod tls_args;
mod top;
mod usage;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::args::GlobalArgs;
use self::commands::{
    bench, cancel, cert, check_worker, completions, config, context, dead_letters, demo, describe,
    events, explain, export, health, invocations, invoke, key, man, operations, pipe, purge,
    release, result, resume, retry, serve, service, services, status, store, tail, whoami, workers,
};
use self::node_option::NodeArgs;
use self::printer::Printer;
use crate::app::telemetry::{self, LogFormat};
use crate::model::error::{Error, Result};

/// Call any service by name, synchronously or in the background, over gRPC, from any language.
#[derive(Debug, Parser)]
#[command(name = "cidery", version, about, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalArgs,
    /// Each command that connects to a node has it, too: clap gives this value to them.
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node.
    Serve(serve::Serve),
    /// Run a node with demo services and demonstrate its features.
    Demo(demo::Demo),
    /// Invoke a service, synchronously or in the background.
    Invoke(Box<invoke::Invoke>),
    /// Invoke a service once for each row of standard input.
    ///
    /// The rows of the output are in the order of the input: the columns of --keep, then the elements of the response.
    /// With --state, a pipe that was ended continues where it was, and each row is in the output once. With --async,
    /// each row is stored by the node before it runs, and runs once, also if the node or the pipe is ended meanwhile.
    Pipe(Box<pipe::Pipe>),
    /// Get the result of an invocation.
    Result(result::ShowResult),
    /// List invocations.
    Invocations(invocations::Invocations),
    /// Cancel invocations.
    Cancel(cancel::Cancel),
    /// Retry failed, cancelled or expired invocations.
    Retry(retry::Retry),
    /// Release held invocations.
    Release(release::Release),
    /// Remove ended invocations and their results.
    Purge(purge::Purge),
    /// Show and cancel changes of many invocations.
    Operations(operations::Operations),
    /// Show the history of an invocation, and what it waits for.
    ///
    /// Shows its acceptance, attempts and outcome, who serves it, its place in the queue, its origin, and the tree of
    /// its children and callbacks.
    Explain(explain::Explain),
    /// Show the dead-letter queue: held and failed invocations.
    ///
    /// Held ones, and failed ones that were not retried, are counted by service and reason, with an example of each.
    /// AGE is that of the oldest and of the newest one.
    DeadLetters(dead_letters::DeadLetters),
    /// List services.
    ///
    /// The columns RUNNING and PENDING are left out where the terminal is too narrow for them; --output json has them.
    Services(services::Services),
    /// Show the input, output, options and samples of a service.
    Describe(describe::Describe),
    /// List connected workers.
    Workers(workers::Workers),
    /// Show the health of a node, and what needs attention.
    Status(status::Status),
    /// Show whether a node serves, for probes.
    Health(health::Health),
    /// Measure how long calls of a service take.
    ///
    /// Callers call one after the other (--callers), or calls begin at a fixed rate (--rate), whether or not earlier
    /// ones have been answered: then latencies count from the time when a call should have begun. What fails is counted
    /// by its reason, and is not among the latencies. No call is retried.
    Bench(Box<bench::Bench>),
    /// Show what a node does, on the whole screen.
    Top(commands::top::Top),
    /// Watch what happens on a node.
    Events(Box<events::Events>),
    /// Read what becomes of invocations, one line each.
    Tail(tail::Tail),
    /// Check a worker against the worker protocol.
    CheckWorker(check_worker::CheckWorker),
    /// Pause, disable and forget services.
    Service(service::Service),
    /// Make, list and revoke API keys.
    Key(key::Key),
    /// Name nodes, and what reaching them takes.
    ///
    /// A context has the address of a node, and the files with its API key, its CA and a client certificate. Commands
    /// use the one of --context, of `CIDERY_CONTEXT`, or that `cidery context use` has chosen, unless a node is given
    /// by --node or `CIDERY_NODE`. They are in the file `cidery/contexts.toml` of `$XDG_CONFIG_HOME` (default:
    /// `~/.config`), which has paths of files with keys, and never a key.
    Context(context::Context),
    /// Show who the node takes you for, and what you may do.
    Whoami(whoami::Whoami),
    /// Start the invocations of a node that was started with `--hold`.
    Resume(resume::Resume),
    /// Back up, restore and check the store of a node.
    Store(store::Store),
    /// Make certificates to try out TLS.
    Cert(cert::Cert),
    /// Check and show the configuration of a node.
    Config(config::Config),
    /// Export service definitions.
    Export(export::Export),
    /// Print the completion script of a shell.
    ///
    /// bash: `cidery completions bash > ~/.local/share/bash-completion/completions/cidery`;
    /// zsh: `cidery completions zsh > _cidery` in a folder of `$fpath`;
    /// fish: `cidery completions fish > ~/.config/fish/completions/cidery.fish`.
    ///
    /// It completes names of services, elements of inputs, CIDs, operations and contexts, too: it asks the node for
    /// them, for at most half a second. Print it again after an update.
    Completions(completions::Completions),
    /// Write manual pages: one for each command.
    ///
    /// With --dir, all pages are written to a folder, such as `~/.local/share/man/man1`: `man cidery-invoke` shows that
    /// of `cidery invoke`. Otherwise, the page of one command is printed: `cidery man invoke | man -l -`.
    Man(man::Man),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    if complete::answer(command) {
        return ExitCode::SUCCESS;
    }
    let mut command = command();
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(answer) => return usage::report(answer, &command),
    };
    cli.global.apply_color();
    let printer = Printer::new(cli.global);
    let node = cli.node.clone();
    let connects = match node_option::check(&command, &matches, &node) {
        Ok(connects) => connects,
        Err(error) => return printer.fail(&error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let message = format!("cannot start the runtime: {error}");
            return printer.fail(&Error::internal("RUNTIME_FAILED", message));
        }
    };
    // The log of commands that start no node is silent unless it is asked for.
    let starts_node = matches!(cli.command, Command::Serve(_) | Command::Demo(_));
    let log = match cli.global.verbose {
        1.. if !starts_node => printer.log_filter(),
        _ => None,
    };
    let log = log.map(|filter| telemetry::init(LogFormat::Human, filter));
    let outcome = match log.transpose() {
        Ok(_guard) => runtime.block_on(run(cli, &matches, &printer)),
        Err(error) => Err(error),
    };
    // The command has waited for its tasks already; only blocking ones can be left.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match outcome {
        Ok(code) => code,
        Err(error) if connects => printer.fail(&node.name_context(error)),
        Err(error) => printer.fail(&error),
    }
}

/// The command line with all that is added to what clap derives.
fn command() -> clap::Command {
    let command = empty_variables::unset(Cli::command());
    let command = global_help::summarized(node_option::hide_elsewhere(command));
    groups::grouped(command)
}

/// Runs a command. The exit code is 0 unless it fails or is ended by a signal.
async fn run(cli: Cli, matches: &ArgMatches, printer: &Printer) -> Result<ExitCode> {
    let done = match cli.command {
        Command::Serve(command) => return command.run(printer).await,
        Command::Demo(command) => return command.run(printer).await,
        Command::Status(command) => return command.run(printer).await,
        Command::Health(command) => return command.run(printer).await,
        Command::Bench(command) => return Box::pin(command.run(printer)).await,
        Command::Pipe(command) => return Box::pin(command.run(printer)).await,
        Command::Top(command) => return Box::pin(command.run(printer)).await,
        Command::Invoke(command) => command.run(printer).await,
        Command::Result(command) => command.run(printer).await,
        Command::Invocations(command) => return Box::pin(command.run(printer)).await,
        Command::Cancel(command) => command.run(printer).await,
        Command::Retry(command) => command.run(printer).await,
        Command::Release(command) => command.run(printer).await,
        Command::Purge(command) => command.run(printer).await,
        Command::Operations(command) => return Box::pin(command.run(printer)).await,
        Command::Explain(command) => command.run(printer).await,
        Command::DeadLetters(command) => return Box::pin(command.run(printer)).await,
        Command::Services(command) => return command.run(printer).await,
        Command::Describe(command) => command.run(printer).await,
        Command::Workers(command) => return command.run(printer).await,
        Command::Events(command) => command.run(printer).await,
        Command::Tail(command) => return command.run(printer).await,
        Command::CheckWorker(command) => command.run(printer).await,
        Command::Service(command) => command.run(printer).await,
        Command::Key(command) => command.run(printer).await,
        Command::Context(command) => command.run(matches, printer),
        Command::Whoami(command) => command.run(printer).await,
        Command::Resume(command) => command.run(printer).await,
        Command::Store(command) => return command.run(printer).await,
        Command::Cert(command) => command.run(printer),
        Command::Config(command) => command.run(printer),
        Command::Export(command) => command.run(printer).await,
        Command::Completions(command) => command.run(printer),
        Command::Man(command) => command.run(printer, &self::command()),
    };
    done.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables of other commands, set beside a node.
    #[test]
    fn a_node_knows_the_variables_of_all_commands() {
        let mut commands = vec![command()];
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments() {
                let name = argument
                    .get_env()
                    .map(|name| name.to_string_lossy().into_owned());
                let name = name.and_then(|name| name.strip_prefix("CIDERY_").map(str::to_owned));
                let is_known = crate::app::config::is_known_variable;
                assert!(name.as_deref().is_none_or(is_known), "{name:?}");
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn the_arguments_of_all_commands_are_consistent() {
        command().debug_assert();
    }
}
