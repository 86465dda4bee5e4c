//! Timestamps and durations.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::error::{Error, Result, Violation, reason};

/// Converts an instant to the contract's form.
#[must_use]
pub fn timestamp_to_proto(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    }
}

/// Converts an instant of a request; `None` outside the range of a [`Timestamp`].
#[must_use]
pub fn timestamp_from_proto(time: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// Converts an optional instant of a request. `field` is the path of a violation.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` outside the range of a [`Timestamp`].
pub(super) fn optional_timestamp_from_proto(
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

/// Converts a duration to the contract's form.
#[must_use]
pub fn duration_to_proto(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}

/// Converts an optional duration of a request. `field` is the path of a violation.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a negative duration.
pub fn duration_from_proto(
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Result<Option<Duration>> {
    duration
        .map(|duration| {
            Duration::try_from(duration).map_err(|_| {
                let violation = Violation::new(field, "NEGATIVE", "a duration is not negative");
                Error::violations(reason::REQUEST_INVALID, vec![violation])
            })
        })
        .transpose()
}
