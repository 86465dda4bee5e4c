//! Makes the calls of a pipe, and waits for a node that is lost or has no room.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::args::Pipe;
use super::input::Record;
use super::progress::Notes;
use super::state::State;
use crate::app::cli::follow::outcome;
use crate::app::cli::printer::Tone;
use crate::app::cli::times::duration_text;
use crate::codec::json;
use crate::model::call::{Call, DurableOptions};
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::{OnExhausted, RetryPolicy};
use crate::model::payload::{Format, Payload};
use crate::model::value::Value;
use crate::remote::client::ContractClient;
use crate::remote::protocol::backoff::Backoff;
use crate::remote::protocol::retry::is_safe_to_retry;

/// The longest time between two attempts to reach the node.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// A wait within this time is not mentioned: most end with success.
const QUIET_TIME: Duration = Duration::from_secs(1);
/// How long the node holds a request for the outcome of a row.
const OUTCOME_WAIT: Duration = Duration::from_secs(20);

/// What a call answers.
pub(super) struct Outcome {
    pub(super) cid: Option<Cid>,
    pub(super) response: Result<Payload>,
}

impl Outcome {
    /// Of a row for which no call is made.
    pub(super) fn refused(error: Error) -> Self {
        Self {
            cid: None,
            response: Err(error),
        }
    }
}

/// Makes calls.
pub(super) struct Caller {
    client: ContractClient,
    service: String,
    pipe: String,
    timeout: Option<Duration>,
    /// The options of calls in the background.
    durable: Option<DurableOptions>,
    node_wait: Duration,
    notes: Notes,
    is_waiting: AtomicBool,
}

impl Caller {
    pub(super) fn new(pipe: &Pipe, client: ContractClient, state: &State, notes: Notes) -> Self {
        let durable = || DurableOptions {
            retry_policy: pipe.retry.map(|max_attempts| RetryPolicy {
                max_attempts,
                ..RetryPolicy::default()
            }),
            retention: pipe.retention,
            // A row that is held would hold those after it: it fails, and is with the failed ones.
            on_exhausted: Some(OnExhausted::Fail),
            ..DurableOptions::default()
        };
        Self {
            client,
            service: pipe.name.clone(),
            pipe: state.pipe().to_owned(),
            timeout: pipe.timeout,
            durable: pipe.is_async.then(durable),
            node_wait: pipe.node_wait,
            notes,
            is_waiting: AtomicBool::new(false),
        }
    }

    /// Makes the call of a row.
    ///
    /// # Errors
    ///
    /// What stops the pipe: the node is lost for too long, or would refuse the other rows as well. All that is about
    /// this row is its outcome.
    pub(super) async fn call(&self, record: &Record, input: &Value) -> Result<Outcome> {
        let input = json::write(input)?;
        let call = Call {
            timeout: self.timeout,
            ..Call::new(
                self.service.clone(),
                Payload::Document(input.into(), Format::Json),
            )
        };
        match &self.durable {
            None => self.invoke(call).await,
            Some(options) => {
                let options = DurableOptions {
                    idempotency_key: Some(self.key(record)),
                    ..options.clone()
                };
                let durable = Some(Box::new(options));
                self.invoke_async(Call { durable, ..call }).await
            }
        }
    }

    /// The idempotency key of a row: the same whenever this pipe makes its call.
    fn key(&self, record: &Record) -> String {
        let digest = Sha256::new()
            .chain_update(&self.pipe)
            .chain_update(record.number.to_be_bytes())
            .chain_update(&record.row.text);
        format!("pipe-{}", URL_SAFE_NO_PAD.encode(digest.finalize()))
    }

    async fn invoke(&self, call: Call) -> Result<Outcome> {
        let is_temporary = |error: &Error| self.was_refused_for_now(error);
        let invoked = self.patiently(is_temporary, async || {
            self.client.invoke(call.clone()).await
        });
        match invoked.await {
            Ok((cid, reply)) => Ok(Outcome {
                cid: Some(cid),
                response: Ok(reply.payload),
            }),
            Err(error) if is_temporary(&error) || self.refuses_all(&error) => Err(error),
            Err(error) => Ok(Outcome {
                cid: error.cid(),
                response: Err(error),
            }),
        }
    }

    async fn invoke_async(&self, call: Call) -> Result<Outcome> {
        let accept = async || self.client.invoke_async(call.clone()).await;
        let cid = match self.patiently(is_temporary, accept).await {
            Ok(accepted) => accepted.cid,
            // What is wrong with the input is about this row, all else about all rows.
            Err(error)
                if error.kind() == Kind::InvalidArgument
                    || error.reason() == reason::MESSAGE_TOO_LARGE =>
            {
                return Ok(Outcome::refused(error));
            }
            Err(error) => return Err(error),
        };
        loop {
            let get = async || self.client.invocation(cid, OUTCOME_WAIT).await;
            let response = match self.patiently(is_temporary, get).await {
                Ok(invocation) if invocation.outcome.is_none() => continue,
                Ok(invocation) => outcome(invocation, cid),
                // It was accepted, and is gone: the node keeps nothing, or not for long enough.
                Err(error) if error.kind() == Kind::NotFound => Err(error),
                Err(error) => return Err(error),
            };
            return Ok(Outcome {
                cid: Some(cid),
                response,
            });
        }
    }

    /// Repeats what fails with a temporary error, for `--node-wait`.
    async fn patiently<T>(
        &self,
        is_temporary: impl Fn(&Error) -> bool,
        attempt: impl AsyncFn() -> Result<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(MAX_BACKOFF);
        loop {
            match attempt().await {
                Err(error) if is_temporary(&error) && begun.elapsed() < self.node_wait => {
                    self.note_wait(&error, begun);
                    let asked_for = error.retry_after().unwrap_or_default();
                    sleep(backoff.next_delay().max(asked_for.min(MAX_BACKOFF))).await;
                }
                outcome => {
                    self.is_waiting.store(false, Ordering::Relaxed);
                    return outcome;
                }
            }
        }
    }

    /// Says once that the pipe waits, until it goes on.
    fn note_wait(&self, error: &Error, begun: Instant) {
        if begun.elapsed() >= QUIET_TIME && !self.is_waiting.swap(true, Ordering::Relaxed) {
            let wait = duration_text(self.node_wait);
            let text = format!("{error}; waiting for at most {wait}");
            self.notes.note(Tone::Warning, &text);
        }
    }

    /// Whether a synchronous call did not begin: it is safe to repeat, unlike one that was lost while it ran.
    fn was_refused_for_now(&self, error: &Error) -> bool {
        const REFUSALS: [&str; 4] = [
            reason::NODE_STOPPING,
            reason::NO_WORKER,
            reason::QUEUE_FULL,
            reason::RATE_LIMIT,
        ];
        error.reason() == reason::CONNECT_FAILED
            || (REFUSALS.contains(&error.reason()) && self.is_about_service(error))
    }

    /// Whether all other calls would be refused as well.
    fn refuses_all(&self, error: &Error) -> bool {
        error.kind() == Kind::Unauthenticated
            || (error.reason() == reason::SERVICE_UNKNOWN && self.is_about_service(error))
    }

    /// Whether it is the node that refuses the call, and not a nested one that failed.
    fn is_about_service(&self, error: &Error) -> bool {
        error.fact("service") == Some(&self.service)
    }
}

/// Whether a call that is accepted once, or reads, may succeed later.
fn is_temporary(error: &Error) -> bool {
    is_safe_to_retry(error) || error.reason() == reason::RATE_LIMIT
}
