//! `cidery workers`.

use clap::Args;

use crate::app::cli::args::NodeArgs;
use crate::app::cli::printer::Printer;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;

/// List the workers that are connected to a node.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Workers {
    #[command(flatten)]
    node: NodeArgs,
}

impl Workers {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let workers = self.node.connect().await?.workers().await?;
        if printer.is_json() {
            for worker in workers {
                printer.line(
                    &dict! {
                        "id": worker.id.as_str(),
                        "name": worker.name.as_str(),
                        "build": worker.build_id.as_str(),
                        "services": worker.services.clone(),
                        "in flight": worker.in_flight,
                        "max in flight": worker.max_in_flight,
                        "since": since(&worker),
                        "peer": worker.peer.as_str(),
                        "draining": worker.draining,
                        "away": worker.away,
                    }
                    .into(),
                );
            }
            return Ok(());
        }
        let rows: Vec<[String; 6]> = workers
            .into_iter()
            .map(|worker| {
                let busy = format!("{}/{}", worker.in_flight, worker.max_in_flight);
                let state = match (worker.away, worker.draining) {
                    (true, _) => " (away)",
                    (_, true) => " (draining)",
                    _ => "",
                };
                let (name, since) = (format!("{}{state}", worker.name), since(&worker));
                [
                    name,
                    busy,
                    worker.build_id,
                    since,
                    worker.id,
                    worker.services.join(", "),
                ]
            })
            .collect();
        let titles = ["NAME", "IN FLIGHT", "BUILD", "SINCE", "ID", "SERVICES"];
        printer.table(titles, &rows);
        Ok(())
    }
}

fn since(worker: &v1::Worker) -> String {
    let since = worker.connect_time.as_ref().and_then(timestamp_from_proto);
    since.map(|since| format!("{since:.0}")).unwrap_or_default()
}
