//! A client of a node, on the types of the model.

mod contract;
mod event;
mod results;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[doc(hidden)]
pub use self::contract::{BackupParts, ContractClient, NodeEvents, ResultStream, Selector};
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
use crate::remote::protocol::credential::ClientCredential;
use crate::service::{
    BoxFuture, Caller, Dispatch, InvokeAsyncCall, InvokeCall, KnownService, OutsideCaller,
    Response, ServiceHandle, caller,
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
///     Some(outcome) => println!("{}", outcome?.value()),
///     None => println!("{cid} has not ended"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Lost connections
///
/// Each method first retries what is safe to retry: see [`max_attempts`](Self::max_attempts). It then fails with
/// `UNAVAILABLE` / `CONNECT_FAILED` or `TRANSPORT` where the node did not process the request, and with `UNKNOWN` /
/// `TRANSPORT` where it may have.
#[derive(Clone, Debug)]
pub struct Client {
    contract: ContractClient,
}

/// The duration of one wait for an outcome, after which the wait is repeated.
const WAIT_INTERVAL: Duration = Duration::from_secs(60);

impl Client {
    /// Connects to the node at an address: `HOST:PORT`, such as `127.0.0.1:24337` or `[::1]:24337`. Default port:
    /// 24337. A connection that is lost later is re-established by the next call.
    ///
    /// With the feature `tls` an address may begin with `https://`. The certificate of the node must then come from a
    /// CA that the system trusts; `connect_with_tls` takes another CA, and a client certificate.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a malformed address; `UNAVAILABLE` / `CONNECT_FAILED` where no node
    /// can be reached there; `FAILED_PRECONDITION` / `TLS_FAILED` where one side does not accept the certificate of
    /// the other, `TLS_REQUIRED` (of the first call) where the node is reached by `https://` only.
    pub async fn connect(node: &str) -> Result<Self> {
        let contract = ContractClient::connect(node).await?;
        Ok(Self { contract })
    }

    /// Connects to the node at an `https://` address: see [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect); `INVALID_ARGUMENT` / `TLS_INVALID` for files that cannot be used.
    #[cfg(feature = "tls")]
    pub async fn connect_with_tls(node: &str, tls: crate::remote::ClientTls) -> Result<Self> {
        let contract = ContractClient::connect_with_tls(node, tls).await?;
        Ok(Self { contract })
    }

    /// Sends an API key with each call: `authorization: Bearer …`.
    ///
    /// ```no_run
    /// # async fn example() -> cidery::Result<()> {
    /// let key = std::env::var("CIDERY_API_KEY")?;
    /// let client = cidery::Client::connect("127.0.0.1:24337").await?.api_key(&key)?;
    /// # let _ = client;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// In plain text it is sent to this machine only: elsewhere, a call fails with `FAILED_PRECONDITION` /
    /// `CREDENTIAL_UNPROTECTED`, unless [`ClientCredential::insecure`] allows it.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` / `CREDENTIAL_INVALID` for a text that is no key. Whether the node accepts it, the first call
    /// says.
    pub fn api_key(self, key: &str) -> Result<Self> {
        Ok(self.credential(ClientCredential::api_key(key)?))
    }

    /// Sends a credential with each call, such as a token of an issuer that a function returns.
    #[must_use]
    pub fn credential(self, credential: ClientCredential) -> Self {
        Self {
            contract: self.contract.credential(credential),
        }
    }

    /// Sends a trace context with each call that has none in its metadata: `current` names the span of the program that
    /// is under way, as a W3C `traceparent`, or `None`. It is called with each call, on the thread that makes it.
    ///
    /// A handler that calls through a client of its own passes on the context of its call with the metadata
    /// `traceparent`: see [`Context::traceparent`](crate::Context::traceparent).
    ///
    /// ```no_run
    /// # fn span_under_way() -> Option<String> { None }
    /// # async fn example() -> cidery::Result<()> {
    /// let client = cidery::Client::connect("127.0.0.1:24337").await?;
    /// let client = client.trace_context(|| span_under_way());
    /// # let _ = client;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn trace_context(
        self,
        current: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            contract: self.contract.trace_context(current),
        }
    }

    /// Sets the number of attempts of a call that is safe to retry: it failed before it was dispatched, or it is
    /// accepted once by its CID or key. 1 disables retries. Default: 8, within about five seconds.
    #[must_use]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self {
            contract: self.contract.max_attempts(max_attempts),
        }
    }

    /// Invokes many services in the background. They are accepted atomically, all of them or none, under one group CID.
    ///
    /// ```no_run
    /// # async fn example(client: &cidery::Client) -> cidery::Result<()> {
    /// use cidery::{Batch, dict};
    ///
    /// let pages = (1..=3).map(|page| ("pages.fetch", dict! { "page": page }));
    /// let group = client.invoke_batch(Batch::of(pages)?).await?;
    /// for outcome in client.join(&group).await? {
    ///     println!("{}", outcome?.value());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`invoke_async`](Self::invoke_async), with the paths of the requests in the violations;
    /// `INVALID_ARGUMENT` / `BATCH_LIMIT` above 10 000 members, or `COST_LIMIT`.
    pub async fn invoke_batch(&self, batch: Batch) -> Result<AcceptedGroup> {
        self.contract.invoke_batch(batch).await
    }

    /// Waits until all members of a group have ended, without a timeout, and returns their outcomes in the order of
    /// their requests. A failure is an outcome.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; a [lost connection](Self#lost-connections).
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
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; a [lost connection](Self#lost-connections). The failure of the
    /// invocation is an outcome.
    pub async fn outcome(&self, cid: Cid, wait: Duration) -> Result<Option<Result<Response>>> {
        let invocation = self.contract.invocation(cid, wait).await?;
        let outcome = invocation_outcome_from_proto(invocation)?;
        Ok(outcome.map(|outcome| response(cid, outcome)))
    }

    /// Waits until an asynchronous invocation has ended, without a timeout, and returns its response, or its failure as
    /// the error. [`outcome`](Self::outcome) waits with a timeout, and tells the failure of the invocation from that of
    /// the connection.
    ///
    /// ```no_run
    /// # async fn example(client: &cidery::Client) -> cidery::Result<()> {
    /// let cid = client.invoke_async("report.create", cidery::dict! { "year": 2026 }).await?;
    /// let pages: u32 = client.wait(cid).await?.at("pages")?;
    /// # let _ = pages;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The failure of the invocation, with its CID; `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; a [lost
    /// connection](Self#lost-connections).
    pub async fn wait(&self, cid: Cid) -> Result<Response> {
        loop {
            if let Some(outcome) = self.outcome(cid, WAIT_INTERVAL).await? {
                return outcome;
            }
        }
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
    /// `FAILED_PRECONDITION` / `DISPATCH_VOID` or `ENDED`; `INVALID_ARGUMENT` / `OUTPUT_INVALID`; a [lost
    /// connection](Self#lost-connections).
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
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `ENDED`; a [lost
    /// connection](Self#lost-connections).
    pub async fn cancel(&self, cid: Cid) -> Result<InvocationState> {
        changed_state_from_proto(self.contract.cancel(cid, false).await?)
    }

    /// Retries an invocation that ended without a response, with the same input or another one; returns the CID of the
    /// new invocation. An invocation that is held is released and keeps its CID.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_RETRYABLE`; `INVALID_ARGUMENT` /
    /// `VALUE_INVALID` for an input that cannot be encoded; a [lost connection](Self#lost-connections).
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
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `FAILED_PRECONDITION` / `NOT_ENDED`; a [lost
    /// connection](Self#lost-connections).
    pub async fn purge(&self, cid: Cid) -> Result<()> {
        let changes = self.contract.purge(cid, false).await?;
        changed_state_from_proto(changes).map(drop)
    }

    /// Lists the services whose names start with `prefix`; all with `""`.
    ///
    /// # Errors
    ///
    /// A [lost connection](Self#lost-connections).
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

caller!(
    Client,
    "client",
    "The timeout is that of the call, or the service's, or 30 s. A call that failed before the service ran, or that is \
     accepted once by its idempotency key or [`OnDeadline::Continue`](crate::OnDeadline::Continue), is retried: see \
     [`max_attempts`](Self::max_attempts).",
    "It has no deadline by default, and 15 min for each attempt. A lost connection is retried (see \
     [`max_attempts`](Self::max_attempts)): the node accepts the invocation once, by its CID. \
     [`outcome`](Self::outcome) and [`results`](Self::results) read what has become of it."
);

impl Client {
    /// Calls a service by its types and waits for its output.
    ///
    /// ```
    /// # async fn example(client: &cidery::Client) -> cidery::Result<()> {
    /// use cidery::Service;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize)]
    /// struct Place { item: String }
    ///
    /// #[derive(Deserialize)]
    /// struct Order { id: u64 }
    ///
    /// const PLACE: Service<Place, Order> = Service::new("order.place");
    ///
    /// let order = client.call(PLACE, Place { item: "pen".to_owned() }).await?;
    /// println!("order {}", order.id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Deadline, retries and cancellation are as for [`invoke`](Self::invoke).
    ///
    /// # Errors
    ///
    /// As for [`invoke`](Self::invoke), and `INTERNAL` / `RESPONSE_MISMATCH` where the response is not of the type of
    /// the output.
    pub fn call<S: ServiceHandle>(
        &self,
        service: S,
        input: S::Input,
    ) -> InvokeCall<'_, Self, S::Output>
    where
        S::Input: Serialize + 'static,
        S::Output: DeserializeOwned + 'static,
    {
        Caller::call(self, service, input)
    }

    /// Calls a service by its types in the background, and returns the CID of the invocation once it is stored.
    ///
    /// Everything but the types is as for [`invoke_async`](Self::invoke_async).
    ///
    /// # Errors
    ///
    /// As for [`invoke_async`](Self::invoke_async).
    pub fn call_async<S: ServiceHandle>(
        &self,
        service: S,
        input: S::Input,
    ) -> InvokeAsyncCall<'_, Self>
    where
        S::Input: Serialize + 'static,
    {
        Caller::call_async(self, service, input)
    }
}

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
}
