//! The keys of a store: the first one encrypts, all of them decrypt.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::key_file::{parse, read};
use super::key_ring::KeyRing;
use crate::model::error::Result;

/// The keys of an encrypted store, shared by all clones.
///
/// A file of keys has a line for each, `ID:KEY`. The id has up to 32 letters, digits, `-`, `_` and `.`; the key is 32
/// random bytes in base64. The first key encrypts what is written, all of them decrypt. Empty lines, and those that
/// begin with `#`, are ignored. `cidery store key new` writes such a file.
///
/// ```no_run
/// use cidery::{Result, SqliteOptions, SqliteStore, StoreKeys};
///
/// # fn example() -> Result<()> {
/// let options = SqliteOptions {
///     keys: Some(StoreKeys::read("/etc/cidery/store.key")?),
///     ..SqliteOptions::default()
/// };
/// let store = SqliteStore::open_with("cidery-data", options)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoreKeys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where they were read from, and are read again.
    file: Option<PathBuf>,
    ring: ArcSwap<KeyRing>,
}

impl StoreKeys {
    /// Reads the keys of a file.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STORE_KEY_INVALID`: it cannot be read, it belongs to another user, every user can read
    /// it, or others can write it. `INVALID_ARGUMENT` / `STORE_KEY_INVALID`: some of its lines are no keys; the
    /// violations name these (`/lines/3`).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        // Absolute: the host of the node may change the current directory before it is read again.
        let path = path.as_ref();
        let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let ring = read(&file)?;
        Ok(Self::new(Some(file), ring))
    }

    /// Takes the keys from a text in the format of the file, where they come from elsewhere.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `STORE_KEY_INVALID`: some of its lines are no keys.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self::new(None, parse(text)?))
    }

    fn new(file: Option<PathBuf>, ring: KeyRing) -> Self {
        Self(Arc::new(Shared {
            file,
            ring: ArcSwap::from_pointee(ring),
        }))
    }

    /// The ids of the keys, the one that encrypts first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let ring = self.ring();
        ring.iter().map(|key| key.id().to_owned()).collect()
    }

    /// The file that the keys were read from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    pub(in crate::store) fn ring(&self) -> Guard<Arc<KeyRing>> {
        self.0.ring.load()
    }

    /// The keys as they are in the file now. Those that it has no more come last: what is in the store may need them,
    /// which is checked when it is opened.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read); `FAILED_PRECONDITION` / `STORE_KEY_INVALID`: an id has another key than before.
    pub(in crate::store) fn read_again(&self) -> Result<KeyRing> {
        let before = self.ring();
        match self.file() {
            None => Ok(KeyRing::clone(&before)),
            Some(file) => read(file)?.with_known(&before),
        }
    }

    /// Puts other keys in place of these.
    pub(in crate::store) fn replace(&self, ring: KeyRing) {
        self.0.ring.store(Arc::new(ring));
    }
}
