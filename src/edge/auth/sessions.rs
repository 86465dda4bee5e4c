//! The sessions of the console: who has logged in, in memory. A node that restarts has none.
//!
//! A session is not a credential of its own: it stands for the one that was given to log in, and ends with it.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use foldhash::fast::RandomState;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::authenticated::Authenticated;
use super::session_life::SessionLife;
use crate::engine::access::audit;
use crate::engine::clock::Clock;
use crate::model::access::{Caller, Principal};
use crate::model::error::{Error, Result, reason};

/// How many sessions a node has at most.
const MAX_SESSIONS: usize = 1_000;
/// How many sessions a principal has at most: one more ends the one that it has not used for longest.
const MAX_SESSIONS_PER_PRINCIPAL: usize = 20;
/// How many random bytes a token has.
const TOKEN_BYTES: usize = 32;

/// The hash of a token: the token itself is in the browser alone.
type TokenHash = [u8; 32];

/// The sessions of a node. Cheap to clone.
#[derive(Clone)]
pub(in crate::edge) struct Sessions(Arc<Inner>);

struct Inner {
    idle: Duration,
    lifetime: Duration,
    clock: Clock,
    table: Mutex<HashMap<TokenHash, Session, RandomState>>,
}

/// A session.
struct Session {
    /// Its caller, whose credential is that of the log-in.
    authenticated: Authenticated,
    life: Arc<SessionLife>,
    /// From where it was used last.
    peer: SocketAddr,
}

/// What the browser of a new session is told.
pub(in crate::edge) struct NewSession {
    pub(in crate::edge) token: String,
    pub(in crate::edge) max_age: Duration,
}

impl Sessions {
    /// No sessions yet. `idle` and `lifetime`: how long one lasts without a request, and at most.
    pub(in crate::edge) fn new(idle: Duration, lifetime: Duration, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            idle,
            lifetime,
            clock,
            table: Mutex::default(),
        }))
    }

    fn table(&self) -> MutexGuard<'_, HashMap<TokenHash, Session, RandomState>> {
        let table = self.0.table.lock();
        table.unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the session of a caller.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `SESSION_LIMIT`; `INTERNAL` / `RANDOM_FAILED`.
    pub(in crate::edge) fn begin(
        &self,
        authenticated: Authenticated,
        peer: SocketAddr,
    ) -> Result<NewSession> {
        let token = new_token()?;
        let now = self.0.clock.now();
        let caller = authenticated.caller.clone();
        let mut table = self.table();
        table.retain(|_, session| session.is_valid(now));
        if let Some(principal) = caller.principal() {
            end_one_too_many(&mut table, principal);
        }
        if table.len() >= MAX_SESSIONS {
            let message = format!("the node has {MAX_SESSIONS} sessions, which is the limit");
            let error = Error::resource_exhausted(reason::SESSION_LIMIT, message);
            return Err(error.with_info("console_sessions", MAX_SESSIONS));
        }
        let life = SessionLife::new(now, self.0.idle, self.0.lifetime);
        let session = Session {
            authenticated,
            life: Arc::new(life),
            peer,
        };
        table.insert(hash(&token), session);
        drop(table);
        audit::session(peer, &caller, "log_in", None);
        Ok(NewSession {
            token,
            max_age: self.0.lifetime,
        })
    }

    /// Whose session a token is, which is used now. `None` where there is none, or it has ended.
    pub(in crate::edge) fn find(&self, token: &str, peer: SocketAddr) -> Option<Authenticated> {
        let (now, key) = (self.0.clock.now(), hash(token));
        let mut table = self.table();
        let session = table.get_mut(&key)?;
        if !session.is_valid(now) {
            table.remove(&key);
            return None;
        }
        session.life.touch(now);
        let is_moved = session.peer.ip() != peer.ip();
        session.peer = peer;
        let authenticated = session.authenticated.clone();
        let found = authenticated.in_session(Arc::clone(&session.life));
        drop(table);
        if is_moved {
            audit::connected(peer, &found.caller);
        }
        Some(found)
    }

    /// Ends a session, and the streams that it opened.
    pub(in crate::edge) fn end(&self, token: &str, peer: SocketAddr) {
        let ended = self.table().remove(&hash(token));
        if let Some(session) = ended {
            session.life.end();
            audit::session(peer, &session.authenticated.caller, "log_out", None);
        }
    }
}

impl Session {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.life.is_valid(now) && self.authenticated.is_valid(now)
    }

    fn is_of(&self, principal: &Principal) -> bool {
        self.authenticated.caller.principal() == Some(principal)
    }
}

/// Makes room for another session of a principal: someone whose browser forgot its cookies is not locked out.
fn end_one_too_many(table: &mut HashMap<TokenHash, Session, RandomState>, principal: &Principal) {
    let own = table.iter().filter(|(_, session)| session.is_of(principal));
    if own.clone().count() < MAX_SESSIONS_PER_PRINCIPAL {
        return;
    }
    let oldest = own.min_by_key(|(_, session)| session.life.last_use());
    let oldest = oldest.map(|(key, _)| *key);
    if let Some(session) = oldest.and_then(|key| table.remove(&key)) {
        session.life.end();
        let caller: &Caller = &session.authenticated.caller;
        let why = Some(reason::SESSION_LIMIT);
        audit::session(session.peer, caller, "log_out", why);
    }
}

fn new_token() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        let message = format!("the system gives no random bytes: {error}");
        Error::internal(reason::RANDOM_FAILED, message)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is looked up: it tells nothing about the tokens, however long a look-up takes.
fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sessions = self.table().len();
        f.debug_struct("Sessions")
            .field("sessions", &sessions)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::access::Validity;
    use crate::engine::clock::ManualClock;
    use crate::model::access::{Credential, Identity, Quota, Rights};

    fn caller(name: &str) -> (Authenticated, Arc<Validity>) {
        let validity = Arc::new(Validity::new(None));
        let caller = Caller::Authenticated(Arc::new(Identity {
            principal: Principal::known(name),
            group: None,
            rights: Rights::default(),
            quota: Quota::default(),
            credential: Credential::ApiKey("id".into()),
            peer: None,
        }));
        let authenticated = Authenticated::new(caller, Some(Arc::clone(&validity)));
        (authenticated, validity)
    }

    fn peer() -> SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    fn sessions() -> (Sessions, ManualClock) {
        let time = ManualClock::at(Timestamp::UNIX_EPOCH);
        let clock = Clock::Manual(time.clone());
        let (idle, lifetime) = (Duration::from_mins(10), Duration::from_hours(1));
        (Sessions::new(idle, lifetime, clock), time)
    }

    fn begin(sessions: &Sessions, name: &str) -> Result<String> {
        let begun = sessions.begin(caller(name).0, peer());
        begun.map(|session| session.token)
    }

    #[test]
    fn the_node_has_a_limit_and_those_that_have_ended_make_room() {
        let (sessions, time) = sessions();
        let principals = MAX_SESSIONS / MAX_SESSIONS_PER_PRINCIPAL;
        for n in 0..principals {
            for _ in 0..MAX_SESSIONS_PER_PRINCIPAL {
                begin(&sessions, &format!("p{n}")).unwrap();
            }
        }
        let error = begin(&sessions, "another").unwrap_err();
        assert_eq!(error.reason(), "SESSION_LIMIT");
        // One that is there takes the place of its oldest.
        begin(&sessions, "p0").unwrap();
        assert_eq!(sessions.table().len(), MAX_SESSIONS);
        time.advance(Duration::from_mins(10));
        begin(&sessions, "another").unwrap();
        assert_eq!(sessions.table().len(), 1);
    }

    #[test]
    fn a_token_is_kept_as_a_hash_and_shown_nowhere() {
        let (sessions, _) = sessions();
        let token = begin(&sessions, "ann").unwrap();
        assert_eq!(token.len(), 43);
        assert!(sessions.find(&token, peer()).is_some());
        assert!(sessions.find("other", peer()).is_none());
        assert!(sessions.table().contains_key(&hash(&token)));
        assert_eq!(format!("{sessions:?}"), "Sessions { sessions: 1 }");
    }

    #[test]
    fn the_end_of_its_key_is_the_end_of_a_session() {
        let (sessions, _) = sessions();
        let (ann, key) = caller("ann");
        let session = sessions.begin(ann, peer()).unwrap();
        assert!(sessions.find(&session.token, peer()).is_some());
        key.revoke();
        assert!(sessions.find(&session.token, peer()).is_none());
        assert_eq!(sessions.table().len(), 0);
    }
}
