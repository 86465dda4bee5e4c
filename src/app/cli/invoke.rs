//! `cidery invoke`.

use std::time::Duration;

use clap::Args;

use super::follow::follow;
use super::input::{DocumentFormat, InputArgs};
use super::printer::{Printer, Tone};
use super::{NodeArgs, duration};
use crate::model::call::{Call, DurableOptions, OnDeadline, Start};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::RetryPolicy;
use crate::model::metadata::Metadata;
use crate::model::sio::{IGNORED_KEY, Ignored};

/// Invokes a service and prints its response.
#[derive(Args, Debug)]
pub(super) struct Invoke {
    /// The service.
    name: String,
    #[command(flatten)]
    input: InputArgs,
    /// The format of the response. Default: that of the input.
    #[arg(long, value_enum, value_name = "FORMAT")]
    response_format: Option<DocumentFormat>,
    /// Do not wait: print the CID once the invocation is accepted.
    #[arg(long = "async", conflicts_with = "follow")]
    in_background: bool,
    /// Run it in the background and show what happens until it has ended: items and the response on standard output.
    #[arg(long)]
    follow: bool,
    /// How long to wait; for --async and --follow, how long one attempt may last without a sign of life.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    timeout: Option<Duration>,
    /// In the background: start it this long after it was accepted.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    delay: Option<Duration>,
    /// In the background: give up unless it has started this long after it was accepted.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    expiration: Option<Duration>,
    /// Accept it once, however often this is said: the first outcome is answered again.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Go on when --timeout is over; `cidery result CID` has the outcome.
    #[arg(long = "continue", conflicts_with_all = ["in_background", "follow"])]
    continues: bool,
    /// In the background: how many attempts there are in all.
    #[arg(long, value_name = "ATTEMPTS")]
    retry: Option<u32>,
    /// In the background: invoke this service with the response; can be given several times.
    #[arg(long, value_name = "NAME")]
    callback: Vec<String>,
    /// In the background: invoke this service with the failure; can be given several times.
    #[arg(long, value_name = "NAME")]
    failure_callback: Vec<String>,
    /// In the background: start it at this instant.
    #[arg(long, value_name = "TIME", conflicts_with = "delay")]
    start_time: Option<jiff::Timestamp>,
    /// In the background: it must have ended at this instant, retries included.
    #[arg(long, value_name = "TIME")]
    deadline: Option<jiff::Timestamp>,
    /// In the background: how long the outcome is kept.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    retention: Option<Duration>,
    /// In the background: run it alone among those of the service with this key.
    #[arg(long, value_name = "KEY")]
    concurrency_key: Option<String>,
    /// In the background: hold it, rather than fail it, when no attempt is left.
    #[arg(long)]
    hold: bool,
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
        let input = self.input.payload()?;
        let format = self.response_format.map(DocumentFormat::format);
        let background = DurableOptions {
            start: match (self.delay, self.start_time) {
                (Some(delay), _) => Some(Start::After(delay)),
                (None, time) => time.map(Start::At),
            },
            expiration: self.expiration,
            idempotency_key: self.idempotency_key,
            retry_policy: self.retry.map(|max_attempts| RetryPolicy {
                max_attempts,
                ..RetryPolicy::default()
            }),
            callbacks: self.callback,
            failure_callbacks: self.failure_callback,
            deadline: self.deadline,
            retention: self.retention,
            concurrency_key: self.concurrency_key,
            hold: self.hold,
            on_deadline: match self.continues {
                true => OnDeadline::Continue,
                false => OnDeadline::Cancel,
            },
            ..DurableOptions::default()
        };
        let is_asked = background != DurableOptions::default();
        let of_any_call = DurableOptions {
            idempotency_key: background.idempotency_key.clone(),
            on_deadline: background.on_deadline,
            ..DurableOptions::default()
        };
        if background != of_any_call && !self.in_background && !self.follow {
            let message = "what is asked of the background needs `--async` or `--follow`";
            return Err(Error::invalid_argument(reason::REQUEST_INVALID, message));
        }
        let call = Call {
            service: self.name.into(),
            input,
            cid: self.cid,
            timeout: self.timeout,
            metadata: (!metadata.is_empty()).then(|| metadata.into()),
            response_format: format,
            is_durable: false,
            durable: is_asked.then(|| Box::new(background)),
        };
        let client = self.node.connect().await?;
        if self.in_background {
            let accepted = client.invoke_async(call).await?;
            printer.data(&accepted.cid.to_string());
            note_ignored(printer, &accepted.ignored);
            return Ok(());
        }
        if self.follow {
            let accepted = client.invoke_async(call).await?;
            note_ignored(printer, &accepted.ignored);
            return follow(&client, accepted.cid, printer).await;
        }
        let (_, reply) = client.invoke(call).await?;
        printer.payload(reply.payload)?;
        if let Some(names) = reply.metadata.get(IGNORED_KEY) {
            note_ignored(printer, &Ignored::from_text(names));
        }
        Ok(())
    }
}

/// Says which keys the service does not know.
fn note_ignored(printer: &Printer, ignored: &Ignored) {
    if !ignored.is_empty() {
        let text = format!("not declared, and ignored: {}", ignored.to_text());
        printer.note(Tone::Warning, &text);
    }
}
