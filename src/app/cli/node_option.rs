//! `--node`, its TLS and its credential, also before the command: for those that connect to a node. The others refuse
//! them.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};

use super::args::usage_error;
use super::credential_args::CredentialArgs;
use super::printer::Printer;
use super::retry_note::note_retries;
use super::tls_args::ClientTlsArgs;
use crate::model::error::{Kind, Result, reason};
use crate::remote::client::ContractClient;

/// The name of the option.
const NODE: &str = "node";
/// How an address with TLS begins.
const HTTPS: &str = "https://";

/// The node to connect to. The option may stand before the command, too.
#[derive(Args, Clone, Debug)]
pub(super) struct NodeArgs {
    /// Address of the node. With TLS: `https://HOST:PORT`; `--ca FILE` is the CA certificate of the node, `--cert FILE`
    /// and `--key FILE` are a client certificate. Where it asks who calls: `--api-key-file FILE`, or the environment
    /// variable `CIDERY_API_KEY`.
    #[arg(
        short,
        long,
        global = true,
        env = "CIDERY_NODE",
        default_value = "127.0.0.1:24337",
        value_name = "HOST:PORT"
    )]
    node: String,
    #[command(flatten)]
    tls: ClientTlsArgs,
    #[command(flatten)]
    credential: CredentialArgs,
}

impl NodeArgs {
    /// Connects to the node. While a later call is retried, the user is told.
    pub(super) async fn connect(&self, printer: &Printer) -> Result<ContractClient> {
        // The environment may have certificates for other nodes: `check` refuses options that have no effect.
        let tls = self.tls.tls().filter(|_| self.node.starts_with(HTTPS));
        let client = match tls {
            Some(tls) => ContractClient::connect_with_tls(&self.node, tls).await,
            None => ContractClient::connect(&self.node).await,
        };
        // The address is an argument, or in the environment.
        let client = client.map_err(|error| match error.kind() {
            Kind::InvalidArgument if error.reason() == reason::REQUEST_INVALID => {
                error.with_reason(reason::USAGE_INVALID)
            }
            _ => error,
        })?;
        let client = match self.credential.credential()? {
            Some(credential) => client.credential(credential),
            None => client,
        };
        Ok(note_retries(client, printer))
    }
}

/// Hides the options from the help of commands that connect to no node, and shows those of TLS and of credentials in
/// that of all.
pub(super) fn hide_elsewhere(mut command: Command) -> Command {
    for name in ClientTlsArgs::NAMES.iter().chain(&CredentialArgs::NAMES) {
        command = command.mut_arg(name, |option| option.hide(false));
    }
    let options = options(&command).cloned().collect::<Vec<_>>();
    hide_in(command, &options)
}

fn hide_in(mut command: Command, options: &[Arg]) -> Command {
    let nested = command.get_subcommands();
    let nested: Vec<String> = nested.map(|one| one.get_name().to_owned()).collect();
    for name in nested {
        command = command.mut_subcommand(name, |one| match connects(&one) {
            true if one.has_subcommands() => hide_in(one, options),
            true => one,
            false => one.args(options.iter().map(|option| option.clone().hide(true))),
        });
    }
    command
}

/// Refuses the options where the command connects to no node, and those of TLS where the address has none.
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
    let connects = options(called).any(|option| option.get_id() == NODE && !option.is_hide_set());
    let is_given = |option: &&Arg| {
        matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let given: Vec<&Arg> = options(called).filter(is_given).collect();
    if let (Some(option), false) = (given.first(), connects) {
        let option = option.get_long().unwrap_or_default();
        let message = format!("`{names}` connects to no node: it has no `--{option}`");
        return Err(usage_error(message));
    }
    let node = matches.get_one::<String>(NODE);
    let mut names = given.iter().map(|option| option.get_id().as_str());
    let tls = names.find(|name| ClientTlsArgs::NAMES.contains(name));
    match (tls, node) {
        (Some(option), Some(node)) if !node.starts_with(HTTPS) => Err(usage_error(format!(
            "`--{option}` is for a node with TLS: use `--node https://{}`",
            node.strip_prefix("http://").unwrap_or(node)
        ))),
        _ => Ok(()),
    }
}

/// Those that a command has.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|option| {
        let name = option.get_id().as_str();
        let own = ClientTlsArgs::NAMES.iter().chain(&CredentialArgs::NAMES);
        own.chain(&[NODE]).any(|own| *own == name)
    })
}

/// Whether a command, or one of its own commands, connects to a node.
fn connects(command: &Command) -> bool {
    options(command).next().is_some() || command.get_subcommands().any(connects)
}
