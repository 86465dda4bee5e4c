//! `cidery service`: pause, resume, disable, enable and forget.

mod control;

use clap::{Args, Subcommand};
use futures_util::stream::{self, StreamExt as _};

use self::control::{Change, Services, change};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{List, Printer, Row, Tone};
use crate::dict;
use crate::model::access::NamePattern;
use crate::model::error::{Error, Result, reason};
use crate::remote::client::ContractClient;

/// How many services of a pattern are forgotten at once: their commits share a sync.
const FORGOTTEN_AT_ONCE: usize = 16;

/// Pause, disable and forget services.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Service {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Pause services: background work waits, and synchronous calls are refused.
    ///
    /// What runs goes on. Asynchronous invocations are accepted, and wait as PAUSED; their expirations and deadlines go
    /// on counting. A pause lasts until `cidery service resume`, also if the node restarts. A paused service can be
    /// paused again, with another reason.
    ///
    /// Example: `cidery service pause customer.get --reason "wrong prices"`
    Pause {
        #[command(flatten)]
        services: Services,
        #[command(flatten)]
        reason: Reason,
        /// Let synchronous calls go on.
        #[arg(long)]
        background_only: bool,
    },
    /// Resume paused services.
    Resume {
        #[command(flatten)]
        services: Services,
    },
    /// Disable services: every new call is refused, and what is pending waits.
    ///
    /// What runs goes on. Lasts until `cidery service enable`, also if the node restarts.
    ///
    /// Example: `cidery service disable crm.sync --reason "replaced by crm.sync2"`
    Disable {
        #[command(flatten)]
        services: Services,
        #[command(flatten)]
        reason: Reason,
    },
    /// Enable disabled services.
    Enable {
        #[command(flatten)]
        services: Services,
    },
    /// Remove services that no worker serves.
    ///
    /// With a pattern, those that a worker serves are left alone.
    ///
    /// Example: `cidery service forget 'crm.*'`
    Forget {
        /// Name of the service, or a pattern.
        #[arg(value_name = "NAME|PATTERN")]
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

#[derive(Args, Debug)]
struct Reason {
    /// Reason, shown to operators and to callers. At most 1 KiB.
    #[arg(long = "reason", default_value = "", value_name = "TEXT")]
    text: String,
}

impl Service {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        match self.verb {
            Verb::Pause {
                services,
                reason,
                background_only,
            } => {
                let pause = Change::Pause {
                    reason: reason.text,
                    background_only,
                };
                change(&pause, services, printer).await
            }
            Verb::Resume { services } => change(&Change::Resume, services, printer).await,
            Verb::Disable { services, reason } => {
                let disable = Change::Disable {
                    reason: reason.text,
                };
                change(&disable, services, printer).await
            }
            Verb::Enable { services } => change(&Change::Enable, services, printer).await,
            Verb::Forget { name, node } => forget(&name, &node, printer).await,
        }
    }
}

async fn forget(name: &str, node: &NodeArgs, printer: &Printer) -> Result<()> {
    let client = node.connect(printer).await?;
    if name.contains('*') {
        return forget_all(&NamePattern::parse("/name", name)?, &client, printer).await;
    }
    client.forget_service(name).await?;
    if !printer.object(name, || dict! { "name": name }.into()) {
        printer.note(Tone::Good, &format!("{name} is forgotten"));
    }
    Ok(())
}

/// Forgets the services that match and that no worker serves, each independently. Returns the first failure.
async fn forget_all(
    pattern: &NamePattern,
    client: &ContractClient,
    printer: &Printer,
) -> Result<()> {
    let prefix = pattern.as_str().split('*').next().unwrap_or_default();
    let known = client.services(prefix).await?.into_iter();
    let unserved = known.filter(|it| pattern.matches(&it.name) && it.locations == 0);
    let forget = async |name: String| {
        let forgotten = client.forget_service(&name).await;
        (name, forgotten)
    };
    let mut answers = stream::iter(unserved.map(|it| it.name))
        .map(forget)
        .buffered(FORGOTTEN_AT_ONCE);
    let (mut rows, mut first_failure): (Vec<Row<0>>, Option<Error>) = (Vec::new(), None);
    while let Some((name, forgotten)) = answers.next().await {
        match forgotten {
            Ok(()) => rows.push(Row {
                object: dict! { "name": name.as_str() }.into(),
                name,
                cells: [],
            }),
            // Another one has forgotten it meanwhile.
            Err(error) if error.reason() == reason::SERVICE_UNKNOWN => {}
            // The first one is printed as the error of the command.
            Err(error) if first_failure.is_some() => {
                printer.note(Tone::Warning, &format!("{name}: {error}"));
            }
            Err(error) => first_failure = Some(error),
        }
    }
    let (tone, note) = match rows.len() {
        0 => (
            Tone::Quiet,
            "no service that matches is without a worker".to_owned(),
        ),
        1 => (Tone::Good, "1 service is forgotten".to_owned()),
        forgotten => (Tone::Good, format!("{forgotten} services are forgotten")),
    };
    if first_failure.is_none() || !rows.is_empty() {
        printer.note(tone, &note);
    }
    if !printer.is_table() {
        printer.list(List {
            columns: [],
            rows,
            if_empty: "",
        });
    }
    first_failure.map_or(Ok(()), Err)
}
