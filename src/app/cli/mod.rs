//! The command line: `cidery VERB`. Data goes to standard output, everything else to standard error.

mod change;
mod completions;
mod demo;
mod describe;
mod explain;
mod export;
mod filter;
mod follow;
mod input;
mod invocations;
mod invoke;
mod printer;
mod result;
mod serve;
mod service;
mod services;
mod workers;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use self::printer::Printer;
use crate::app::telemetry::{self, LogFormat};
use crate::model::error::{Error, Result};
use crate::remote::Client;

/// Call any service by name, now or in the background, over gRPC, from any language.
#[derive(Debug, Parser)]
#[command(name = "cidery", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How data is written.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        help_heading = "Global options"
    )]
    output: Output,
}

/// How data is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people: tables, indented JSON.
    #[default]
    Table,
    /// For programs: one JSON value a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node.
    Serve(serve::Serve),
    /// Run a node with services to play with, and show what it can do.
    Demo(demo::Demo),
    /// Invoke a service.
    Invoke(Box<invoke::Invoke>),
    /// Show what an invocation came to.
    Result(result::ShowResult),
    /// List stored invocations.
    Invocations(invocations::Invocations),
    /// Cancel invocations.
    Cancel(change::Cancel),
    /// Run invocations again that ended without a response.
    Retry(change::Retry),
    /// Tell the whole story of an invocation.
    Explain(explain::Explain),
    /// List the services.
    Services(services::Services),
    /// Describe a service.
    Describe(describe::Describe),
    /// List the connected workers.
    Workers(workers::Workers),
    /// Look after one service.
    Service(service::Service),
    /// Write what a node serves for other tools.
    Export(export::Export),
    /// Write a completion script for a shell.
    Completions(completions::Completions),
}

/// Where the node is.
#[derive(Args, Clone, Debug)]
struct NodeArgs {
    /// The node to talk to.
    #[arg(
        long,
        env = "CIDERY_NODE",
        default_value = "127.0.0.1:24337",
        value_name = "HOST:PORT"
    )]
    node: String,
}

impl NodeArgs {
    async fn connect(&self) -> Result<Client> {
        Client::connect(&self.node).await
    }
}

/// What is logged.
#[derive(Args, Debug)]
struct LogArgs {
    /// How log lines are written, on standard error.
    #[arg(long, env = "CIDERY_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// What is logged: a level, or `info,cidery=debug`.
    #[arg(
        long,
        env = "CIDERY_LOG",
        default_value = "info",
        value_name = "FILTER",
        value_parser = telemetry::filter
    )]
    log: String,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer::new(cli.output);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::internal("RUNTIME_FAILED", format!("cannot start threads: {error}"));
            return printer.fail(&error);
        }
    };
    let outcome = runtime.block_on(run(cli, &printer));
    // What still runs has been waited for as long as it deserves.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => printer.fail(&error),
    }
}

async fn run(cli: Cli, printer: &Printer) -> Result<()> {
    match cli.command {
        Command::Serve(command) => command.run(printer).await,
        Command::Demo(command) => command.run(printer).await,
        Command::Invoke(command) => command.run(printer).await,
        Command::Result(command) => command.run(printer).await,
        Command::Invocations(command) => command.run(printer).await,
        Command::Cancel(command) => command.run(printer).await,
        Command::Retry(command) => command.run(printer).await,
        Command::Explain(command) => command.run(printer).await,
        Command::Services(command) => command.run(printer).await,
        Command::Describe(command) => command.run(printer).await,
        Command::Workers(command) => command.run(printer).await,
        Command::Service(command) => command.run(printer).await,
        Command::Export(command) => command.run(printer).await,
        Command::Completions(command) => command.run(printer, &mut Cli::command()),
    }
}

/// Reads a duration: `500ms`, `2s`, `1m 30s`, `1h`.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "use a number and a unit, such as `500ms`, `2s` or `5m`".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a duration is not negative".to_owned())
}

/// Reads a size: `1048576`, `64MiB`, `1GiB`.
#[cfg(feature = "sqlite")]
fn bytes(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => {
            return Err(
                "use a number of bytes, or one with `KiB`, `MiB`, `GiB` or `TiB`".to_owned(),
            );
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "begin with a whole number".to_owned())?;
    let bytes = u128::from(number) << shift;
    u64::try_from(bytes).map_err(|_| "that is more than there can be".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "sqlite")]
    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        for wrong in ["", "MiB", "1.5GiB", "1MB", "-1", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err());
        assert!(duration("5").is_err());
    }
}
