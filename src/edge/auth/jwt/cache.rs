//! Tokens that were verified: a call with one of them costs a hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::edge::auth::authenticated::Authenticated;
use crate::engine::access::ValidityGroup;

/// How many tokens a generation has, at most.
const GENERATION: usize = 5_000;

/// Verified tokens by their SHA-256. There are two generations: what is used in the older one moves to the newer one,
/// and what is not is forgotten once the newer one is full.
#[derive(Debug, Default)]
pub(super) struct TokenCache(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    newer: Generation,
    older: Generation,
    /// All tokens that were verified with the keys of now, also those that were forgotten.
    group: Arc<ValidityGroup>,
}

type Generation = HashMap<TokenHash, Authenticated, RandomState>;

/// The SHA-256 of a token, which cannot be used in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl TokenCache {
    /// Whom a token proves, if it was verified before and is valid still.
    pub(super) fn get(&self, token: TokenHash, now: Timestamp) -> Option<Authenticated> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match generations.newer.get(&token) {
            Some(found) => found.clone(),
            None => {
                let found = generations.older.remove(&token)?;
                generations.insert(token, found.clone());
                found
            }
        };
        found.is_valid(now).then_some(found)
    }

    /// Remembers a token that was verified.
    pub(super) fn insert(&self, token: TokenHash, authenticated: Authenticated) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(token, authenticated);
    }

    /// The group of tokens that are verified with the keys of now. Taken before the keys are: a token that was verified
    /// with others has ended.
    pub(super) fn group(&self) -> Arc<ValidityGroup> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&generations.group)
    }

    /// Forgets and ends all tokens, also those that are in use and were forgotten: the keys of their issuer have
    /// changed.
    pub(super) fn revoke_all(&self) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *generations);
        before.group.end();
    }
}

impl Generations {
    fn insert(&mut self, token: TokenHash, authenticated: Authenticated) {
        if self.newer.len() >= GENERATION {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(token, authenticated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::Caller;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let (cache, now) = (TokenCache::default(), Timestamp::UNIX_EPOCH);
        let token = |n: usize| TokenHash::of(&n.to_string());
        let used = token(0);
        for n in 0..4 * GENERATION {
            cache.insert(token(n), Authenticated::for_ever(Caller::Unauthenticated));
            assert!(cache.get(used, now).is_some(), "{n}");
        }
        assert!(cache.get(token(1), now).is_none());
        let generations = cache.0.lock().unwrap();
        assert!(generations.newer.len() + generations.older.len() <= 2 * GENERATION);
    }

    /// A stream holds its token for as long as it is open, however many others come meanwhile.
    #[test]
    fn tokens_that_were_forgotten_end_with_the_others() {
        let (cache, now) = (TokenCache::default(), Timestamp::UNIX_EPOCH);
        let token = |n: usize| TokenHash::of(&n.to_string());
        let verified = || {
            let expire_time = Timestamp::MAX;
            Authenticated::until(Caller::Unauthenticated, expire_time, cache.group())
        };
        let streaming = verified();
        for n in 0..3 * GENERATION {
            cache.insert(token(n), verified());
        }
        assert!(cache.get(token(0), now).is_none() && streaming.is_valid(now));
        cache.revoke_all();
        assert!(!streaming.is_valid(now) && verified().is_valid(now));
    }
}
