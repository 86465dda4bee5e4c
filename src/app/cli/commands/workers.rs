//! `cidery workers`.

use clap::Args;

use crate::app::cli::names::age_of;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{Column, List, Printer, Row};
use crate::codec::proto::v1;
use crate::model::error::Result;

/// List connected workers.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Workers {
    #[command(flatten)]
    node: NodeArgs,
}

impl Workers {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let workers = self.node.connect(printer).await?.workers().await?;
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
            if_empty: "no workers are connected",
        });
        Ok(())
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
