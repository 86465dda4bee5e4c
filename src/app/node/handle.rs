//! The handle of a running node: invokes services in the process, and stops the node.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use crate::app::shutdown;
use crate::edge::grpc::Serving;
use crate::edge::listener::Shutdown;
use crate::engine::Invoker;
use crate::model::call::Call;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::Payload;
use crate::remote::worker_registry::WorkerRegistry;
use crate::service::Response;
use crate::service::runtime::Tasks;

/// A running node: invokes services, and stops.
#[derive(Debug)]
pub struct NodeHandle {
    pub(in crate::app) invoker: Invoker,
    pub(in crate::app) workers: WorkerRegistry,
    pub(in crate::app) serving: Serving,
    pub(in crate::app) shutdown: Shutdown,
    pub(in crate::app) tasks: Tasks,
    pub(in crate::app) address: Option<SocketAddr>,
    pub(in crate::app) drain_timeout: Duration,
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

    /// Invokes a service and waits for its response.
    ///
    /// # Errors
    ///
    /// The failure of the service, or of the node.
    pub async fn invoke(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl Into<Payload>,
    ) -> Result<Response> {
        let cid = Cid::new();
        let (cid, reply) = self.invoker.invoke(cid, Call::new(service, input)).await?;
        Response::new(cid, reply)
    }

    /// Accepts an asynchronous invocation and returns its CID.
    ///
    /// # Errors
    ///
    /// The refusal of the node: `NOT_FOUND` / `SERVICE_UNKNOWN`, an invalid input, a full queue or store.
    pub async fn invoke_async(
        &self,
        service: impl Into<Cow<'static, str>>,
        input: impl Into<Payload>,
    ) -> Result<Cid> {
        let accepted = self.invoker.invoke_async(Call::new(service, input)).await?;
        Ok(accepted.cid)
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
