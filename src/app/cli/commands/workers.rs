//! `cidery workers`.

use std::process::ExitCode;

use clap::Args;

use crate::app::cli::filter::note_unknown_services;
use crate::app::cli::names::age_of;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{Column, List, Printer, Row};
use crate::app::cli::watch::WatchArgs;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::remote::client::ContractClient;

/// List connected workers.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Workers {
    /// Only workers that serve this service.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    service: String,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl Workers {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let list = async |client: &_, printer: &_| self.list(client, printer).await;
        self.watch.run(&self.node, printer, list).await
    }

    async fn list(&self, client: &ContractClient, printer: &Printer) -> Result<ExitCode> {
        let workers = client.workers_of(&self.service).await?;
        printer.list(List {
            columns: [
                Column::text("NAME"),
                Column::fixed("STATE"),
                Column::fixed("IN FLIGHT"),
                Column::text("BUILD"),
                Column::fixed("AGE"),
                Column::text("SERVICES"),
                Column::text("ID"),
            ],
            rows: workers.iter().map(row).collect(),
            if_empty: match self.service.is_empty() {
                true => "no workers are connected",
                false => "no connected worker serves this service",
            },
        });
        if workers.is_empty() && !self.service.is_empty() {
            let named = std::slice::from_ref(&self.service);
            note_unknown_services(client, named, printer).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(worker: &v1::Worker) -> Row<7> {
    let state = match (worker.away, worker.draining) {
        (true, _) => "AWAY",
        (_, true) => "DRAINING",
        _ => "READY",
    };
    Row {
        name: worker.id.clone(),
        object: objects::worker(worker),
        cells: [
            worker.name.clone(),
            state.to_owned(),
            format!("{}/{}", worker.in_flight, worker.max_in_flight),
            worker.build_id.clone(),
            age_of(worker.connect_time.as_ref()),
            worker.services.join(", "),
            worker.id.clone(),
        ],
    }
}
