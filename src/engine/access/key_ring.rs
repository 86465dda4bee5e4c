//! The API keys of a node: in memory, in front of the store.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;

use super::audit;
use super::key_text::{ApiKeySecret, hash, id_of_key, is_key, parse};
use super::validity::Validity;
use crate::engine::clock::Clock;
use crate::engine::store::{SHARED_POLL_INTERVAL, SecretHash, Store, StoredApiKey};
use crate::model::access::{ApiKey, Caller, Principal, Quota, Rights};
use crate::model::error::{Error, Kind, Result, Violation, reason};

/// How many keys a node has at most, revoked and expired ones included.
const MAX_KEYS: usize = 10_000;

/// The keys by their id. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing(Arc<Inner>);

struct Inner {
    keys: ArcSwap<Keys>,
    store: Arc<dyn Store>,
    clock: Clock,
    /// One change at a time.
    changes: Mutex<()>,
}

type Keys = HashMap<Arc<str>, Arc<Entry>, RandomState>;

/// A key in the ring.
struct Entry {
    key: ApiKey,
    secret_hash: SecretHash,
    caller: Caller,
    validity: Arc<Validity>,
}

/// What a new key is for.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// The principal that it authenticates.
    pub principal: Principal,
    /// The group of the principal, if it has one.
    pub group: Option<Principal>,
    /// What it allows.
    pub rights: Rights,
    /// What it allows its principal to use, in place of what the node allows each principal.
    pub quota: Quota,
    /// How long it is valid; `None`: for ever.
    pub ttl: Option<Duration>,
    /// Who makes it; `None` on the data directory.
    pub created_by: Option<Principal>,
}

/// A key in a list.
#[derive(Clone, Debug)]
pub struct ListedKey {
    /// The key.
    pub key: ApiKey,
    /// When it was last used, to the minute, since the node started.
    pub last_use: Option<Timestamp>,
}

/// What a credential turned out to be.
#[derive(Clone, Debug)]
pub enum Presented {
    /// No API key.
    Other,
    /// A valid key.
    Valid(ValidKey),
    /// A key that is refused, with its id where the node knows it.
    Refused(Error, Option<Arc<str>>),
}

/// A valid key.
#[derive(Clone, Debug)]
pub struct ValidKey {
    /// Who it proves to be.
    pub caller: Caller,
    pub(crate) validity: Arc<Validity>,
}

impl Entry {
    fn new(stored: StoredApiKey) -> Arc<Self> {
        let validity = Validity::new(stored.key.expire_time);
        if stored.key.revoke_time.is_some() {
            validity.revoke();
        }
        Arc::new(Self {
            caller: Caller::Authenticated(Arc::new(stored.key.identity())),
            key: stored.key,
            secret_hash: stored.secret_hash,
            validity: Arc::new(validity),
        })
    }
}

impl KeyRing {
    /// Reads the keys of a store.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub async fn load(store: Arc<dyn Store>, clock: Clock) -> Result<Self> {
        let entries = store.api_keys().await?.into_iter().map(Entry::new);
        let keys: Keys = entries
            .map(|entry| (Arc::clone(&entry.key.id), entry))
            .collect();
        Ok(Self(Arc::new(Inner {
            keys: ArcSwap::from_pointee(keys),
            store,
            clock,
            changes: Mutex::default(),
        })))
    }

    /// Reads the keys of a shared store again and again. Never returns.
    pub(crate) async fn follow_shared(&self) -> Infallible {
        loop {
            self.0.clock.pause(SHARED_POLL_INTERVAL).await;
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "cannot read which API keys other nodes made or revoked");
            }
        }
    }

    /// Reads the keys again that other nodes of a shared store may have made or revoked. A key that was revoked ends
    /// all that was opened with it here.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub async fn refresh(&self) -> Result<()> {
        let _one = self.0.changes.lock().await;
        let known = self.0.keys.load_full();
        let mut keys = Keys::clone(&known);
        for stored in self.0.store.api_keys().await? {
            match known.get(&stored.key.id) {
                Some(entry) if entry.key == stored.key => {}
                Some(entry) => {
                    let entry = entry.with_key(stored.key);
                    if entry.key.revoke_time.is_some() {
                        entry.validity.revoke();
                    }
                    keys.insert(Arc::clone(&entry.key.id), entry);
                }
                None => {
                    let entry = Entry::new(stored);
                    keys.insert(Arc::clone(&entry.key.id), entry);
                }
            }
        }
        self.0.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Whether there are no keys, and never were.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.keys.load().is_empty()
    }

    /// Looks at a credential. Takes about a microsecond, whatever it is.
    #[must_use]
    pub fn present(&self, credential: &str) -> Presented {
        if !is_key(credential) {
            return Presented::Other;
        }
        let keys = self.0.keys.load();
        let Some((id, secret)) = parse(credential) else {
            return Presented::Refused(unknown(), None);
        };
        let Some(entry) = keys.get(id) else {
            return Presented::Refused(unknown(), None);
        };
        let is_right = hash(secret).0.ct_eq(&entry.secret_hash.0);
        let id = &entry.key.id;
        // What follows is said to those who have the secret.
        let error = if !bool::from(is_right) {
            unknown()
        } else if entry.validity.is_revoked() {
            refused(format!("the API key `{id}` was revoked"))
        } else if entry.validity.has_expired(self.0.clock.now()) {
            refused(format!("the API key `{id}` has expired"))
        } else {
            return Presented::Valid(ValidKey {
                caller: entry.caller.clone(),
                validity: Arc::clone(&entry.validity),
            });
        };
        Presented::Refused(error, Some(Arc::clone(id)))
    }

    /// Makes a key, and stores it. Returns it and its secret, which is kept nowhere.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `API_KEY_LIMIT` above 10 000 keys; `INVALID_ARGUMENT` / `REQUEST_INVALID` for a time to
    /// live of centuries; the errors of the store.
    pub async fn create(&self, new: NewApiKey) -> Result<(ApiKey, ApiKeySecret)> {
        let _one = self.0.changes.lock().await;
        if self.0.keys.load().len() >= MAX_KEYS {
            let message = format!(
                "the node has {MAX_KEYS} API keys, revoked and expired ones included, which is the limit"
            );
            let error = Error::resource_exhausted(reason::API_KEY_LIMIT, message);
            return Err(error.with_retryable(false).with_info("api_keys", MAX_KEYS));
        }
        let (secret, id, secret_hash) = ApiKeySecret::generate()?;
        let create_time = self.0.clock.now();
        let key = ApiKey {
            id: id.into(),
            principal: new.principal,
            group: new.group,
            rights: new.rights,
            quota: new.quota,
            create_time,
            created_by: new.created_by,
            expire_time: new.ttl.map(|ttl| end_of(create_time, ttl)).transpose()?,
            revoke_time: None,
        };
        self.save(Entry::new(StoredApiKey {
            key: key.clone(),
            secret_hash,
        }))
        .await?;
        Ok((key, secret))
    }

    /// Revokes the key with an id, or the key itself, and ends all that was opened with it. A revoked one stays as it
    /// is.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `API_KEY_UNKNOWN`; the errors of the store.
    pub async fn revoke(&self, id: &str) -> Result<ListedKey> {
        let _one = self.0.changes.lock().await;
        let known = self.0.keys.load().get(id_of_key(id).unwrap_or(id)).cloned();
        let Some(known) = known else {
            let message = "no API key of this node has this id, or is this key: `cidery key list` shows the keys";
            return Err(Error::not_found(reason::API_KEY_UNKNOWN, message));
        };
        if known.key.revoke_time.is_some() {
            return Ok(known.listed());
        }
        let revoked = known.with_key(ApiKey {
            revoke_time: Some(self.0.clock.now()),
            ..known.key.clone()
        });
        self.save(Arc::clone(&revoked)).await?;
        revoked.validity.revoke();
        Ok(revoked.listed())
    }

    /// Stores a key, then puts it into the ring.
    async fn save(&self, entry: Arc<Entry>) -> Result<()> {
        let stored = StoredApiKey {
            key: entry.key.clone(),
            secret_hash: entry.secret_hash,
        };
        self.0.store.save_api_key(stored).await?;
        let mut keys = Keys::clone(&self.0.keys.load());
        keys.insert(Arc::clone(&entry.key.id), entry);
        self.0.keys.store(Arc::new(keys));
        Ok(())
    }

    /// All keys, by principal, time and id.
    #[must_use]
    pub fn list(&self) -> Vec<ListedKey> {
        let keys = self.0.keys.load();
        let mut listed: Vec<_> = keys.values().map(|entry| entry.listed()).collect();
        listed.sort_by(|a, b| a.place().cmp(&b.place()));
        listed
    }

    /// The clock by which keys expire.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Notes that a credential was used, and writes its first use to the audit log.
    pub(crate) fn note_use(caller: &Caller, validity: &Validity, now: Timestamp) {
        if validity.note_use(now) {
            audit::first_use(caller);
        }
    }
}

impl ListedKey {
    /// Its place in a list.
    fn place(&self) -> (&Principal, Timestamp, &str) {
        let key = &self.key;
        (&key.principal, key.create_time, &key.id)
    }
}

impl ListedKey {
    /// Whether it is neither revoked nor expired at a time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        let has_expired = self.key.expire_time.is_some_and(|end| end <= now);
        self.key.revoke_time.is_none() && !has_expired
    }
}

impl Entry {
    /// The same key, in another state.
    fn with_key(&self, key: ApiKey) -> Arc<Self> {
        Arc::new(Self {
            key,
            secret_hash: self.secret_hash,
            caller: self.caller.clone(),
            validity: Arc::clone(&self.validity),
        })
    }

    fn listed(&self) -> ListedKey {
        ListedKey {
            key: self.key.clone(),
            last_use: self.validity.last_use(),
        }
    }
}

/// When a key expires that is made now.
fn end_of(now: Timestamp, ttl: Duration) -> Result<Timestamp> {
    let end = now.checked_add(ttl).ok().filter(|end| *end > now);
    end.ok_or_else(|| {
        let message = "is not longer than zero, and at most some thousand years";
        let violation = Violation::new("/ttl", "OUT_OF_RANGE", message);
        Error::violations(reason::REQUEST_INVALID, vec![violation])
    })
}

fn unknown() -> Error {
    refused("the API key is not one of this node's".to_owned())
}

fn refused(message: String) -> Error {
    Error::new(Kind::Unauthenticated, reason::CREDENTIAL_INVALID, message)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.keys.load().len();
        f.debug_struct("KeyRing").field("keys", &keys).finish()
    }
}
