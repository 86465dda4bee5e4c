//! The quotas of principals: how many calls each may make in a time, and how many of them may be in flight.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::rate_limit::{RateLimit, rate_exceeded};
use crate::engine::limits::Limits;
use crate::model::access::{Caller, Identity, Principal, Quota};
use crate::model::error::{Error, Result, reason};
use crate::model::rate::Rate;

/// How soon a call may be retried that the calls in flight of its principal refused.
const IN_FLIGHT_RETRY_AFTER: Duration = Duration::from_millis(100);
/// How often principals that are idle are dropped at most, since that looks at all of them.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The quotas of all principals, and what each of them uses.
#[derive(Debug)]
pub(in crate::engine) struct Quotas {
    of_all: Quota,
    /// How many principals have a state at once.
    max_principals: usize,
    /// Keys of one principal with the same quota share its state; one with another quota has its own.
    principals: RwLock<HashMap<Account, Arc<PrincipalState>, RandomState>>,
    swept_at: Mutex<Option<Instant>>,
}

/// A principal, and what it may use: how many of its invocations are pending is the concern of the store.
type Account = (Principal, Quota);

/// What a principal uses.
#[derive(Debug)]
struct PrincipalState {
    rate: Option<RateLimit>,
    max_in_flight: usize,
    in_flight: AtomicUsize,
    started: Instant,
    /// When it called last, in milliseconds since `started`.
    used_at: AtomicUsize,
    /// After this time without a call it is as if it had never called.
    forgotten_after: Duration,
}

/// A call in flight, until it is dropped.
#[derive(Debug)]
pub(in crate::engine) struct InFlight(Arc<PrincipalState>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Quotas {
    pub(in crate::engine) fn new(limits: &Limits) -> Self {
        Self {
            of_all: Quota {
                rate: limits.principal_rate,
                in_flight: limits.principal_in_flight,
                pending: None,
            },
            max_principals: limits.principals,
            principals: RwLock::default(),
            swept_at: Mutex::default(),
        }
    }

    /// The quota of a principal: its own one, and that of all where it says nothing.
    fn of(&self, identity: &Identity) -> Quota {
        let quota = identity.quota.or(self.of_all);
        Quota {
            in_flight: quota.in_flight.filter(|limit| *limit > 0),
            pending: None,
            ..quota
        }
    }

    /// Begins a synchronous call; `None` where the caller has no quota.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `RATE_LIMIT`, `IN_FLIGHT_LIMIT` or `PRINCIPAL_LIMIT`.
    #[inline]
    pub(in crate::engine) fn begin(&self, caller: &Caller) -> Result<Option<InFlight>> {
        match self.state(caller)? {
            None => Ok(None),
            Some((state, principal)) => state.begin(principal).map(Some),
        }
    }

    /// Counts calls that are accepted, and wait for nothing.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `RATE_LIMIT` or `PRINCIPAL_LIMIT`.
    #[inline]
    pub(in crate::engine) fn check(&self, caller: &Caller, calls: usize) -> Result<()> {
        match self.state(caller)? {
            None => Ok(()),
            Some((state, principal)) => state.check_rate(principal, calls),
        }
    }

    #[inline]
    fn state<'a>(
        &self,
        caller: &'a Caller,
    ) -> Result<Option<(Arc<PrincipalState>, &'a Principal)>> {
        match caller {
            Caller::Trusted | Caller::Unauthenticated => Ok(None),
            Caller::Authenticated(identity) => self.state_of(identity),
        }
    }

    fn state_of<'a>(
        &self,
        identity: &'a Identity,
    ) -> Result<Option<(Arc<PrincipalState>, &'a Principal)>> {
        let quota = self.of(identity);
        if quota.is_none() {
            return Ok(None);
        }
        let principal = &identity.principal;
        let account = (principal.clone(), quota);
        let principals = self.principals.read();
        let known = principals
            .unwrap_or_else(PoisonError::into_inner)
            .get(&account)
            .map(Arc::clone);
        let state = match known {
            Some(state) => state,
            None => self.add(account)?,
        };
        Ok(Some((state, principal)))
    }

    fn add(&self, account: Account) -> Result<Arc<PrincipalState>> {
        let principals = self.principals.write();
        let mut principals = principals.unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = principals.get(&account) {
            return Ok(Arc::clone(known));
        }
        if principals.len() >= self.max_principals && self.may_sweep() {
            principals.retain(|_, state| !state.is_idle());
        }
        if principals.len() >= self.max_principals {
            return Err(self.too_many_principals());
        }
        let state = Arc::new(PrincipalState::new(account.1));
        principals.insert(account, Arc::clone(&state));
        Ok(state)
    }

    fn may_sweep(&self) -> bool {
        let mut swept_at = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = swept_at.is_none_or(|at| at.elapsed() >= SWEEP_INTERVAL);
        if is_due {
            *swept_at = Some(Instant::now());
        }
        is_due
    }

    fn too_many_principals(&self) -> Error {
        let limit = self.max_principals;
        let message = format!("{limit} principals call already");
        Error::resource_exhausted(reason::PRINCIPAL_LIMIT, message)
            .with_info("principals", limit)
            .with_retry_after(SWEEP_INTERVAL)
    }
}

impl PrincipalState {
    fn new(quota: Quota) -> Self {
        let refill = |rate: Rate| rate.interval().saturating_mul(rate.burst());
        Self {
            rate: quota.rate.map(RateLimit::new),
            max_in_flight: quota.in_flight.unwrap_or(usize::MAX),
            in_flight: AtomicUsize::new(0),
            started: Instant::now(),
            used_at: AtomicUsize::new(0),
            forgotten_after: quota.rate.map_or(Duration::ZERO, refill),
        }
    }

    fn begin(self: Arc<Self>, principal: &Principal) -> Result<InFlight> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let in_flight = InFlight(self);
        let state = &*in_flight.0;
        let limit = state.max_in_flight;
        if before >= limit {
            let message =
                format!("too many calls of `{principal}` are in flight: its limit is {limit}");
            return Err(Error::resource_exhausted(reason::IN_FLIGHT_LIMIT, message)
                .with_info("principal", principal)
                .with_info("principal_in_flight", limit)
                .with_retry_after(IN_FLIGHT_RETRY_AFTER));
        }
        state.check_rate(principal, 1)?;
        Ok(in_flight)
    }

    fn check_rate(&self, principal: &Principal, calls: usize) -> Result<()> {
        let Some(limit) = &self.rate else {
            return Ok(());
        };
        let now = usize::try_from(self.started.elapsed().as_millis());
        self.used_at
            .store(now.unwrap_or(usize::MAX), Ordering::Relaxed);
        limit.check(calls).map_err(|refused| {
            let of = format!("of `{principal}`");
            rate_exceeded(refused, &of, calls, limit.rate())
                .with_info("principal", principal)
                .with_info("principal_rate", limit.rate())
                .with_info("burst", limit.rate().burst())
        })
    }

    /// Whether nothing is lost with it: no call is in flight, and its whole burst may pass again.
    fn is_idle(self: &Arc<Self>) -> bool {
        // Whoever begins a call holds a reference.
        let is_unused = Arc::strong_count(self) == 1;
        let used_at = u64::try_from(self.used_at.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
        let since = self
            .started
            .elapsed()
            .saturating_sub(Duration::from_millis(used_at));
        is_unused && since >= self.forgotten_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::{Credential, Rights};

    fn caller(name: &str) -> Caller {
        Caller::Authenticated(Arc::new(Identity {
            principal: Principal::known(name),
            group: None,
            rights: Rights::all(),
            quota: Quota::default(),
            credential: Credential::Token,
            peer: None,
        }))
    }

    fn quotas(change: impl FnOnce(&mut Limits)) -> Quotas {
        let mut limits = Limits::default();
        change(&mut limits);
        Quotas::new(&limits)
    }

    #[tokio::test(start_paused = true)]
    async fn each_principal_has_a_rate_of_its_own() {
        let quotas = quotas(|limits| {
            limits.principal_rate = Some(Rate::per_second(2.0));
        });
        let (one, other) = (caller("one"), caller("other"));
        assert!(quotas.check(&one, 2).is_ok());
        let refused = quotas.begin(&one).unwrap_err();
        assert_eq!(refused.reason(), "RATE_LIMIT");
        assert_eq!(refused.retry_after(), Some(Duration::from_millis(500)));
        assert_eq!(refused.fact("principal_rate"), Some("2/s"));
        assert!(quotas.begin(&other).is_ok());
        let never = quotas.check(&other, 3).unwrap_err();
        assert_eq!(never.retryable_override(), Some(false));
        for free in [Caller::Trusted, Caller::Unauthenticated] {
            assert!(quotas.begin(&free).unwrap().is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_flight_are_counted_until_they_end() {
        let quotas = quotas(|limits| limits.principal_in_flight = Some(1));
        let one = caller("one");
        let held = quotas.begin(&one).unwrap();
        assert_eq!(quotas.begin(&one).unwrap_err().reason(), "IN_FLIGHT_LIMIT");
        drop(held);
        assert!(quotas.begin(&one).unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_idle_principals_are_dropped() {
        let quotas = quotas(|limits| {
            limits.principals = 2;
            limits.principal_rate = Some(Rate::per_second(1.0));
            limits.principal_in_flight = Some(9);
        });
        let held = quotas.begin(&caller("a")).unwrap();
        drop(quotas.begin(&caller("b")).unwrap());
        assert_eq!(
            quotas.begin(&caller("c")).unwrap_err().reason(),
            "PRINCIPAL_LIMIT"
        );
        // `b` has its burst again, and `a` a call in flight.
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(quotas.begin(&caller("c")).is_ok());
        assert_eq!(
            quotas.begin(&caller("d")).unwrap_err().reason(),
            "PRINCIPAL_LIMIT"
        );
        drop(held);
    }
}
