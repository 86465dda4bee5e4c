//! `cidery describe`.

use std::time::Duration;

use clap::Args;

use super::NodeArgs;
use super::printer::{Printer, Tone};
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;
use crate::model::value::{Dict, Value};

/// Describes a service: what it does, its options, how to call it.
#[derive(Args, Debug)]
pub(super) struct Describe {
    /// The service.
    name: String,
    #[command(flatten)]
    node: NodeArgs,
}

impl Describe {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let service = self.node.connect().await?.describe(&self.name).await?;
        let facts = facts(&service);
        if printer.is_json() {
            printer.line(&Value::Dict(facts));
            return Ok(());
        }
        let width = facts.keys().map(str::len).max().unwrap_or_default();
        for (key, value) in facts.iter() {
            let text = value.as_text().map_or_else(|| plain(value), str::to_owned);
            printer.data(&format!("{key:width$}  {text}"));
        }
        printer.note(Tone::Heading, "\nTry it:");
        for example in service.examples {
            printer.data(&format!("  {}", example.text));
        }
        Ok(())
    }
}

fn plain(value: &Value) -> String {
    crate::codec::json::write(value).unwrap_or_default()
}

fn facts(service: &v1::ServiceDescription) -> Dict {
    let declaration = service.declaration.clone().unwrap_or_default();
    let options = service.effective_options.unwrap_or_default();
    let retry = options.retry_policy.unwrap_or_default();
    let mut facts = dict! {
        "name": declaration.name,
        "description": declaration.description,
        "health": v1::ServiceHealth::try_from(service.health)
            .unwrap_or_default()
            .as_str_name()
            .trim_start_matches("SERVICE_HEALTH_"),
        "running": service.running,
        "pending": service.pending,
        "timeout": time(options.timeout),
        "attempt timeout": time(options.attempt_timeout),
        "attempts": retry.max_attempts,
        "concurrency": options.concurrency,
        "queue length": options.queue_length,
        "retention": time(options.retention),
        "idempotent": options.idempotent,
    };
    if let Some(sio) = declaration.sio.filter(|sio| !sio.response_elem.is_empty()) {
        facts.insert("response elem", sio.response_elem);
    }
    facts
}

fn time(duration: Option<prost_types::Duration>) -> String {
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    jiff::SignedDuration::try_from(duration.unwrap_or_default())
        .map(|duration| format!("{duration:#}"))
        .unwrap_or_default()
}
