//! What the caller of an invoker may do, and which invocations it finds.

use super::{InvocationPage, Invoker};
use crate::engine::acceptance::origin::Acting;
use crate::engine::access::{
    Reach, Right, check_call, check_serve, check_service, identity, not_permitted,
};
use crate::engine::durable::operations::maintenance::retry_of;
use crate::engine::results::reading::cid_unknown;
use crate::engine::routing::Routes;
use crate::engine::store::{Filter, PageSize};
use crate::model::access::{Caller, Identity, Quota, Scope};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::payload::Payload;

impl Invoker {
    /// What a caller may use: the quota of its credential, and that of each principal where it says nothing.
    #[must_use]
    pub fn quota_of(&self, caller: &Caller) -> Quota {
        let of_all = Quota {
            rate: self.limits().principal_rate,
            in_flight: self.limits().principal_in_flight,
            pending: self.limits().principal_pending,
        };
        match caller.identity() {
            Some(identity) => identity.quota.or(of_all),
            None => Quota::default(),
        }
    }

    /// Counts a request of a caller that reads against its rate, as its calls are.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `RATE_LIMIT` or `PRINCIPAL_LIMIT`.
    pub fn count_read(&self, caller: &Caller) -> Result<()> {
        self.0.quotas.check(caller, 1)
    }

    /// Whether the caller may administer the node.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` / `NOT_PERMITTED`; `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`.
    pub fn check_administer(&self) -> Result<()> {
        let what = "administer the node";
        match identity(self.caller(), what)? {
            Some(identity) if !identity.rights.administer => {
                Err(not_permitted(self.caller(), Right::Administer, what, None))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the caller may read what the node counts of all services: it reads all invocations, or administers the
    /// node.
    ///
    /// # Errors
    ///
    /// As for [`check_administer`](Self::check_administer).
    pub fn check_read_all(&self) -> Result<()> {
        let what = "read what the node counts of all services";
        match identity(self.caller(), what)? {
            Some(Identity { rights, .. }) if !rights.administer && rights.read != Scope::All => {
                Err(not_permitted(self.caller(), Right::ReadAll, what, None))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the caller may serve services as a worker.
    ///
    /// # Errors
    ///
    /// As for [`check_administer`](Self::check_administer), with all services that it may not serve.
    pub fn check_serve<'a>(&self, services: impl Iterator<Item = &'a str>) -> Result<()> {
        check_serve(self.caller(), services)
    }

    /// Whether the caller may invoke a service.
    ///
    /// # Errors
    ///
    /// As for [`check_administer`](Self::check_administer), whether or not the service exists.
    pub fn check_invoke(&self, service: &str) -> Result<()> {
        match self.caller() {
            Caller::Trusted => Ok(()),
            caller => check_service(caller, service),
        }
    }

    /// Whether the caller proved who it is, where that is asked.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`.
    pub fn check_authenticated(&self) -> Result<()> {
        identity(self.caller(), "what the node serves").map(drop)
    }

    /// Whether discovery and reflection show a service to the caller: it may invoke it, or serve it, or administers the
    /// node.
    #[must_use]
    pub fn sees_service(&self, service: &str) -> bool {
        match self.caller() {
            Caller::Trusted => true,
            Caller::Unauthenticated => false,
            Caller::Authenticated(identity) => identity.rights.may_see(service),
        }
    }

    /// Whether synchronous calls of a service are taken now: this process or a worker serves it, and neither its pause
    /// nor a hold of the node refuses them.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN` with the most similar names.
    pub fn takes_calls(&self, name: &str) -> Result<bool> {
        let known = self.0.routes.find(name)?;
        if !self.sees_service(name) {
            return Err(Routes::unknown(name));
        }
        Ok(known.takes_calls())
    }

    /// The invocation of the caller that was accepted with an idempotency key.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN`; the errors of the store.
    pub async fn find_by_key(&self, service: ServiceName, key: String) -> Result<Cid> {
        Reach::to_read(self.caller())?;
        let owner = self.caller().principal().cloned();
        self.0.results.find_by_key(service, key, owner).await
    }

    /// As [`list`](Self::list), those that the caller may change.
    ///
    /// # Errors
    ///
    /// As for [`list`](Self::list).
    pub async fn list_to_change(
        &self,
        filter: Filter,
        before: Option<u64>,
        max: usize,
    ) -> Result<InvocationPage> {
        self.list_within(
            Reach::to_find_and_change(self.caller())?,
            filter,
            before,
            max,
        )
        .await
    }

    pub(super) async fn list_within(
        &self,
        reach: Reach,
        filter: Filter,
        before: Option<u64>,
        max: usize,
    ) -> Result<InvocationPage> {
        let owners = reach.owners().cloned();
        let filter = Filter { owners, ..filter };
        let size = PageSize {
            invocations: max,
            bytes: self.limits().list_page_bytes,
        };
        self.0.maintenance.list(filter, before, size).await
    }

    /// Who asks and who acts.
    pub(in crate::engine) fn acting(&self) -> Acting {
        Acting::caller(self.caller())
    }

    /// Whether the caller may change an invocation: of another one it does not learn that it exists.
    pub(in crate::engine) async fn check_change(&self, cid: Cid) -> Result<()> {
        let reach = Reach::to_change(self.caller())?;
        match reach.owners() {
            Some(owners) => self.0.results.get_of(cid, Some(owners)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Whether the caller may retry an invocation with another input: it may read it, since all but the input is kept,
    /// and invoke its service and its callbacks, since the retry is its own call.
    pub(in crate::engine) async fn check_retry_input(&self, cid: Cid) -> Result<()> {
        if let Caller::Trusted = self.caller() {
            return Ok(());
        }
        let reach = Reach::to_read(self.caller())?;
        let found = self.0.results.get_of(cid, reach.owners()).await?;
        let call = retry_of(&found.invocation.request, Some(Payload::empty()));
        check_call(self.caller(), &call)
    }

    /// Whether the caller may give the outcome of an invocation: it may change it, or serve its service.
    pub(in crate::engine) async fn check_complete(&self, cid: Cid, token: &str) -> Result<()> {
        let reach = match Reach::to_change(self.caller()) {
            Ok(reach) if reach.owners().is_none() => return Ok(()),
            reach => reach,
        };
        let Some(identity) = self.caller().identity() else {
            return reach.map(drop);
        };
        let found = self.0.completer.awaited(cid, token).await;
        let is_served = |service: &str| identity.rights.may_serve(service);
        match (found, reach) {
            (Ok((service, _)), _) if is_served(service.as_str()) => Ok(()),
            (_, Err(refused)) => Err(refused),
            (Ok((_, principals)), Ok(reach)) => {
                let owners = reach.owners();
                match owners.is_none_or(|owners| owners.own(principals.as_deref())) {
                    true => Ok(()),
                    false => Err(cid_unknown(cid)),
                }
            }
            (Err(error), Ok(_)) => Err(error),
        }
    }
}
