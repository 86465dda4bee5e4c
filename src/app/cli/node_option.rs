//! `--node`, its TLS and its credential, also before the command: for those that connect to a node. The others refuse
//! them.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};

use super::args::usage_error;
use super::contexts::{Context, Contexts};
use super::credential_args::CredentialArgs;
use super::printer::{Printer, Tone, in_context};
use super::retry_note::note_retries;
use super::tls_args::ClientTlsArgs;
use crate::model::error::{Error, Kind, Result, reason};
use crate::remote::client::ContractClient;

/// The name of the option.
const NODE: &str = "node";
/// The name of the option of a context.
const CONTEXT: &str = "context";
/// The node where none is given.
const DEFAULT_NODE: &str = "127.0.0.1:24337";
/// How an address with TLS begins.
const HTTPS: &str = "https://";

/// The node to connect to. The option may stand before the command, too.
#[derive(Args, Clone, Debug)]
pub(super) struct NodeArgs {
    /// Address of the node. With TLS: `https://HOST:PORT`; `--ca FILE` is the CA certificate of the node, `--cert FILE`
    /// and `--key FILE` are a client certificate. Where it asks who calls: `--api-key-file FILE`, or the environment
    /// variable `CIDERY_API_KEY`. Default: that of the context, otherwise 127.0.0.1:24337.
    #[arg(
        short,
        long,
        global = true,
        env = "CIDERY_NODE",
        value_name = "HOST:PORT"
    )]
    node: Option<String>,
    /// Context to use where no node is given: its node, with its API key and certificates. Default: the one that
    /// `cidery context use` has chosen.
    #[arg(long, global = true, env = "CIDERY_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    #[command(flatten)]
    tls: ClientTlsArgs,
    #[command(flatten)]
    credential: CredentialArgs,
}

impl NodeArgs {
    /// The context that is used, by its name: none where a node is given, as its API key is for its node only.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` where it does not exist, or the file of contexts cannot be read.
    fn context(&self) -> Result<Option<(String, Context)>> {
        if self.node.is_some() {
            return Ok(None);
        }
        let contexts = Contexts::load()?;
        let Some(name) = self.context.as_ref().or(contexts.current.as_ref()) else {
            return Ok(None);
        };
        let context = contexts.find(name)?.clone();
        Ok(Some((name.clone(), context)))
    }

    /// The address of the node.
    fn address<'a>(&'a self, context: Option<&'a Context>) -> &'a str {
        let given = self.node.as_deref();
        let of_context = || context.map(|context| context.node.as_str());
        given.or_else(of_context).unwrap_or(DEFAULT_NODE)
    }

    /// Connects to the node. While a later call is retried, the user is told.
    pub(super) async fn connect(&self, printer: &Printer) -> Result<ContractClient> {
        let context = self.context()?.map(|(_, context)| context);
        if let Some(warning) = self.credential.warning(context.as_ref()) {
            printer.note(Tone::Warning, &warning);
        }
        Ok(note_retries(self.connect_silently().await?, printer))
    }

    /// Connects to the node.
    pub(super) async fn connect_silently(&self) -> Result<ContractClient> {
        let context = self.context()?.map(|(_, context)| context);
        let context = context.as_ref();
        let node = self.address(context);
        // The environment may have certificates for other nodes: `check` refuses options that have no effect.
        let tls = self.tls.tls(context);
        let client = match tls.filter(|_| node.starts_with(HTTPS)) {
            Some(tls) => ContractClient::connect_with_tls(node, tls).await,
            None => ContractClient::connect(node).await,
        };
        // The address is an argument, or in the environment.
        let client = client.map_err(|error| match error.kind() {
            Kind::InvalidArgument if error.reason() == reason::REQUEST_INVALID => {
                error.with_reason(reason::USAGE_INVALID)
            }
            _ => error,
        })?;
        Ok(match self.credential.credential(context)? {
            Some(credential) => client.credential(credential),
            None => client,
        })
    }

    /// The name of the context that is used.
    pub(super) fn context_name(&self) -> Option<String> {
        self.context().ok().flatten().map(|(name, _)| name)
    }

    /// Names the context that an error happened in.
    pub(super) fn name_context(&self, error: Error) -> Error {
        match self.context_name() {
            Some(name) => in_context(error, &name),
            None => error,
        }
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
            false => {
                // `cidery context add` has some of them for itself.
                let own: Vec<_> = one
                    .get_arguments()
                    .map(|own| own.get_id().clone())
                    .collect();
                let others = options
                    .iter()
                    .filter(|option| !own.contains(option.get_id()));
                one.args(others.map(|option| option.clone().hide(true)))
            }
        });
    }
    command
}

/// Refuses the options where the command connects to no node, and those of TLS where the address has none. Returns
/// whether it connects to one.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `USAGE_INVALID`, also for the context.
pub(super) fn check(command: &Command, matches: &ArgMatches, node: &NodeArgs) -> Result<bool> {
    let (mut called, mut matches, mut names) = (command, matches, String::from("cidery"));
    while let Some((name, nested)) = matches.subcommand()
        && let Some(subcommand) = called.find_subcommand(name)
    {
        (called, matches) = (subcommand, nested);
        names = format!("{names} {name}");
    }
    let connects = options(called).any(|option| option.get_id() == NODE && !option.is_hide_set());
    let is_given = |option: &&Arg| is_given(matches, option.get_id().as_str());
    let mut given = options(called).filter(is_given);
    if !connects {
        // One that is shown is its own.
        let Some(option) = given.find(|option| option.is_hide_set()) else {
            return Ok(false);
        };
        let option = option.get_long().unwrap_or_default();
        let message = format!("`{names}` connects to no node: it has no `--{option}`");
        return Err(usage_error(message));
    }
    let mut names = given.map(|option| option.get_id().as_str());
    let tls = names.find(|name| ClientTlsArgs::NAMES.contains(name));
    let context = node.context()?.map(|(_, context)| context);
    let address = node.address(context.as_ref());
    match tls {
        Some(option) if !address.starts_with(HTTPS) => Err(usage_error(format!(
            "`--{option}` is for a node with TLS: use `--node https://{}`",
            address.strip_prefix("http://").unwrap_or(address)
        ))),
        _ => Ok(true),
    }
}

/// Whether an option is given on the command line, and not by the environment.
pub(super) fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// Those that a command has.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|option| {
        let name = option.get_id().as_str();
        let own = ClientTlsArgs::NAMES.iter().chain(&CredentialArgs::NAMES);
        own.chain(&[NODE, CONTEXT]).any(|own| *own == name)
    })
}

/// Whether a command, or one of its own commands, connects to a node.
fn connects(command: &Command) -> bool {
    command
        .get_arguments()
        .any(|option| option.get_id() == NODE)
        || command.get_subcommands().any(connects)
}
