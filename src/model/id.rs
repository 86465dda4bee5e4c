//! Names: parsed once, then carried as types.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::model::error::{Error, Result, reason};

/// A Correlation ID: names one invocation.
///
/// A UUID (RFC 9562) in canonical lower case, version 7 when the node makes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cid(Uuid);

impl Cid {
    /// Makes a new one, from the time and random bits.
    #[expect(
        clippy::new_without_default,
        reason = "a default that is random would surprise"
    )]
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The CID of a member of a group that nobody brought one for: always the same, so that a group which is said again
    /// is answered with the same members, whatever has become of them. It has the time of the group's, and is of the
    /// group's version; of version 8 (RFC 9562, section 5.8) where that is not 7.
    #[must_use]
    pub fn of_member(group: Self, position: u32) -> Self {
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

    /// Parses the canonical form.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CID_INVALID` for anything else, upper case and braces included: two spellings of one CID
    /// would look like two CIDs to those who compare them as text.
    pub fn parse(text: &str) -> Result<Self> {
        let uuid = Uuid::try_parse(text)
            .ok()
            .filter(|uuid| !uuid.is_nil())
            .filter(|uuid| uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text);
        uuid.map(Self).ok_or_else(|| {
            Error::invalid_argument(
                reason::CID_INVALID,
                format!(
                    "`{}` is not a CID: a UUID in lower case with hyphens",
                    shortened(text)
                ),
            )
        })
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

impl FromStr for Cid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// The name of a service: dot-separated segments of `[A-Za-z0-9_-]+`, at most 255 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Parses a name.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` where it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let segment = |s: &str| {
            !s.is_empty()
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if text.len() <= Self::MAX_BYTES && text.split('.').all(segment) {
            return Ok(Self(text.into()));
        }
        Err(Error::invalid_argument(
            reason::REQUEST_INVALID,
            format!(
                "`{}` is not a service name: dot-separated segments of letters, digits, `_` and `-`, \
                 at most {} bytes",
                shortened(text),
                Self::MAX_BYTES,
            ),
        ))
    }

    /// The name of no service: what a group has. Nobody can ask for it.
    #[must_use]
    pub fn none() -> Self {
        Self("".into())
    }

    /// Whether it is that of no service.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// A name that was stored: that of a service, or of none.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse).
    pub fn of_record(text: &str) -> Result<Self> {
        match text.is_empty() {
            true => Ok(Self::none()),
            false => Self::parse(text),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names as text, for what carries text.
#[must_use]
pub fn texts(names: &[ServiceName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for ServiceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// What a caller sent, cut to a length that fits into an error message.
#[must_use]
pub fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cid_has_one_spelling() {
        let cid = Cid::new();
        assert_eq!(Cid::parse(&cid.to_string()).unwrap(), cid);
        for bad in [
            "",
            "x",
            "0190F5A2-7B3C-7DEF-8123-456789ABCDEF",
            "{0190f5a2-7b3c-7def-8123-456789abcdef}",
            "0190f5a27b3c7def8123456789abcdef",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert_eq!(
                Cid::parse(bad).unwrap_err().reason(),
                "CID_INVALID",
                "{bad}"
            );
        }
    }

    #[test]
    fn cids_made_later_sort_later() {
        let cids: Vec<Cid> = (0..1_000).map(|_| Cid::new()).collect();
        assert!(cids.is_sorted());
    }

    #[test]
    fn names_are_segments_between_dots() {
        for good in ["a", "customer.get", "invoking.my-service2", "A_b.c-D.9"] {
            assert_eq!(ServiceName::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(256);
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "ä", "a/b", &long] {
            assert!(ServiceName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn members_of_groups_have_cids_of_their_own() {
        let group = Cid::new();
        let of = |position| Cid::of_member(group, position);
        assert_eq!(of(1), of(1));
        assert!(of(0) != of(1) && Cid::of_member(Cid::new(), 1) != of(1));
        assert_eq!(Cid::parse(&of(1).to_string()).unwrap(), of(1));
        assert_eq!(of(1).to_string().get(14..15), Some("7"));
        let random = Cid::parse("9a3b2c1d-4e5f-4a6b-8c7d-0123456789ab").unwrap();
        let derived = Cid::of_member(random, 1).to_string();
        assert_eq!(derived.get(14..15), Some("8"));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("ä"), "ä");
        assert_eq!(shortened(&"ä".repeat(200)).chars().count(), 81);
    }
}
