//! Limits failed authentications, by the address of the peer.
//!
//! A bucket for each address is emptied by failures and fills up with time. Unlike the limiters of `governor`, a bucket
//! can be looked at without taking from it: what is refused before any work is only what follows too many failures.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::edge::network::network;
use crate::model::error::{Error, Result, reason};

/// How many addresses are remembered, at most. Further ones share a bucket.
const MAX_ADDRESSES: usize = 10_000;
/// What the further ones share: no peer has it.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The failures of each address.
#[derive(Debug)]
pub(super) struct Attempts {
    per_second: u32,
    burst: u32,
    /// When each bucket is full again.
    full_at: Mutex<HashMap<IpAddr, Instant, RandomState>>,
}

impl Attempts {
    /// Allows so many failures at once, and so many each second from then on.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            burst: burst.max(1),
            full_at: Mutex::default(),
        }
    }

    /// Refuses an address that has failed too often.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `ATTEMPTS_LIMIT`.
    #[cfg(any(feature = "jwt", test))]
    pub(super) fn check(&self, peer: IpAddr, now: Instant) -> Result<()> {
        let full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = full_at.get(&network(peer)).copied();
        drop(full_at);
        self.room(bucket, now)
    }

    /// Counts a failure.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `ATTEMPTS_LIMIT` where the address has failed too often before.
    pub(super) fn failed(&self, peer: IpAddr, now: Instant) -> Result<()> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peer = network(peer);
        if full_at.len() >= MAX_ADDRESSES && !full_at.contains_key(&peer) {
            full_at.retain(|_, full_at| *full_at > now);
            if full_at.len() >= MAX_ADDRESSES {
                peer = OTHERS;
            }
        }
        let bucket = full_at.get(&peer).copied();
        self.room(bucket, now)?;
        let full = bucket.map_or(now, |full| full.max(now));
        full_at.insert(peer, full + self.interval());
        Ok(())
    }

    /// How long it takes until one more failure is allowed.
    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.per_second
    }

    fn room(&self, full_at: Option<Instant>, now: Instant) -> Result<()> {
        let missing = full_at.map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        let most = self.interval() * (self.burst - 1);
        let Some(wait) = missing.checked_sub(most).filter(|wait| !wait.is_zero()) else {
            return Ok(());
        };
        let message = "too many failed authentications from this address: check the credential";
        Err(Error::resource_exhausted(reason::ATTEMPTS_LIMIT, message)
            .with_info("authentication_failures_per_second", self.per_second)
            .with_info("authentication_failures_burst", self.burst)
            .with_retry_after(wait)
            // A repeated call has the same wrong credential.
            .with_retryable(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn failures(attempts: &Attempts, peer: IpAddr, now: Instant) -> usize {
        (0..1_000)
            .take_while(|_| attempts.failed(peer, now).is_ok())
            .count()
    }

    #[test]
    fn failures_are_limited_and_looks_are_not() {
        let (attempts, start) = (Attempts::new(10, 100), Instant::now());
        assert!(attempts.check(PEER, start).is_ok());
        assert_eq!(failures(&attempts, PEER, start), 100);
        let error = attempts.check(PEER, start).unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_millis(100)));
        // Another address is not affected.
        assert!(attempts.check([127, 0, 0, 2].into(), start).is_ok());
        let later = start + Duration::from_secs(1);
        assert!(attempts.check(PEER, later).is_ok());
        assert_eq!(failures(&attempts, PEER, later), 10);
        assert_eq!(
            failures(&attempts, PEER, later + Duration::from_hours(1)),
            100
        );
    }

    #[test]
    fn the_hosts_of_a_network_share_a_bucket() {
        let (attempts, now) = (Attempts::new(1, 1), Instant::now());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(attempts.failed(ip("2001:db8::1"), now).is_ok());
        assert!(attempts.failed(ip("2001:db8::2"), now).is_err());
        assert!(attempts.failed(ip("2001:db8:0:1::2"), now).is_ok());
        assert!(attempts.failed(ip("192.0.2.1"), now).is_ok());
        assert!(attempts.failed(ip("::ffff:192.0.2.1"), now).is_err());
    }

    #[test]
    fn the_table_is_bounded() {
        let (attempts, now) = (Attempts::new(1, 1), Instant::now());
        let peer = |n: u32| IpAddr::V4(n.into());
        for n in 1..=10_000 {
            assert!(attempts.failed(peer(n), now).is_ok());
        }
        assert!(attempts.failed(peer(20_000), now).is_ok());
        assert!(attempts.failed(peer(20_001), now).is_err());
        assert!(attempts.full_at.lock().unwrap().len() <= MAX_ADDRESSES + 1);
        // Those that are full again make room.
        let later = now + Duration::from_secs(10);
        assert!(attempts.failed(peer(20_001), later).is_ok());
        assert!(attempts.full_at.lock().unwrap().len() < 10);
    }
}
