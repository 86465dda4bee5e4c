//! A client of a node, on the types of the model.

mod contract;

use std::time::Duration;

#[doc(hidden)]
pub use self::contract::{ContractClient, ResultStream, Selector};
use crate::codec::convert::{
    changed_state_from_proto, invocation_outcome_from_proto, retry_cid_from_proto, state_from_proto,
};
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::{Outcome, State};
use crate::model::payload::{Payload, Reply};
use crate::service::KnownService;

/// A client of a node. Cheap to clone; all clones share one connection.
///
/// ```no_run
/// use std::time::Duration;
///
/// use cidery::{Call, Client, Result, dict};
///
/// # async fn example() -> Result<()> {
/// let client = Client::connect("127.0.0.1:24337").await?;
/// let (_, reply) = client.invoke(Call::new("customer.get", dict! { "cust_id": 1 })).await?;
/// println!("{reply:?}");
///
/// let accepted = client.invoke_async(Call::new("report.create", dict! { "year": 2026 })).await?;
/// match client.outcome(accepted.cid, Duration::from_secs(30)).await? {
///     Some(outcome) => println!("{outcome:?}"),
///     None => println!("{} has not ended", accepted.cid),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    contract: ContractClient,
}

impl Client {
    /// Connects to a node: `127.0.0.1:24337`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for a malformed address; `UNAVAILABLE` / `CONNECT_FAILED`.
    pub async fn connect(node: &str) -> Result<Self> {
        let contract = ContractClient::connect(node).await?;
        Ok(Self { contract })
    }

    /// The number of attempts of a call that is safe to retry: it failed before it was dispatched, or it is accepted
    /// once by its CID or key. 1 disables retries. Default: 8, within about five seconds.
    #[must_use]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self {
            contract: self.contract.max_attempts(max_attempts),
        }
    }

    /// Invokes a service and waits for its reply. Returns the CID as well.
    ///
    /// # Errors
    ///
    /// The failure of the service, or of the node; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke(&self, call: Call) -> Result<(Cid, Reply)> {
        self.contract.invoke(call).await
    }

    /// Runs a service in the background; returns the CID once the invocation is accepted.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke_async(&self, call: Call) -> Result<Accepted> {
        self.contract.invoke_async(call).await
    }

    /// Runs a batch of services in the background, accepted at once, all of them or none, under one group CID.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn invoke_batch(&self, batch: Batch) -> Result<AcceptedGroup> {
        self.contract.invoke_batch(batch).await
    }

    /// Waits until all members of a group have ended; returns their outcomes in the order of their requests. A failure
    /// is an outcome.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost and cannot be re-established.
    pub async fn join(&self, group: &AcceptedGroup) -> Result<Vec<(Cid, Outcome)>> {
        self.contract.join(group).await
    }

    /// Returns the outcome of an asynchronous invocation once it has ended; `None` where it has not ended within
    /// `wait`.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `UNAVAILABLE` where the connection is lost. The failure of the
    /// invocation is an outcome.
    pub async fn outcome(&self, cid: Cid, wait: Duration) -> Result<Option<Outcome>> {
        let invocation = self.contract.invocation(cid, wait).await?;
        invocation_outcome_from_proto(invocation)
    }

    /// Completes an invocation whose handler answered "later"; returns its state after that. Idempotent, and retried
    /// where the connection is lost.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` or `ENDED`; `INVALID_ARGUMENT` / `OUTPUT_INVALID`; `UNAVAILABLE` where
    /// the connection is lost.
    pub async fn complete(&self, cid: Cid, token: &str, outcome: Result<Payload>) -> Result<State> {
        let state = self.contract.complete(cid, token, outcome).await?;
        state_from_proto(state.into(), false)
    }

    /// Cancels an invocation; returns its state after that. A running handler is asked to stop, and is dropped after
    /// the grace period.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `ENDED`; `UNAVAILABLE` where the
    /// connection is lost.
    pub async fn cancel(&self, cid: Cid) -> Result<State> {
        changed_state_from_proto(self.contract.cancel(cid, false).await?)
    }

    /// Retries an invocation that ended without a response, with the same input or another one; returns the CID of the
    /// new invocation. An invocation that is held is released and keeps its CID.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_RETRYABLE`; `INVALID_ARGUMENT` /
    /// `VALUE_INVALID` for an input that cannot be encoded; `UNAVAILABLE` where the connection is lost.
    pub async fn retry(&self, cid: Cid, input: Option<Payload>) -> Result<Cid> {
        retry_cid_from_proto(match input {
            Some(input) => self.contract.retry_with(cid, input).await?,
            None => self.contract.retry(cid, false).await?,
        })
    }

    /// Removes an invocation that has ended, before its retention ends.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_ENDED`; `UNAVAILABLE` where the
    /// connection is lost.
    pub async fn purge(&self, cid: Cid) -> Result<()> {
        let changes = self.contract.purge(cid, false).await?;
        changed_state_from_proto(changes).map(drop)
    }

    /// Lists the services whose names start with `prefix`.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn services(&self, prefix: &str) -> Result<Vec<KnownService>> {
        let services = self.contract.services(prefix).await?.into_iter();
        let known = services.map(|service| {
            Ok(KnownService {
                name: service.name.parse()?,
                description: service.description,
            })
        });
        known.collect()
    }

    /// The client of the messages of the contract, on the same connection.
    #[doc(hidden)]
    #[must_use]
    pub fn contract(&self) -> &ContractClient {
        &self.contract
    }
}
