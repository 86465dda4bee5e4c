//! The Correlation ID (CID): a UUID that names one invocation.

use std::fmt;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A Correlation ID: the identifier of one invocation.
///
/// A UUID (RFC 9562) in canonical lower case, version 7 when the node generates it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cid(Uuid);

impl Cid {
    /// Generates a new CID from the time and random bits.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default that differs each time would surprise"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// Derives the CID of a group member for which the caller chose none. It is deterministic, so that a retried batch
    /// returns the same members, even after they were removed. It has the timestamp and the version of the
    /// group's CID, or version 8 (RFC 9562, section 5.8) where the latter is not 7.
    #[must_use]
    pub fn derive_member(group: Self, position: u32) -> Self {
        let digest = Sha256::new()
            .chain_update(group.as_bytes())
            .chain_update(position.to_be_bytes())
            .finalize();
        let mut bytes = *group.as_bytes();
        for (byte, derived) in bytes.iter_mut().skip(6).zip(digest) {
            *byte = derived;
        }
        let version = match group.0.get_version_num() {
            7 => uuid::Version::SortRand,
            _ => uuid::Version::Custom,
        };
        let builder = uuid::Builder::from_bytes(bytes).with_version(version);
        Self(builder.with_variant(uuid::Variant::RFC4122).into_uuid())
    }

    /// Derives the CID of a retry that an operation makes. It is deterministic, so that a retry which is repeated after
    /// a crash is the one that was accepted before. It has the time at which the operation started, in milliseconds, so
    /// that CIDs still sort about as they were accepted.
    #[must_use]
    pub fn derive_retry(operation: &[u8; 16], start_millis: u64, retried: Self) -> Self {
        let digest = Sha256::new()
            .chain_update(operation)
            .chain_update(retried.as_bytes())
            .finalize();
        let mut bytes = [0; 16];
        let time = start_millis.to_be_bytes().into_iter().skip(2);
        for (byte, derived) in bytes.iter_mut().zip(time.chain(digest)) {
            *byte = derived;
        }
        let builder = uuid::Builder::from_bytes(bytes).with_version(uuid::Version::SortRand);
        Self(builder.with_variant(uuid::Variant::RFC4122).into_uuid())
    }

    /// Reads the canonical form; `None` for anything else, upper case, braces and the nil UUID included.
    #[must_use]
    pub fn from_canonical(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text)
            .ok()
            .filter(|uuid| !uuid.is_nil())
            .filter(|uuid| uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text);
        uuid.map(Self)
    }

    /// The sixteen bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The CID with these sixteen bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Writes the canonical form into `buffer`.
    pub fn encode<'a>(&self, buffer: &'a mut [u8; 36]) -> &'a str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.encode(&mut [0; 36]))
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_cids_sort_after_older_ones() {
        let cids: Vec<Cid> = (0..1_000).map(|_| Cid::new()).collect();
        assert!(cids.is_sorted());
    }

    #[test]
    fn member_cids_are_derived_and_unique() {
        let group = Cid::new();
        let of = |position| Cid::derive_member(group, position);
        assert_eq!(of(1), of(1));
        assert!(of(0) != of(1) && Cid::derive_member(Cid::new(), 1) != of(1));
        assert_eq!(Cid::from_canonical(&of(1).to_string()), Some(of(1)));
        assert_eq!(of(1).to_string().get(14..15), Some("7"));
        let random = Cid::from_canonical("9a3b2c1d-4e5f-4a6b-8c7d-0123456789ab").unwrap();
        let derived = Cid::derive_member(random, 1).to_string();
        assert_eq!(derived.get(14..15), Some("8"));
    }

    #[test]
    fn the_cids_of_retries_are_derived_and_sort_by_time() {
        let (operation, retried) = ([7; 16], Cid::new());
        let of = |millis| Cid::derive_retry(&operation, millis, retried);
        assert_eq!(of(1), of(1));
        assert!(of(1) < of(2) && of(2) < Cid::new());
        assert_eq!(
            of(0x0190_f5a2_7b3c).to_string().get(..15),
            Some("0190f5a2-7b3c-7")
        );
        assert_eq!(Cid::from_canonical(&of(1).to_string()), Some(of(1)));
        let others = [
            Cid::derive_retry(&[8; 16], 1, retried),
            Cid::derive_retry(&operation, 1, Cid::new()),
        ];
        assert!(!others.contains(&of(1)));
    }
}
