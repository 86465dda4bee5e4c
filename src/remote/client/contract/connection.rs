//! The connection of a client, and the retry of its calls.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::{Response, Status};

use crate::codec::proto::health::health_client::HealthClient;
use crate::codec::proto::v1::admin_service_client::AdminServiceClient;
use crate::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::codec::proto::v1::operation_service_client::OperationServiceClient;
use crate::codec::proto::v1::security_service_client::SecurityServiceClient;
use crate::model::error::{Error, Result, reason};
use crate::remote::protocol::credential::{ClientCredential, NodeChannel};
use crate::remote::protocol::endpoint::NodeEndpoint;
#[cfg(feature = "cli")]
use crate::remote::protocol::retry::OnRetry;
use crate::remote::protocol::retry::{
    Retries, call_with_retry, is_safe_to_retry, was_not_processed,
};
#[cfg(feature = "tls")]
use crate::remote::protocol::tls::ClientTls;
use crate::remote::protocol::trace_context::CurrentTrace;

/// The largest message that a client decodes: four times the default limit of a node.
const MAX_RESPONSE_BYTES: usize = 4 * crate::codec::limits::MAX_MESSAGE_BYTES;

/// A client of a node on the messages of the contract. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub struct ContractClient {
    pub(super) invocation: InvocationServiceClient<NodeChannel>,
    pub(super) discovery: DiscoveryServiceClient<NodeChannel>,
    pub(super) admin: AdminServiceClient<NodeChannel>,
    pub(super) operation: OperationServiceClient<NodeChannel>,
    pub(super) health: HealthClient<NodeChannel>,
    channel: NodeChannel,
    pub(super) retries: Retries,
    node: Arc<str>,
}

impl ContractClient {
    /// Connects to a node: `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. Without a port: 24337.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for a malformed address; `UNAVAILABLE` / `CONNECT_FAILED`; those of TLS.
    pub async fn connect(node: &str) -> Result<Self> {
        Self::connect_to(NodeEndpoint::new(node, None)?).await
    }

    /// As [`connect`](Self::connect), to an `https://` address with what `tls` says.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `INVALID_ARGUMENT` / `TLS_INVALID`.
    #[cfg(feature = "tls")]
    pub async fn connect_with_tls(node: &str, tls: ClientTls) -> Result<Self> {
        Self::connect_to(NodeEndpoint::new(node, Some(tls))?).await
    }

    async fn connect_to(endpoint: NodeEndpoint) -> Result<Self> {
        let channel = endpoint.connect().await?;
        let node = endpoint.authority().into();
        Ok(Self::on(channel, Retries::default(), node))
    }

    fn on(channel: NodeChannel, retries: Retries, node: Arc<str>) -> Self {
        Self {
            invocation: InvocationServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            discovery: DiscoveryServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            admin: AdminServiceClient::new(channel.clone()),
            operation: OperationServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            health: HealthClient::new(channel.clone()),
            channel,
            retries,
            node,
        }
    }

    /// The stub of `SecurityService`, which few clients use.
    pub(super) fn security(&self) -> SecurityServiceClient<NodeChannel> {
        SecurityServiceClient::new(self.channel.clone())
    }

    /// Sends a credential with each call from now on.
    #[must_use]
    pub fn credential(self, credential: ClientCredential) -> Self {
        let channel = self.channel.with_credential(Some(credential));
        Self::on(channel, self.retries, self.node)
    }

    /// Sends the trace context that `current` names with each call from now on.
    #[must_use]
    pub fn trace_context(
        self,
        current: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let channel = self.channel.with_trace(CurrentTrace::new(current));
        Self::on(channel, self.retries, self.node)
    }

    /// The host and the port of the node.
    #[cfg(feature = "cli")]
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// The number of attempts of a call that is safe to retry: it failed before it was dispatched, or it is accepted
    /// once by its CID or key. 1 disables retries. Default: 8, within about five seconds.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.retries.max_attempts = max_attempts.max(1);
        self
    }

    /// Sets what is called before each retry: with the error of the last attempt, and the time from the first attempt
    /// to the next one.
    #[cfg(feature = "cli")]
    pub(crate) fn on_retry(mut self, on_retry: OnRetry) -> Self {
        self.retries.on_retry = Some(on_retry);
        self
    }

    /// Makes a call, and retries it where `is_safe` says so.
    pub(super) async fn call<T, F>(
        &self,
        is_safe: impl Fn(&Error) -> bool,
        call: impl Fn() -> F,
    ) -> Result<Response<T>>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        self.call_until(None, is_safe, call).await
    }

    /// Makes a call, and retries it where `is_safe` says so; no attempt begins after `until`.
    pub(super) async fn call_until<T, F>(
        &self,
        until: Option<Instant>,
        is_safe: impl Fn(&Error) -> bool,
        call: impl Fn() -> F,
    ) -> Result<Response<T>>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let answer = call_with_retry(until, &self.retries, is_safe, call).await;
        answer.map_err(|error| self.name_node(error))
    }

    /// Names the node where an error says that it is none.
    pub(super) fn name_node(&self, error: Error) -> Error {
        match error.reason() {
            reason::NOT_A_NODE => {
                let message = format!("{} answers, but is not a Cidery node", self.node);
                error.with_message(message)
            }
            _ => error,
        }
    }

    /// Makes a call that is idempotent.
    pub(super) async fn read<T, F>(&self, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let response = self.call(is_safe_to_retry, call).await?;
        Ok(response.into_inner())
    }

    /// Makes a call that is not idempotent: it is retried only where the node did not process it.
    pub(super) async fn write<T, F>(&self, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let response = self.call(was_not_processed, call).await?;
        Ok(response.into_inner())
    }
}
