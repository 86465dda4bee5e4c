//! `cidery services`.

use clap::Args;

use crate::app::cli::args::NodeArgs;
use crate::app::cli::printer::Printer;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;

/// List the services of a node.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Services {
    /// Only services whose names start with this prefix.
    #[arg(default_value = "")]
    prefix: String,
    #[command(flatten)]
    node: NodeArgs,
}

impl Services {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
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
                        "workers": service.workers,
                        "description": service.description,
                    }
                    .into(),
                );
            }
            return Ok(());
        }
        let rows = services.into_iter().map(|service| {
            let (health, location) = (health(&service), location(&service));
            let (running, pending) = (service.running.to_string(), service.pending.to_string());
            [
                service.name,
                health,
                location,
                running,
                pending,
                service.description,
            ]
        });
        let rows: Vec<_> = rows.collect();
        let head = [
            "NAME",
            "HEALTH",
            "SERVED BY",
            "RUNNING",
            "PENDING",
            "DESCRIPTION",
        ];
        printer.table(head, &rows);
        Ok(())
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

fn health(service: &v1::ServiceSummary) -> String {
    let health = v1::ServiceHealth::try_from(service.health).unwrap_or_default();
    health
        .as_str_name()
        .trim_start_matches("SERVICE_HEALTH_")
        .to_owned()
}
