//! `cidery service pause`, `resume`, `disable` and `enable`: several services at once, each independently.

use clap::Args;

use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{List, Printer, Row, Tone};
use crate::codec::proto::v1;
use crate::model::error::{Error, Kind, Result};
use crate::remote::client::ContractClient;

/// The services that are changed.
#[derive(Args, Debug)]
pub(super) struct Services {
    /// Names of the services.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// What is done to them.
#[derive(Debug)]
pub(super) enum Change {
    Pause {
        reason: String,
        background_only: bool,
    },
    Resume,
    Disable {
        reason: String,
    },
    Enable,
}

/// Changes services, each independently. Returns the first failure.
pub(super) async fn change(change: &Change, services: Services, printer: &Printer) -> Result<()> {
    let client = services.node.connect(printer).await?;
    let mut first_failure: Option<Error> = None;
    let mut rows = Vec::with_capacity(services.names.len());
    for name in services.names {
        match apply(change, &client, &name).await {
            Ok((changed, service)) => {
                let (tone, note) = note(change, &name, changed, &service);
                printer.note(tone, &note);
                rows.push(Row {
                    object: objects::controlled_service(&name, &service),
                    name,
                    cells: [],
                });
            }
            // The first one is printed as the error of the command.
            Err(error) if first_failure.is_some() => {
                printer.note(Tone::Warning, &format!("{name}: {error}"));
            }
            Err(error) => first_failure = Some(error),
        }
    }
    if !printer.is_table() && !rows.is_empty() {
        printer.list(List {
            columns: [],
            rows,
            if_empty: "",
        });
    }
    first_failure.map_or(Ok(()), Err)
}

/// Changes a service. Returns whether it was not like that before, and the service as it is then.
async fn apply(
    change: &Change,
    client: &ContractClient,
    name: &str,
) -> Result<(bool, v1::ServiceDescription)> {
    let service = name.to_owned();
    let changed = match change {
        Change::Pause {
            reason,
            background_only,
        } => {
            let request = v1::PauseServiceRequest {
                service,
                reason: reason.clone(),
                background_only: *background_only,
            };
            client.pause_service(request).await.map(|_| true)?
        }
        Change::Disable { reason } => {
            let request = v1::DisableServiceRequest {
                service,
                reason: reason.clone(),
            };
            client.disable_service(request).await.map(|_| true)?
        }
        Change::Resume => client.resume_service(name).await?,
        Change::Enable => client.enable_service(name).await?,
    };
    match client.describe(name).await {
        Ok(service) => Ok((changed, service)),
        // It was announced before the node was last started, and not since.
        Err(error) if error.kind() == Kind::NotFound => {
            Ok((changed, v1::ServiceDescription::default()))
        }
        Err(error) => Err(error),
    }
}

/// What happens now.
fn note(
    change: &Change,
    name: &str,
    changed: bool,
    service: &v1::ServiceDescription,
) -> (Tone, String) {
    let control = service.control.clone().unwrap_or_default();
    let goes_on = || match (pending(service), service.health()) {
        (None, _) => String::new(),
        (Some(pending), v1::ServiceHealth::NoWorker) => {
            format!(": {pending} until a worker serves it")
        }
        (Some(pending), _) => format!(": {pending} no longer"),
    };
    match change {
        Change::Pause {
            background_only, ..
        } => {
            let calls = match background_only {
                true => "synchronous calls go on",
                false => "synchronous calls are refused",
            };
            let waits = pending(service).unwrap_or_else(|| "background work waits".to_owned());
            let running = running(service);
            (
                Tone::Good,
                format!("{name} is paused: {calls}, {waits}{running}"),
            )
        }
        Change::Disable { .. } => {
            let waits = pending(service).map(|waits| format!(", {waits}"));
            let (waits, running) = (waits.unwrap_or_default(), running(service));
            (
                Tone::Good,
                format!("{name} is disabled: every new call is refused{waits}{running}"),
            )
        }
        Change::Resume if control.disabled => {
            let note = format!("{name} is still disabled: `cidery service enable {name}`");
            (Tone::Warning, note)
        }
        Change::Enable if control.paused => {
            let note = format!("{name} is still paused: `cidery service resume {name}`");
            (Tone::Warning, note)
        }
        Change::Resume if changed => (Tone::Good, format!("{name} is resumed{}", goes_on())),
        Change::Enable if changed => (Tone::Good, format!("{name} is enabled{}", goes_on())),
        Change::Resume => (Tone::Quiet, format!("{name} was not paused")),
        Change::Enable => (Tone::Quiet, format!("{name} was not disabled")),
    }
}

/// `12 pending invocations wait`; `None` if there are none.
fn pending(service: &v1::ServiceDescription) -> Option<String> {
    match service.pending {
        0 => None,
        1 => Some("1 pending invocation waits".to_owned()),
        pending => Some(format!("{pending} pending invocations wait")),
    }
}

fn running(service: &v1::ServiceDescription) -> String {
    match service.running {
        0 => String::new(),
        1 => "; 1 that runs goes on".to_owned(),
        running => format!("; {running} that run go on"),
    }
}
