//! A node for tests: in memory, on a free port, with a manual clock.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::app::{NodeBuilder, NodeHandle};
use crate::engine::clock::{Clock, ManualClock};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::invocation::Invocation;
use crate::model::payload::Reply;
use crate::remote::{Client, EventKind};
use crate::service::{Context, Hooks, Response};

/// The timeout of waiting for an outcome, of the machine's clock: the clock of the node stands still.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// A node with the in-memory store, a free port on 127.0.0.1, and a manual clock.
///
/// Failures that callers of a node do not see, of an undeclared error or a panic, are in the message of the error here.
///
/// When dropped, it ends with the runtime of the test; [`stop`](Self::stop) stops it gracefully.
#[derive(Debug)]
pub struct TestNode {
    node: NodeHandle,
    client: Client,
    address: SocketAddr,
    clock: ManualClock,
}

impl TestNode {
    /// Starts the node. The address and the clock of the builder are ignored.
    ///
    /// # Errors
    ///
    /// As for [`NodeBuilder::start`].
    pub async fn start(builder: NodeBuilder) -> Result<Self> {
        let clock = ManualClock::new();
        let builder = builder
            .clock(Clock::Manual(clock.clone()))
            .hooks(RevealsFailures);
        let node = builder.listen((Ipv4Addr::LOCALHOST, 0)).start().await?;
        let address = node
            .address()
            .ok_or_else(|| Error::internal(reason::BIND_FAILED, "the node has no address"))?;
        Ok(Self {
            client: Client::connect(&address.to_string()).await?,
            node,
            address,
            clock,
        })
    }

    /// A gRPC client of the node.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The handle of the node, without gRPC.
    #[must_use]
    pub fn node(&self) -> &NodeHandle {
        &self.node
    }

    /// The address of the node, for workers and clients in any language.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The clock of the node.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Waits for the end of an asynchronous invocation, at most 10 s, and returns its response.
    ///
    /// # Errors
    ///
    /// The failure of the invocation; `NOT_FOUND` / `CID_UNKNOWN`; `DEADLINE_EXCEEDED` where it has not ended: at once
    /// where it, or its next attempt, is due later by the manual clock. The message then has the failure of the last
    /// attempt, and the time by which to advance the clock.
    pub async fn outcome(&self, cid: Cid) -> Result<Response> {
        let _ = tokio::time::timeout(OUTCOME_TIMEOUT, self.ended_or_waits(cid)).await;
        let found = self.node.invoker().find(cid, Duration::ZERO).await?;
        match found.invocation.outcome() {
            Some(outcome) => Response::new(cid, outcome?),
            None => Err(self.not_ended(&found.invocation)),
        }
    }

    /// Waits until an invocation has ended, or is due later: then only the manual clock can start it.
    async fn ended_or_waits(&self, cid: Cid) -> Result<()> {
        let mut events = self.client.results(cid);
        while let Some(event) = events.next().await {
            match event?.kind {
                EventKind::Accepted { start_time, .. }
                | EventKind::RetryScheduled { start_time, .. }
                    if start_time.is_some_and(|due| due > self.clock.now()) =>
                {
                    return Ok(());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn not_ended(&self, invocation: &Invocation) -> Error {
        let (cid, service) = (invocation.request.cid, &invocation.request.service);
        let mut message = format!("{cid} of `{service}` has not ended: ");
        let left = invocation.due.duration_since(self.clock.now());
        let next = match &invocation.last_failure {
            None => "it",
            Some(failure) => {
                let _ = write!(
                    message,
                    "attempt {} failed with {failure:?}\n\n",
                    invocation.attempts
                );
                "the next attempt"
            }
        };
        let _ = match u64::try_from(left.as_micros()).map(|left| left.div_ceil(1_000)) {
            // Rounded up: the clock must not stop short of it.
            Ok(left @ 1..) => write!(
                message,
                "{next} is due in {left} ms by the clock of the node, which stands still: advance it with \
                 `node.clock().advance(Duration::from_millis({left}))`"
            ),
            _ => write!(
                message,
                "it is {:?} after {} s",
                invocation.shown_state(),
                OUTCOME_TIMEOUT.as_secs()
            ),
        };
        Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
    }

    /// Stops the node gracefully.
    pub async fn stop(self) {
        self.node.stop().await;
    }
}

/// Adds the trace of an undeclared failure to its message, which is all that a client gets: a test has no log.
struct RevealsFailures;

impl Hooks for RevealsFailures {
    async fn after(&self, _: &Context, outcome: &mut Result<Reply>) {
        if let Err(error) = outcome
            && [reason::HANDLER_FAILED, reason::HANDLER_PANICKED].contains(&error.reason())
            && let Some(trace) = error.trace()
        {
            *error = error
                .clone()
                .with_message(format!("the service failed: {trace}"));
        }
    }
}
