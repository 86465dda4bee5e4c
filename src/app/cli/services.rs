//! `cidery services`.

use clap::Args;

use super::NodeArgs;
use super::printer::Printer;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;

/// Lists the services of a node.
#[derive(Args, Debug)]
pub(super) struct Services {
    /// Only names that begin with this.
    #[arg(default_value = "")]
    prefix: String,
    #[command(flatten)]
    node: NodeArgs,
}

impl Services {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let services = self.node.connect().await?.services(&self.prefix).await?;
        if printer.is_json() {
            for service in services {
                let health = health(&service);
                printer.line(
                    &dict! {
                        "name": service.name,
                        "health": health,
                        "running": service.running,
                        "pending": service.pending,
                        "description": service.description,
                    }
                    .into(),
                );
            }
            return Ok(());
        }
        let rows: Vec<[String; 5]> = services
            .into_iter()
            .map(|service| {
                [
                    health(&service),
                    service.running.to_string(),
                    service.pending.to_string(),
                    service.name,
                    service.description,
                ]
            })
            .map(|[health, running, pending, name, description]| {
                [name, health, running, pending, description]
            })
            .collect();
        printer.table(
            ["NAME", "HEALTH", "RUNNING", "PENDING", "DESCRIPTION"],
            &rows,
        );
        Ok(())
    }
}

fn health(service: &v1::ServiceSummary) -> String {
    let health = v1::ServiceHealth::try_from(service.health).unwrap_or_default();
    health
        .as_str_name()
        .trim_start_matches("SERVICE_HEALTH_")
        .to_owned()
}
