//! `Timestamp` and `Duration` as text.

use jiff::Timestamp;

use super::scalar::{VARINT, write_tag, wrong_type};
use crate::codec::struct_pb::{Malformed, WireField, WireReader, WireWriter};
use crate::model::error::Violation;
use crate::model::value::Value;

pub(super) const ANY: &str = "google.protobuf.Any";
pub(super) const DURATION: &str = "google.protobuf.Duration";
pub(super) const LIST_VALUE: &str = "google.protobuf.ListValue";
pub(super) const STRUCT: &str = "google.protobuf.Struct";
pub(super) const TIMESTAMP: &str = "google.protobuf.Timestamp";
pub(super) const VALUE: &str = "google.protobuf.Value";

const NANOS: u32 = 1_000_000_000;
/// The longest `Duration`: 10 000 years.
const MAX_SECONDS: i64 = 315_576_000_000;
/// The seconds of the years 1 to 9999, which a `Timestamp` holds.
const INSTANTS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Writes the text of an instant as a `Timestamp`.
pub(super) fn write_timestamp(out: &mut WireWriter, value: &Value) -> Result<(), Violation> {
    let form = "an instant such as \"2026-01-31T12:30:00Z\"";
    let text = value.as_text().ok_or_else(|| wrong_type(value, form))?;
    let instant: Timestamp = text
        .parse()
        .map_err(|_| Violation::new("", "MALFORMED", format!("is not {form}")))?;
    // Nanoseconds count from the second before.
    let nanos = instant.subsec_nanosecond();
    let (seconds, nanos) = match nanos {
        0.. => (instant.as_second(), nanos),
        _ => (instant.as_second() - 1, nanos + NANOS.cast_signed()),
    };
    if !INSTANTS.contains(&seconds) {
        let message = "is not in the years 1 to 9999";
        return Err(Violation::new("", "OUT_OF_RANGE", message));
    }
    write_seconds(out, seconds, nanos);
    Ok(())
}

/// Writes the text of a duration as a `Duration`.
pub(super) fn write_duration(out: &mut WireWriter, value: &Value) -> Result<(), Violation> {
    let form = "a duration in seconds such as \"1.5s\"";
    let text = value.as_text().ok_or_else(|| wrong_type(value, form))?;
    let (seconds, nanos) =
        duration(text).ok_or_else(|| Violation::new("", "MALFORMED", format!("is not {form}")))?;
    if !(-MAX_SECONDS..=MAX_SECONDS).contains(&seconds) {
        let message = "is longer than 10 000 years";
        return Err(Violation::new("", "OUT_OF_RANGE", message));
    }
    write_seconds(out, seconds, nanos);
    Ok(())
}

fn duration(text: &str) -> Option<(i64, i32)> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_suffix('s')?;
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    Some((i64::from(sign) * seconds, sign * nanos))
}

fn write_seconds(out: &mut WireWriter, seconds: i64, nanos: i32) {
    for (number, n) in [(2, i64::from(nanos)), (1, seconds)] {
        if n != 0 {
            out.varint(n.cast_unsigned());
            write_tag(out, number, VARINT);
        }
    }
}

/// The text of an encoded `Timestamp`.
pub(super) fn timestamp_text(bytes: &[u8]) -> Result<String, Malformed> {
    let (seconds, nanos) = read_seconds(bytes)?;
    let instant = u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < NANOS && INSTANTS.contains(&seconds))
        .and_then(|_| Timestamp::new(seconds, nanos).ok())
        .ok_or(Malformed("is not an instant"))?;
    Ok(match nanos.unsigned_abs() {
        0 => format!("{instant:.0}"),
        nanos => format!("{instant:.0$}", fraction_digits(nanos)),
    })
}

/// The text of an encoded `Duration`.
pub(super) fn duration_text(bytes: &[u8]) -> Result<String, Malformed> {
    let (seconds, nanos) = read_seconds(bytes)?;
    let fraction = nanos.unsigned_abs();
    let is_one_sign = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    if !is_one_sign || fraction >= NANOS {
        return Err(Malformed("is not a duration"));
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let whole = seconds.unsigned_abs();
    if fraction == 0 {
        return Ok(format!("{sign}{whole}s"));
    }
    let digits = fraction_digits(fraction);
    let fraction = format!("{fraction:09}");
    let fraction = fraction.get(..digits).unwrap_or_default();
    Ok(format!("{sign}{whole}.{fraction}s"))
}

/// Fractions of seconds have 3, 6 or 9 digits.
fn fraction_digits(nanos: u32) -> usize {
    match nanos {
        nanos if nanos.is_multiple_of(1_000_000) => 3,
        nanos if nanos.is_multiple_of(1_000) => 6,
        _ => 9,
    }
}

/// The seconds and nanoseconds, which are fields 1 and 2 of both messages.
fn read_seconds(bytes: &[u8]) -> Result<(i64, i32), Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = WireReader::new(bytes);
    while let Some((number, content)) = reader.field()? {
        match (number, content) {
            (1, WireField::Varint(n)) => seconds = n.cast_signed(),
            (2, WireField::Varint(n)) => nanos = n.cast_signed(),
            _ => {}
        }
    }
    let nanos = i32::try_from(nanos).map_err(|_| Malformed("has too many nanoseconds"))?;
    Ok((seconds, nanos))
}
