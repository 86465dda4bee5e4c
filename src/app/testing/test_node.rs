//! A node for tests: in memory, on a free port, with a manual clock.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::app::{NodeBuilder, NodeHandle};
use crate::engine::clock::{Clock, ManualClock};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::remote::Client;
use crate::service::Response;

/// The timeout of waiting for an outcome: with a stopped clock, a delayed invocation never starts.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// A node with the in-memory store, a free port on 127.0.0.1, and a manual clock.
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
        let builder = builder.clock(Clock::Manual(clock.clone()));
        let node = builder
            .listen((Ipv4Addr::LOCALHOST, 0).into())
            .start()
            .await?;
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
    /// The failure of the invocation; `NOT_FOUND` / `CID_UNKNOWN`; `DEADLINE_EXCEEDED` where it has not ended, for
    /// example because it is due later by the manual clock.
    pub async fn outcome(&self, cid: Cid) -> Result<Response> {
        let found = self
            .node
            .invoker()
            .find(cid, OUTCOME_TIMEOUT)
            .await?
            .invocation;
        match found.outcome() {
            Some(outcome) => Response::new(cid, outcome?),
            None => {
                let (state, due, now) = (found.shown_state(), found.due, self.clock.now());
                let message =
                    format!("{cid} has not ended: {state:?}, due at {due}, the time is {now}");
                Err(Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message))
            }
        }
    }

    /// Stops the node gracefully.
    pub async fn stop(self) {
        self.node.stop().await;
    }
}
