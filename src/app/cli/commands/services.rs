//! `cidery services`.

use std::process::ExitCode;

use clap::Args;

use crate::app::cli::names::health_name;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{Column, List, Printer, Row};
use crate::app::cli::watch::WatchArgs;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::remote::client::ContractClient;

/// List services.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Services {
    /// Only services whose names start with this prefix.
    #[arg(default_value = "")]
    prefix: String,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl Services {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let list = async |client: &_, printer: &_| self.list(client, printer).await;
        self.watch.run(&self.node, printer, list).await
    }

    async fn list(&self, client: &ContractClient, printer: &Printer) -> Result<ExitCode> {
        let services = client.services(&self.prefix).await?;
        printer.list(List {
            columns: [
                Column::fixed("NAME"),
                Column::fixed("HEALTH"),
                Column::text("SERVED BY"),
                Column::optional("RUNNING"),
                Column::optional("PENDING"),
                Column::text("DESCRIPTION"),
            ],
            rows: services.iter().map(row).collect(),
            if_empty: match self.prefix.is_empty() {
                true => "the node has no services",
                false => "no service name starts with this prefix",
            },
        });
        Ok(ExitCode::SUCCESS)
    }
}

fn row(service: &v1::ServiceSummary) -> Row<6> {
    Row {
        name: service.name.clone(),
        object: objects::service(service),
        cells: [
            service.name.clone(),
            health_name(service.health),
            location(service),
            service.running.to_string(),
            service.pending.to_string(),
            service.description.clone(),
        ],
    }
}

/// Where the service is served: by the node, or by workers.
fn location(service: &v1::ServiceSummary) -> String {
    let shown = service.workers.iter().take(3).cloned().collect::<Vec<_>>();
    let all = usize::try_from(service.locations).unwrap_or_default();
    match (shown.len(), all) {
        (0, 0) => String::new(),
        (0, _) => "the node".to_owned(),
        (few, all) if few < all => format!("{} and {} more", shown.join(", "), all - few),
        _ => shown.join(", "),
    }
}
