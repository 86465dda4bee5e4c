//! Durations and sizes as text with units, `30s` and `16MiB`, as options and files of configuration have them.
//!
//! [`DurationText`] and [`SizeText`] are how fields of settings are read, written and described:
//! `#[serde(with = "…")]`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize as _, Deserializer, Serializer};

/// The longest duration: clocks and timers add it to the current time.
const MAX_DURATION: Duration = Duration::from_hours(876_000);

/// The units of sizes, and their powers of two.
const SIZE_UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// The units of durations that are written, in nanoseconds.
const DURATION_UNITS: [(&str, u128); 7] = [
    ("d", 24 * 3_600 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Parses a duration: `500ms`, `2s`, `1m 30s`, `1h`, `7d`, `2w`. A day has 24 hours.
///
/// # Errors
///
/// What to write instead.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| "use a number and a unit, such as `500ms`, `2s`, `5m`, `1h` or `7d`")?;
    let duration = Duration::try_from(parsed);
    let duration = duration.map_err(|_| "a duration must not be negative")?;
    match duration <= MAX_DURATION {
        true => Ok(duration),
        false => Err("a duration is at most 876000h (100 years)".to_owned()),
    }
}

/// Writes a duration so that [`duration`] reads it: in the largest unit of which it is a multiple, `30s`, `14d`. One
/// day is `24h`, as people say it.
#[must_use]
pub(crate) fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let is_whole = |(name, unit): &&(&str, u128)| {
        let fits = nanos.is_multiple_of(*unit);
        fits && nanos >= *unit && (*name != "d" || nanos > *unit)
    };
    match DURATION_UNITS.iter().find(is_whole) {
        Some((name, unit)) => format!("{}{name}", nanos / unit),
        None => "0s".to_owned(),
    }
}

/// Parses a size: `1048576`, `64MiB`, `1GiB`; `64M` and `1G` are the same, as in units of systemd.
///
/// # Errors
///
/// What to write instead.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => {
            return Err(
                "use a number of bytes, or one with `K`, `M`, `G` or `T` (or `KiB`, `MiB`, `GiB`, `TiB`)"
                    .to_owned(),
            );
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a size must start with a whole number".to_owned())?;
    let bytes = u128::from(number) << shift;
    u64::try_from(bytes).map_err(|_| "the size does not fit into 64 bits".to_owned())
}

/// Writes a size so that [`bytes`] reads it: in the largest unit of which it is a multiple, `16MiB`, `1000`.
#[must_use]
pub(crate) fn bytes_text(bytes: u64) -> String {
    let is_whole = |(_, shift): &&(&str, u32)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match SIZE_UNITS.iter().find(is_whole) {
        Some((name, shift)) => format!("{}{name}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// A [`Duration`] as text, see [`duration`].
#[derive(Debug)]
pub(crate) struct DurationText;

impl DurationText {
    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&duration_text(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        duration(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^ *([0-9]+([.][0-9]+)? *[a-z]+,? *)+$",
            "x-unit": "duration"
        })
    }
}

/// A number of bytes as text or as a number, see [`bytes`].
#[derive(Debug)]
pub(crate) struct SizeText;

impl SizeText {
    pub(crate) fn serialize<T: Copy + TryInto<u64>, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&bytes_text((*value).try_into().unwrap_or(u64::MAX)))
    }

    pub(crate) fn deserialize<'de, T: TryFrom<u64>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let bytes = from.deserialize_any(SizeVisitor)?;
        T::try_from(bytes).map_err(|_| D::Error::custom("is too large for this machine"))
    }
}

impl JsonSchema for SizeText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+(B|[KMGT](iB)?)?$",
            "x-unit": "size"
        })
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as `16MiB`, or a number of bytes")
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<u64, E> {
        u64::try_from(value).map_err(|_| E::custom("a size must not be negative"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<u64, E> {
        bytes(value).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed() {
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("64M"), Ok(64 << 20));
        for wrong in ["", "MiB", "1.5GiB", "1MB", "-1", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_parsed() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1w 2d"), Ok(Duration::from_hours(9 * 24)));
        assert!(duration("-1s").is_err());
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(duration("1mo").is_err());
        assert!(duration("5").is_err());
        assert!(duration("876000h").is_ok());
        assert!(duration("9223372036854775807s").is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "0s", "1ns", "1500us", "2s", "90s", "15m", "24h", "36h", "14d",
        ] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        for text in [
            "0", "1", "1000", "64KiB", "1536KiB", "16MiB", "64GiB", "3TiB",
        ] {
            assert_eq!(bytes_text(bytes(text).unwrap()), text);
        }
    }
}
