//! Timestamps and durations, with the rules of `google/protobuf/timestamp.proto` and `duration.proto`.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::error::{Error, Result, Violation, reason};

/// The years 1 to 9999.
const TIMESTAMP_SECONDS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10 000 years.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;
const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// Converts an instant to the contract's form. Nanoseconds count forward, before 1970 as well.
#[must_use]
pub fn timestamp_to_proto(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    match nanos < 0 {
        true => prost_types::Timestamp {
            seconds: seconds - 1,
            nanos: nanos + NANOS_PER_SECOND,
        },
        false => prost_types::Timestamp { seconds, nanos },
    }
}

/// Converts an instant of a request; `None` where it is malformed, or outside the range of a [`Timestamp`], which ends
/// at 9999-12-30T22:00:00Z.
#[must_use]
pub fn timestamp_from_proto(time: &prost_types::Timestamp) -> Option<Timestamp> {
    let is_valid =
        TIMESTAMP_SECONDS.contains(&time.seconds) && (0..NANOS_PER_SECOND).contains(&time.nanos);
    is_valid
        .then(|| Timestamp::new(time.seconds, time.nanos).ok())
        .flatten()
}

/// Converts an optional instant of a request. `field` is the path of a violation.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` outside the range of a [`Timestamp`].
pub fn optional_timestamp_from_proto(
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>> {
    time.map(|time| {
        timestamp_from_proto(&time).ok_or_else(|| {
            let violation = Violation::new(field, "OUT_OF_RANGE", "is not a valid timestamp");
            Error::violations(reason::REQUEST_INVALID, vec![violation])
        })
    })
    .transpose()
}

/// Converts a duration to the contract's form. A longer one becomes the longest that it can represent.
#[must_use]
pub fn duration_to_proto(duration: Duration) -> prost_types::Duration {
    let converted = prost_types::Duration::try_from(duration).ok();
    converted
        .filter(|duration| duration.seconds < MAX_DURATION_SECONDS)
        .unwrap_or(prost_types::Duration {
            seconds: MAX_DURATION_SECONDS,
            nanos: 0,
        })
}

/// Converts an optional duration of a request. `field` is the path of a violation.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a negative or malformed duration.
pub fn duration_from_proto(
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Result<Option<Duration>> {
    duration
        .map(|duration| {
            non_negative(duration).map_err(|(code, message)| {
                let violation = Violation::new(field, code, message);
                Error::violations(reason::REQUEST_INVALID, vec![violation])
            })
        })
        .transpose()
}

/// The duration; the code and message of a violation if it is not valid.
fn non_negative(
    duration: prost_types::Duration,
) -> std::result::Result<Duration, (&'static str, &'static str)> {
    let prost_types::Duration { seconds, nanos } = duration;
    let limit = u64::try_from(MAX_DURATION_SECONDS).unwrap_or_default();
    let has_one_sign = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    let is_valid = seconds.unsigned_abs() <= limit
        && nanos.unsigned_abs() < NANOS_PER_SECOND.unsigned_abs()
        && has_one_sign;
    if !is_valid {
        return Err((
            "OUT_OF_RANGE",
            "is not a valid duration: at most 315576000000 seconds, and less than 1000000000 nanoseconds of the same \
             sign",
        ));
    }
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err(("NEGATIVE", "a duration is not negative")),
    }
}

/// Converts an optional duration of a failure: one that is not valid is ignored, the failure is not.
pub(super) fn lenient_duration_from_proto(
    duration: Option<prost_types::Duration>,
) -> Option<Duration> {
    duration.and_then(|duration| non_negative(duration).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proto(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    #[test]
    fn timestamps_before_1970_count_forward() {
        for (text, expected) in [
            ("1969-12-31T23:59:58.5Z", proto(-2, 500_000_000)),
            ("1969-12-31T23:59:59.999999999Z", proto(-1, 999_999_999)),
            ("1969-12-31T23:59:58Z", proto(-2, 0)),
            ("1970-01-01T00:00:00.25Z", proto(0, 250_000_000)),
            ("0001-01-01T00:00:00Z", proto(*TIMESTAMP_SECONDS.start(), 0)),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(timestamp_to_proto(time), expected, "{text}");
            assert_eq!(timestamp_from_proto(&expected), Some(time), "{text}");
        }
    }

    #[test]
    fn malformed_timestamps_are_refused() {
        for time in [
            proto(0, -1),
            proto(0, NANOS_PER_SECOND),
            proto(-2, -500_000_000),
            proto(0, i32::MIN),
            proto(TIMESTAMP_SECONDS.start() - 1, 999_999_999),
            proto(TIMESTAMP_SECONDS.end() + 1, 0),
            proto(i64::MAX, 0),
        ] {
            assert_eq!(timestamp_from_proto(&time), None, "{time:?}");
        }
    }

    #[test]
    fn malformed_durations_are_refused() {
        let code_of = |seconds, nanos| {
            let duration = prost_types::Duration { seconds, nanos };
            match duration_from_proto("/timeout", Some(duration)) {
                Ok(duration) => Ok(duration.unwrap()),
                Err(error) => Err(error.field_violations()[0].code.to_string()),
            }
        };
        let max = MAX_DURATION_SECONDS;
        assert_eq!(code_of(1, 999_999_999), Ok(Duration::new(1, 999_999_999)));
        assert_eq!(code_of(max, 0), Ok(Duration::from_secs(315_576_000_000)));
        for (seconds, nanos) in [(-1, 0), (0, -1), (-1, -999_999_999), (-max, 0)] {
            let code = code_of(seconds, nanos).unwrap_err();
            assert_eq!(code, "NEGATIVE", "{seconds} {nanos}");
        }
        for (seconds, nanos) in [
            (0, NANOS_PER_SECOND),
            (0, -NANOS_PER_SECOND),
            (1, -1),
            (-1, 1),
            (max + 1, 0),
            (i64::MIN, i32::MIN),
        ] {
            let code = code_of(seconds, nanos).unwrap_err();
            assert_eq!(code, "OUT_OF_RANGE", "{seconds} {nanos}");
        }
    }

    #[test]
    fn the_longest_duration_is_valid() {
        let longest = duration_to_proto(Duration::MAX);
        assert_eq!(longest.seconds, MAX_DURATION_SECONDS);
        assert!(duration_from_proto("/timeout", Some(longest)).is_ok());
    }
}
