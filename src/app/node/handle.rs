//! The handle of a running node: invokes services in the process, and stops the node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::app::reload::{HangUp, Reloads, until_stop};
use crate::app::shutdown;
use crate::edge::grpc::Serving;
use crate::edge::listener::Shutdown;
use crate::engine::Invoker;
use crate::model::call::{Accepted, Call};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service::runtime::{Signals, Tasks, warn_without_subscriber};
use crate::service::{
    BoxFuture, Dispatch, HandlerNames, LocalHandlers, OutsideCaller, Response, call_handlers,
    caller,
};

/// A running node: invokes services, and stops.
#[derive(Debug)]
pub struct NodeHandle {
    pub(in crate::app) invoker: Invoker,
    pub(in crate::app) handler_names: Arc<HandlerNames>,
    pub(in crate::app) workers: WorkerRegistry,
    pub(in crate::app) serving: Serving,
    pub(in crate::app) shutdown: Shutdown,
    pub(in crate::app) tasks: Tasks,
    pub(in crate::app) address: Option<SocketAddr>,
    pub(in crate::app) drain_timeout: Duration,
    pub(in crate::app) reloads: Reloads,
}

impl NodeHandle {
    /// The address on which the node listens; `None` for a node without a listener.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The engine.
    #[doc(hidden)]
    #[must_use]
    pub fn invoker(&self) -> &Invoker {
        &self.invoker
    }

    /// Lets a node that was started [on hold](crate::NodeBuilder::hold) start what it has accepted; returns whether it
    /// was held.
    pub fn resume(&self) -> bool {
        self.invoker.resume_node("")
    }

    /// Reads again what may change while the node runs: the files of [TLS](crate::NodeBuilder). New connections use
    /// them, and open ones stay, unless the certificate of the client is no longer accepted. SIGHUP does the same in
    /// [`NodeBuilder::run`](crate::NodeBuilder::run) and [`run_until_signal`](Self::run_until_signal).
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `TLS_INVALID`, with a violation for each file that cannot be used: the node goes on with
    /// the certificate that it has.
    pub async fn reload(&self) -> Result<()> {
        self.reloads.run().await
    }

    /// Logs that a signal stops the node, and what it waits for.
    pub(in crate::app) fn log_stop(&self, signal: &str) {
        tracing::info!(
            signal,
            running = self.invoker.running_handlers(),
            services = shutdown::running_services(&self.invoker),
            drain = ?self.drain_timeout,
            "stopping"
        );
    }

    /// Serves until a signal, then stops the node gracefully, as [`NodeBuilder::run`](crate::NodeBuilder::run) does. A
    /// signal that arrives before this is called ends the process at once.
    ///
    /// ```no_run
    /// # async fn example() -> cidery::Result<()> {
    /// let node = cidery::Node::builder().listen("127.0.0.1:0").start().await?;
    /// if let Some(address) = node.address() {
    ///     println!("the port is {}", address.port());
    /// }
    /// node.run_until_signal().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `SIGNALS_FAILED`.
    pub async fn run_until_signal(self) -> Result<()> {
        warn_without_subscriber();
        self.serve_until_signal(shutdown::catch_signals()?).await;
        Ok(())
    }

    /// Stops after the next signal, and returns at once after a second one.
    pub(in crate::app) async fn serve_until_signal(self, mut signals: Signals) {
        if let Some(address) = self.address() {
            tracing::info!(%address, "serving");
        }
        let hang_up = HangUp::of_process(!self.reloads.is_empty());
        let reload = async || {
            // A failure is logged where it happens, and part of the status.
            let _ = self.reloads.run().await;
        };
        let signal = until_stop(hang_up, &mut signals, reload).await;
        self.log_stop(signal);
        let _ = signals.stop(self.stop()).await;
    }

    /// Stops the node gracefully and returns when it has stopped.
    ///
    /// The node reports `NOT_SERVING`, closes its listener, and 250 ms later refuses new work. Running handlers then
    /// have the drain timeout; after that they are cancelled and have the grace period to return. Asynchronous
    /// invocations that have not ended return to the store as pending. Result streams end last, and connections after
    /// them.
    pub async fn stop(self) {
        shutdown::stop(
            &self.invoker,
            &self.workers,
            &self.serving,
            &self.shutdown,
            &self.tasks,
            self.drain_timeout,
        )
        .await;
    }
}

caller!(
    NodeHandle,
    "node",
    "The service runs in this process or on a worker of this node. The timeout is that of the call, or the service's, \
     or 30 s. A failed call is not retried.",
    "It has no deadline by default, and 15 min for each attempt. Where a call fails, it can be repeated safely with \
     the same CID or idempotency key."
);
call_handlers!(NodeHandle, "node");

impl OutsideCaller for NodeHandle {}

impl Dispatch for NodeHandle {
    fn respond(&self, call: Call) -> BoxFuture<'_, Result<Response>> {
        Box::pin(async move {
            let cid = call.cid.unwrap_or_else(Cid::new);
            let (cid, reply) = self.invoker.invoke(cid, call).await?;
            Response::new(cid, reply)
        })
    }

    fn accept(&self, call: Call) -> BoxFuture<'_, Result<Accepted>> {
        Box::pin(self.invoker.invoke_async(call))
    }
}

impl LocalHandlers for NodeHandle {
    fn handler_names(&self) -> &HandlerNames {
        &self.handler_names
    }
}
