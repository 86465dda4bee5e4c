//! A whole node for a test.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::app::{NodeBuilder, NodeHandle};
use crate::engine::clock::{Clock, ManualClock};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::remote::Client;
use crate::service::Response;

/// How long an outcome is waited for: on a clock that stands still nothing that is due later ever comes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node that keeps everything in memory, listens on a free port of 127.0.0.1, and whose clock the test moves.
///
/// Dropped, it ends with the test's runtime; [`stop`](Self::stop) ends it in order.
#[derive(Debug)]
pub struct TestNode {
    node: NodeHandle,
    client: Client,
    address: SocketAddr,
    clock: ManualClock,
}

impl TestNode {
    /// Starts it. What the builder says of the address and the clock does not count.
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
        let address = node.address().ok_or_else(|| {
            Error::internal(reason::BIND_FAILED, "a node that listens has an address")
        })?;
        Ok(Self {
            client: Client::connect(&address.to_string()).await?,
            node,
            address,
            clock,
        })
    }

    /// A client of it, over gRPC.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The node, without gRPC.
    #[must_use]
    pub fn node(&self) -> &NodeHandle {
        &self.node
    }

    /// Where it listens, for workers and clients of any language.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The response of an invocation in the background, once it has ended: at most 10 s from now.
    ///
    /// # Errors
    ///
    /// How it failed; `NOT_FOUND` / `CID_UNKNOWN`; `DEADLINE_EXCEEDED` where it has not ended: it may be due later, by
    /// the clock that the test moves.
    pub async fn outcome(&self, cid: Cid) -> Result<Response> {
        let found = self.node.invoker().find(cid, PATIENCE).await?.invocation;
        match found.outcome() {
            Some(outcome) => Response::new(cid, outcome?),
            None => {
                let (state, due, now) = (found.shown_state(), found.due, self.clock.now());
                let message =
                    format!("{cid} has not ended: {state:?}, due at {due}, and it is {now}");
                Err(Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message))
            }
        }
    }

    /// Stops it in order.
    pub async fn stop(self) {
        self.node.stop().await;
    }
}
