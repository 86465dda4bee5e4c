//! The model to the messages of the contract, and back. Disk, wire and domain types stay three types.

mod event;
mod failure;
mod invocation;
mod payload;
mod sio;

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

pub use self::event::{
    event_to_proto, not_found_to_proto, outcome_from_proto, progress_from_proto, progress_to_proto,
};
pub use self::failure::{failure_from_proto, failure_to_proto};
pub use self::invocation::{invocation_to_proto, state_to_proto};
pub use self::payload::{
    PayloadOneof, format_from_proto, format_of, format_to_proto, reply_from_proto,
};
pub use self::sio::{sio_from_proto, sio_to_proto};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::metadata::Metadata;

/// An instant, as the contract writes it.
#[must_use]
pub fn timestamp_to_proto(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    }
}

/// An instant, as a caller wrote it; `None` outside of what a [`Timestamp`] holds.
#[must_use]
pub fn timestamp_from_proto(time: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A duration, as the contract writes it.
#[must_use]
pub fn duration_to_proto(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}

/// A duration, as a caller wrote it.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for a negative one.
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

/// Metadata, as the contract writes it.
#[must_use]
pub fn metadata_to_proto(metadata: &Metadata) -> HashMap<String, String> {
    metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Metadata, as a caller wrote it.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `METADATA_TOO_LARGE` above its limit.
pub fn metadata_from_proto(metadata: HashMap<String, String>) -> Result<Metadata> {
    if metadata.is_empty() {
        return Ok(Metadata::new());
    }
    let metadata = Metadata::from(metadata);
    metadata.check()?;
    Ok(metadata)
}
