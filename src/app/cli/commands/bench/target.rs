//! What a bench calls.

use std::time::Duration;

use super::args::Kind;
use crate::codec::convert::outcome_from_proto;
use crate::model::call::Call;
use crate::model::error::{Error, Result, reason};
use crate::model::payload::Payload;
use crate::remote::client::ContractClient;

/// A service, and the connections to its node.
pub(super) struct Target {
    clients: Vec<ContractClient>,
    call: Call,
    kind: Kind,
}

impl Target {
    pub(super) fn new(
        clients: Vec<ContractClient>,
        service: String,
        input: Payload,
        timeout: Option<Duration>,
        kind: Kind,
    ) -> Self {
        let call = Call {
            timeout,
            ..Call::new(service, input)
        };
        Self {
            clients,
            call,
            kind,
        }
    }

    /// Checks that the service exists.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`, and whatever else the node answers.
    pub(super) async fn check(&self) -> Result<()> {
        match self.clients.first() {
            Some(client) => client.describe(&self.call.service).await.map(drop),
            None => Ok(()),
        }
    }

    /// Makes one call, on the connection of its number.
    ///
    /// # Errors
    ///
    /// That of the call, or of its outcome.
    pub(super) async fn call(&self, number: usize) -> Result<()> {
        let client = self.clients.get(number % self.clients.len().max(1));
        let client = client.ok_or_else(lost)?;
        match self.kind {
            Kind::Invoke => client.invoke(self.call.clone()).await.map(drop),
            Kind::Accept => client.invoke_async(self.call.clone()).await.map(drop),
            Kind::Outcome => self.outcome(client).await,
        }
    }

    async fn outcome(&self, client: &ContractClient) -> Result<()> {
        let accepted = client.invoke_async(self.call.clone()).await?;
        let mut events = client.results(accepted.cid).await?;
        while let Some(event) = events.next().await? {
            let outcome = event.event.map(outcome_from_proto).transpose()?;
            if let Some(outcome) = outcome.flatten() {
                return outcome.map(drop);
            }
        }
        Err(lost())
    }
}

fn lost() -> Error {
    Error::unavailable(reason::TRANSPORT, "the stream ended without an outcome")
}
