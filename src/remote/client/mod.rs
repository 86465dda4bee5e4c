//! A client of a node, on the types of the model.

mod contract;
mod event;
mod results;

use std::time::Duration;

#[doc(hidden)]
pub use self::contract::{ContractClient, ResultStream, Selector};
pub use self::event::{Event, EventKind};
pub use self::results::Results;
use crate::codec::convert::{
    changed_state_from_proto, invocation_outcome_from_proto, retry_cid_from_proto, state_from_proto,
};
use crate::model::batch::{AcceptedGroup, Batch};
use crate::model::call::{Accepted, Call};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::{InvocationState, Outcome};
use crate::model::payload::Payload;
use crate::service::{
    BoxFuture, Dispatch, HandlerNames, KnownService, OutsideCaller, Response, caller,
};

/// A client of a node. Cheap to clone; all clones share one connection.
///
/// ```no_run
/// use std::time::Duration;
///
/// use cidery::{Client, Result, Service, dict};
///
/// #[derive(serde::Serialize)]
/// struct GetCustomer { cust_id: u64 }
///
/// #[derive(serde::Deserialize)]
/// struct Customer { cust_name: String }
///
/// const GET_CUSTOMER: Service<GetCustomer, Customer> = Service::new("customer.get");
///
/// # async fn example() -> Result<()> {
/// let client = Client::connect("127.0.0.1:24337").await?;
/// let customer = client.call(GET_CUSTOMER, GetCustomer { cust_id: 1 }).await?;
/// println!("{}", customer.cust_name);
///
/// let cid = client.invoke_async("report.create", dict! { "year": 2026 }).await?;
/// match client.outcome(cid, Duration::from_secs(30)).await? {
///     Some(outcome) => println!("{:?}", outcome?.value()),
///     None => println!("{cid} has not ended"),
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
    pub async fn join(&self, group: &AcceptedGroup) -> Result<Vec<Result<Response>>> {
        let outcomes = self.contract.join(group).await?.into_iter();
        Ok(outcomes
            .map(|(cid, outcome)| response(cid, outcome))
            .collect())
    }

    /// Returns the outcome of an asynchronous invocation once it has ended; `None` where it has not ended within
    /// `wait`.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `UNAVAILABLE` where the connection is lost. The failure of the
    /// invocation is an outcome.
    pub async fn outcome(&self, cid: Cid, wait: Duration) -> Result<Option<Result<Response>>> {
        let invocation = self.contract.invocation(cid, wait).await?;
        let outcome = invocation_outcome_from_proto(invocation)?;
        Ok(outcome.map(|outcome| response(cid, outcome)))
    }

    /// Follows an invocation from its beginning to its end, and a group with its members: a stream of its events.
    pub fn results(&self, cid: Cid) -> Results {
        self.results_of([cid])
    }

    /// Follows several invocations, up to 100 000 with the members of groups: a stream of the events of all of them.
    pub fn results_of(&self, cids: impl IntoIterator<Item = Cid>) -> Results {
        Results::new(&self.contract, cids)
    }

    /// Completes an invocation whose handler answered "later"; returns its state after that. Idempotent, and retried
    /// where the connection is lost.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` or `ENDED`; `INVALID_ARGUMENT` / `OUTPUT_INVALID`; `UNAVAILABLE` where
    /// the connection is lost.
    pub async fn complete(
        &self,
        cid: Cid,
        token: &str,
        outcome: Result<Payload>,
    ) -> Result<InvocationState> {
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
    pub async fn cancel(&self, cid: Cid) -> Result<InvocationState> {
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

/// The response of an invocation that has ended, or its failure.
fn response(cid: Cid, outcome: Outcome) -> Result<Response> {
    let reply = outcome.map_err(|error| error.with_cid(cid))?;
    Response::new(cid, reply)
}

caller!(Client);

impl OutsideCaller for Client {}

impl Dispatch for Client {
    fn respond(&self, call: Call) -> BoxFuture<'_, Result<Response>> {
        Box::pin(async move {
            let (cid, reply) = self.contract.invoke(call).await?;
            Response::new(cid, reply)
        })
    }

    fn accept(&self, call: Call) -> BoxFuture<'_, Result<Accepted>> {
        Box::pin(self.contract.invoke_async(call))
    }

    fn handler_names(&self) -> Option<&HandlerNames> {
        None
    }
}
