//! Times in a filter: RFC 3339, a date in UTC, or an age.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// How a time is written.
pub const FORMS: &str = "`\"2026-11-30T03:00:00Z\"` (or with an offset), a date in UTC such as `2026-11-30`, \
                                or an age such as `-2h`";

/// Parses a time; `None` where it is none. Ages end at `now`.
#[must_use]
pub fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(age) = text.strip_prefix('-') {
        let age = age.parse::<Span>().ok()?;
        let age = age.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        return now.checked_sub(Duration::try_from(age).ok()?).ok();
    }
    let date = || {
        let date = text.parse::<DateTime>().ok().filter(|_| is_date(text))?;
        let date = date.to_zoned_datetime(TimeZone::UTC).ok()?;
        Some(date.timestamp())
    };
    text.parse::<Timestamp>().ok().or_else(date)
}

/// Whether a text is a date: a time without an offset is refused, as it could be local.
fn is_date(text: &str) -> bool {
    text.len() == "2026-11-30".len()
}
