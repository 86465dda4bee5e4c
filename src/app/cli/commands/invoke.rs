//! `cidery invoke`.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::app::cli::args::{duration, key_value, positive_duration, usage_error};
use crate::app::cli::detach::{at_most, cancelled_if_interrupted, until_interrupted};
use crate::app::cli::follow::follow;
use crate::app::cli::input::{DocumentFormat, InputArgs};
use crate::app::cli::last;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::cli::times::future_time;
use crate::dict;
use crate::engine::clock::Clock;
use crate::model::call::{Call, DurableOptions, OnDeadline, Start};
use crate::model::error::{Kind, Result};
use crate::model::id::Cid;
use crate::model::invocation::{OnExhausted, RetryPolicy};
use crate::model::metadata::Metadata;
use crate::model::sio::{IGNORED_KEY, Ignored};

/// Invoke a service and print its response.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Invoke {
    /// Name of the service.
    name: String,
    #[command(flatten)]
    input: InputArgs,
    /// Format of the response. Default: the format of the input.
    #[arg(long, value_enum, value_name = "FORMAT")]
    response_format: Option<DocumentFormat>,
    /// Print the CID once the invocation is accepted, without waiting for the response.
    #[arg(long = "async", alias = "background", conflicts_with = "follow")]
    is_async: bool,
    /// Run in the background and show all events. Items and the response go to standard output.
    #[arg(long)]
    follow: bool,
    /// Time to wait for the response. A call that takes longer is cancelled, unless --continue or --follow is given.
    #[arg(long, value_parser = positive_duration, value_name = "DURATION")]
    timeout: Option<Duration>,
    /// Deduplicate: repeats with the same key return the first result.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Keep running after --timeout. `cidery result CID` or `cidery result last` gets the result.
    #[arg(long = "continue", conflicts_with_all = ["is_async", "follow"])]
    continues: bool,
    /// CID of the invocation. Default: generated.
    #[arg(long, value_name = "CID")]
    cid: Option<Cid>,
    /// Metadata for the service (repeatable).
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    metadata: Vec<(String, String)>,
    #[command(flatten)]
    node: NodeArgs,
    /// Start this long after acceptance.
    #[arg(long, value_parser = duration, value_name = "DURATION", help_heading = BACKGROUND)]
    delay: Option<Duration>,
    /// Start at this time.
    #[arg(
        long,
        value_parser = future_time,
        value_name = "TIME",
        conflicts_with = "delay",
        help_heading = BACKGROUND
    )]
    start_time: Option<Timestamp>,
    /// Expire if no attempt starts within this time after acceptance.
    #[arg(long, value_parser = duration, value_name = "DURATION", help_heading = BACKGROUND)]
    expiration: Option<Duration>,
    /// Fail if the invocation has not ended by this time, retries included.
    #[arg(long, value_parser = future_time, value_name = "TIME", help_heading = BACKGROUND)]
    deadline: Option<Timestamp>,
    /// Time that an attempt may run without progress. Default: the timeout of the service.
    #[arg(
        long,
        value_parser = positive_duration,
        value_name = "DURATION",
        help_heading = BACKGROUND
    )]
    attempt_timeout: Option<Duration>,
    /// Maximum number of attempts, including the first.
    #[arg(
        long,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "ATTEMPTS",
        help_heading = BACKGROUND
    )]
    retry: Option<u32>,
    /// Hold the invocation if all attempts fail, instead of failing it. Default: as the service declares.
    #[arg(long, help_heading = BACKGROUND)]
    hold: bool,
    /// Fail the invocation if all attempts fail, even where the service declares to hold it.
    #[arg(long, conflicts_with = "hold", help_heading = BACKGROUND)]
    no_hold: bool,
    /// Invoke this service with the response (repeatable).
    #[arg(long, value_name = "NAME", help_heading = BACKGROUND)]
    callback: Vec<String>,
    /// Invoke this service with the failure (repeatable).
    #[arg(long, value_name = "NAME", help_heading = BACKGROUND)]
    failure_callback: Vec<String>,
    /// Run at most one invocation of the service with this key at a time.
    #[arg(long, value_name = "KEY", help_heading = BACKGROUND)]
    concurrency_key: Option<String>,
    /// Time that the outcome is kept.
    #[arg(long, value_parser = duration, value_name = "DURATION", help_heading = BACKGROUND)]
    retention: Option<Duration>,
}

/// The heading of options of asynchronous invocations.
const BACKGROUND: &str = "Options that require --async or --follow";

impl Invoke {
    /// Refuses options of asynchronous invocations in a synchronous one, by their names, and `--timeout` where nothing
    /// is waited for.
    fn check_async_options(&self) -> Result<()> {
        if self.is_async && self.timeout.is_some() {
            let message = "`--timeout` limits the time to wait, and `--async` does not wait; use \
                           `--attempt-timeout` or `--deadline`";
            return Err(usage_error(message));
        }
        if self.is_async || self.follow {
            return Ok(());
        }
        let given = [
            ("--delay", self.delay.is_some()),
            ("--start-time", self.start_time.is_some()),
            ("--expiration", self.expiration.is_some()),
            ("--attempt-timeout", self.attempt_timeout.is_some()),
            ("--retry", self.retry.is_some()),
            ("--callback", !self.callback.is_empty()),
            ("--failure-callback", !self.failure_callback.is_empty()),
            ("--deadline", self.deadline.is_some()),
            ("--retention", self.retention.is_some()),
            ("--concurrency-key", self.concurrency_key.is_some()),
            ("--hold", self.hold),
            ("--no-hold", self.no_hold),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        let names: Vec<String> = given.map(|(name, _)| format!("`{name}`")).collect();
        let verb = match names.as_slice() {
            [] => return Ok(()),
            [_] => "requires",
            _ => "require",
        };
        let message = format!("{} {verb} `--async` or `--follow`", names.join(", "));
        Err(usage_error(message))
    }

    /// Refuses an invocation that could only fail or expire, because it would end before it starts.
    fn check_times(&self) -> Result<()> {
        let now = Clock::System.now();
        let (option, start) = match (self.delay, self.start_time) {
            (Some(delay), _) => (
                "`--delay`",
                now.checked_add(delay).unwrap_or(Timestamp::MAX),
            ),
            (None, Some(time)) => ("`--start-time`", time.max(now)),
            (None, None) => ("the present", now),
        };
        let expiration = self.expiration.and_then(|time| now.checked_add(time).ok());
        for (end, time) in [("--deadline", self.deadline), ("--expiration", expiration)] {
            if time.is_some_and(|time| time <= start) {
                let message = format!("`{end}` must be later than {option}");
                return Err(usage_error(message));
            }
        }
        Ok(())
    }

    /// The options of durable invocations.
    fn take_options(&mut self) -> DurableOptions {
        DurableOptions {
            start: match (self.delay, self.start_time) {
                (Some(delay), _) => Some(Start::After(delay)),
                (None, time) => time.map(Start::At),
            },
            expiration: self.expiration,
            idempotency_key: self.idempotency_key.take(),
            retry_policy: self.retry.map(|max_attempts| RetryPolicy {
                max_attempts,
                ..RetryPolicy::default()
            }),
            callbacks: std::mem::take(&mut self.callback),
            failure_callbacks: std::mem::take(&mut self.failure_callback),
            deadline: self.deadline,
            retention: self.retention,
            concurrency_key: self.concurrency_key.take(),
            on_exhausted: match (self.hold, self.no_hold) {
                (true, _) => Some(OnExhausted::Hold),
                (false, true) => Some(OnExhausted::Fail),
                (false, false) => None,
            },
            on_deadline: match self.continues {
                true => OnDeadline::Continue,
                false => OnDeadline::Cancel,
            },
            ..DurableOptions::default()
        }
    }

    pub(in crate::app::cli) async fn run(mut self, printer: &Printer) -> Result<()> {
        self.check_async_options()?;
        self.check_times()?;
        let options = self.take_options();
        let metadata: Metadata = self.metadata.into_iter().collect();
        let input = self.input.payload(printer)?;
        let format = self.response_format.map(DocumentFormat::format);
        let has_options = options != DurableOptions::default();
        let call = Call {
            service: self.name.into(),
            input,
            cid: self.cid,
            timeout: match self.follow || self.is_async {
                true => self.attempt_timeout,
                false => self.timeout,
            },
            metadata: (!metadata.is_empty()).then(|| metadata.into()),
            response_format: format,
            durable: has_options.then(|| Box::new(options)),
        };
        let is_durable = call.is_durable();
        let client = self.node.connect(printer).await?;
        if self.is_async {
            let accepted = client.invoke_async(call).await?;
            last::remember(accepted.cid);
            let cid = accepted.cid.to_string();
            if !printer.object(&cid, || dict! { "cid": cid.as_str() }.into()) {
                printer.data(&cid);
            }
            note_ignored(printer, &accepted.ignored);
            return Ok(());
        }
        if self.follow {
            let accepted = client.invoke_async(call).await?;
            last::remember(accepted.cid);
            note_ignored(printer, &accepted.ignored);
            let followed = follow(&client, accepted.cid, printer);
            let followed = Box::pin(at_most(self.timeout, accepted.cid, followed));
            return until_interrupted(accepted.cid, printer, followed).await;
        }
        // Known before the call, which the node continues when this command is interrupted.
        let cid = call.cid.unwrap_or_else(Cid::new);
        let call = Call {
            cid: Some(cid),
            ..call
        };
        let invoked = async {
            let invoked = client.invoke(call).await;
            if is_durable && is_accepted(&invoked) {
                last::remember(cid);
            }
            let (cid, reply) = invoked?;
            printer.response(cid, reply.payload)?;
            if let Some(names) = reply.metadata.get(IGNORED_KEY) {
                note_ignored(printer, &Ignored::from_text(names));
            }
            Ok(())
        };
        match is_durable {
            true => until_interrupted(cid, printer, invoked).await,
            false => cancelled_if_interrupted(cid, printer, invoked).await,
        }
    }
}

/// Whether the node has accepted a durable call, as far as its answer tells.
fn is_accepted<T>(answer: &Result<T>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => error.kind() == Kind::DeadlineExceeded,
    }
}

/// Prints the input keys that the service ignored.
fn note_ignored(printer: &Printer, ignored: &Ignored) {
    if !ignored.is_empty() {
        let text = format!("undeclared keys ignored: {}", ignored.to_text());
        printer.note(Tone::Warning, &text);
    }
}
