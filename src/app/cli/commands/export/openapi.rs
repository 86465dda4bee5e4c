//! `cidery export openapi`.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::codec::convert::sio_from_proto;
use crate::codec::openapi::{Documented, document};
use crate::codec::proto::v1::CredentialKind;
use crate::model::error::{Error, Result, reason};
use crate::model::sio::Sio;
use crate::remote::client::ContractClient;

/// Write an OpenAPI document.
#[derive(Args, Debug)]
pub(super) struct OpenApi {
    /// Only this service (repeatable). Default: all that the caller may invoke.
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// File to write, or to replace. Default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

/// A service of the document.
struct Described {
    name: String,
    description: String,
    sio: Sio,
}

impl OpenApi {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let asks_who_calls = client.caller().await?.credential() != CredentialKind::None;
        let described = self.described(&client).await?;
        let documented = described.iter().map(|service| Documented {
            name: &service.name,
            description: &service.description,
            sio: &service.sio,
        });
        let text = document(documented, asks_who_calls, usize::MAX, || true)?;
        let text = text.unwrap_or_default();
        let Some(path) = &self.out else {
            printer.raw(text.as_bytes());
            return Ok(());
        };
        fs::write(path, text).map_err(|error| failed(path, error))?;
        let services = described.len();
        printer.note(
            Tone::Good,
            &format!("`{}`: {services} services", path.display()),
        );
        Ok(())
    }

    async fn described(&self, client: &ContractClient) -> Result<Vec<Described>> {
        let mut described = Vec::new();
        for summary in client.services("").await? {
            if !self.services.is_empty() && !self.services.contains(&summary.name) {
                continue;
            }
            let service = match client.describe(&summary.name).await {
                Ok(service) => service,
                // It was removed after the list was read.
                Err(error) if error.reason() == reason::SERVICE_UNKNOWN => continue,
                Err(error) => return Err(error),
            };
            let declaration = service.declaration.unwrap_or_default();
            described.push(Described {
                name: summary.name,
                description: summary.description,
                sio: sio_from_proto(declaration.sio.unwrap_or_default())?,
            });
        }
        for name in &self.services {
            if !described.iter().any(|known| known.name == *name) {
                // Fails, with similar names.
                client.describe(name).await?;
            }
        }
        Ok(described)
    }
}

fn failed(path: &std::path::Path, error: io::Error) -> Error {
    let message = format!("cannot write `{}`: {error}", path.display());
    Error::invalid_argument(reason::REQUEST_INVALID, message).with_source(error)
}
