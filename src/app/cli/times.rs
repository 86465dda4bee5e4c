//! Times and durations, as people write and read them: ages, dates, local times, days and weeks.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::args::duration;
use crate::engine::clock::Clock;

/// Parses a time in the past: RFC 3339, a local date or time, or an age such as `1h` or `2d`.
pub(super) fn past_time(text: &str) -> Result<Timestamp, String> {
    let age = |age| Clock::System.now().checked_sub(age).ok();
    time(text, age, "`1h` for one hour ago")
}

/// Parses a time in the future: RFC 3339, a local date or time, or a duration from now such as `1h` or `2d`.
pub(super) fn future_time(text: &str) -> Result<Timestamp, String> {
    let delay = |delay| Clock::System.now().checked_add(delay).ok();
    time(text, delay, "`1h` for one hour from now")
}

fn time(
    text: &str,
    relative: impl Fn(Duration) -> Option<Timestamp>,
    example: &str,
) -> Result<Timestamp, String> {
    let absolute = || text.parse::<Timestamp>().ok();
    let local = || {
        let time = text.parse::<DateTime>().ok()?;
        let zoned = time.to_zoned_datetime(TimeZone::system()).ok()?;
        Some(zoned.timestamp())
    };
    let relative = || relative(duration(text).ok()?);
    absolute().or_else(local).or_else(relative).ok_or_else(|| {
        format!(
            "use `2026-01-31`, `2026-01-31T08:30` (local time), `2026-01-31T08:30:00Z`, or {example}"
        )
    })
}

/// An age with its largest unit: `5s`, `3m`, `2h`, `12d`; `0s` for a time in the future.
pub(super) fn age(time: Timestamp) -> String {
    let seconds = Clock::System.now().duration_since(time).as_secs().max(0);
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time of day in the local time zone, to the millisecond: `08:30:00.123`.
pub(super) fn time_of_day(time: Timestamp) -> String {
    let local = time.to_zoned_datetime(TimeZone::system()).datetime();
    format!("{:.3}", local.time())
}

/// A local time, to the second: `2026-01-31 08:30:00`.
pub(super) fn local_time(time: Timestamp) -> String {
    let local = time.to_zoned_datetime(TimeZone::system()).datetime();
    format!("{} {:.0}", local.date(), local.time())
}

/// A local time, to the millisecond: `2026-01-31 08:30:00.123`.
pub(super) fn local_time_exact(time: Timestamp) -> String {
    let local = time.to_zoned_datetime(TimeZone::system()).datetime();
    format!("{} {:.3}", local.date(), local.time())
}

/// A duration with its two largest units, to the millisecond if it is that long: `1w`, `1d 12h`, `1m 30s`, `250ms`.
/// [`duration`] parses it.
pub(super) fn duration_text(duration: Duration) -> String {
    const UNITS: [(u128, &str); 7] = [
        (7 * 86_400_000_000, "w"),
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
        (1, "us"),
    ];
    let mut rest = duration.as_micros();
    if rest > 1_000 {
        rest -= rest % 1_000;
    }
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    match parts.is_empty() {
        true => "0s".to_owned(),
        false => parts.join(" "),
    }
}

/// The time from one instant to a later one; zero where it is earlier.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    let between: SignedDuration = to.duration_since(from);
    Duration::try_from(between).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_with_two_units() {
        let day = Duration::from_hours(24);
        for (given, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(250), "250ms"),
            (Duration::from_secs(90), "1m 30s"),
            (day, "1d"),
            (7 * day, "1w"),
            (day * 10 + Duration::from_secs(5), "1w 3d"),
            (Duration::from_micros(1_500), "1ms"),
            (Duration::from_micros(500), "500us"),
        ] {
            assert_eq!(duration_text(given), text);
        }
        let week = duration_text(7 * day);
        assert_eq!(duration(&week), Ok(7 * day));
    }

    #[test]
    fn times_are_ages_dates_local_times_or_exact() {
        let exact: Timestamp = "2026-01-31T08:30:00Z".parse().unwrap();
        assert_eq!(past_time("2026-01-31T08:30:00Z"), Ok(exact));
        let local = "2026-01-31T08:30".parse::<DateTime>().unwrap();
        let local = local
            .to_zoned_datetime(TimeZone::system())
            .unwrap()
            .timestamp();
        for text in [
            "2026-01-31T08:30",
            "2026-01-31 08:30",
            "2026-01-31T08:30:00",
        ] {
            assert_eq!(past_time(text), Ok(local), "{text}");
        }
        assert_eq!(local_time(local), "2026-01-31 08:30:00");
        assert_eq!(time_of_day(local), "08:30:00.000");
        assert!(past_time("2026-01-31").is_ok());
        assert_eq!(age(past_time("1d").unwrap()), "1d");
        assert_eq!(age(past_time("2w").unwrap()), "14d");
        assert!(future_time("1h").unwrap() > past_time("0s").unwrap());
        for wrong in ["", "yesterday", "5", "-1h", "2026-13-01"] {
            assert!(past_time(wrong).unwrap_err().contains("1h"), "{wrong}");
        }
    }
}
