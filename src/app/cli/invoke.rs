//! `cidery invoke`.

use std::time::Duration;

use clap::Args;

use super::follow::follow;
use super::input::InputArgs;
use super::printer::Printer;
use super::{NodeArgs, duration};
use crate::codec::payload;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::metadata::Metadata;
use crate::model::payload::Format;
use crate::service::Call;

/// Invokes a service and prints its response.
#[derive(Args, Debug)]
pub(super) struct Invoke {
    /// The service.
    name: String,
    #[command(flatten)]
    input: InputArgs,
    /// Do not wait: print the CID once the invocation is accepted.
    #[arg(long = "async", conflicts_with = "follow")]
    in_background: bool,
    /// Run it in the background and show what happens until it has ended: items and the response on standard output.
    #[arg(long)]
    follow: bool,
    /// How long to wait; for --async and --follow, how long one attempt may last without a sign of life.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    timeout: Option<Duration>,
    /// The CID of the invocation. Default: the node makes one.
    #[arg(long, value_name = "CID")]
    cid: Option<Cid>,
    /// Metadata to send along; can be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    metadata: Vec<(String, String)>,
    #[command(flatten)]
    node: NodeArgs,
}

fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "use `key=value`".to_owned())
}

impl Invoke {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let metadata: Metadata = self.metadata.into_iter().collect();
        let call = Call {
            service: self.name.into(),
            input: self.input.payload()?,
            cid: self.cid,
            timeout: self.timeout,
            metadata: (!metadata.is_empty()).then(|| metadata.into()),
            response_format: Some(Format::Json),
        };
        let client = self.node.connect().await?;
        if self.in_background {
            let accepted = client.invoke_async(call).await?;
            printer.data(&accepted.cid.to_string());
            return Ok(());
        }
        if self.follow {
            let accepted = client.invoke_async(call).await?;
            return follow(&client, accepted.cid, printer).await;
        }
        let (_, reply) = client.invoke(call).await?;
        printer.value(&payload::decode(reply.payload)?);
        Ok(())
    }
}
