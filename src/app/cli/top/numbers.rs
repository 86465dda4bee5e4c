//! Numbers of `top` as short texts: rates, durations, ages.

use jiff::Timestamp;

use crate::app::cli::times::between;

/// A rate per second: `0.3`, `12`, `4.1k`.
pub(super) fn rate_text(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        ..9.95 => format!("{rate:.1}"),
        ..999.5 => format!("{rate:.0}"),
        ..999_500.0 => format!("{:.1}k", rate / 1e3),
        _ => format!("{:.1}M", rate / 1e6),
    }
}

/// A duration in seconds: `850us`, `12ms`, `1.2s`, `3m`.
pub(super) fn seconds_text(seconds: f64) -> String {
    match seconds {
        ..0.000_999_5 => format!("{:.0}us", seconds * 1e6),
        ..0.009_95 => format!("{:.1}ms", seconds * 1e3),
        ..0.999_5 => format!("{:.0}ms", seconds * 1e3),
        ..9.95 => format!("{seconds:.1}s"),
        ..119.5 => format!("{seconds:.0}s"),
        ..7_170.0 => format!("{:.0}m", seconds / 60.0),
        ..171_900.0 => format!("{:.0}h", seconds / 3_600.0),
        _ => format!("{:.0}d", seconds / 86_400.0),
    }
}

/// How long ago a time is, in seconds.
pub(super) fn seconds_since(time: Timestamp, now: Timestamp) -> f64 {
    between(time, now).as_secs_f64()
}

/// An age: `5s`, `3m`.
pub(super) fn age_text(seconds: f64) -> String {
    match seconds {
        ..1.0 => "0s".to_owned(),
        ..119.5 => format!("{seconds:.0}s"),
        _ => seconds_text(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (rate, text) in [
            (0.0, "0"),
            (0.26, "0.3"),
            (9.96, "10"),
            (120.4, "120"),
            (4_120.0, "4.1k"),
            (2.5e6, "2.5M"),
        ] {
            assert_eq!(rate_text(rate), text);
        }
        for (seconds, text) in [
            (0.000_85, "850us"),
            (0.001_5, "1.5ms"),
            (0.25, "250ms"),
            (1.25, "1.2s"),
            (60.0, "60s"),
            (180.0, "3m"),
            (7_200.0, "2h"),
            (172_800.0, "2d"),
        ] {
            assert_eq!(seconds_text(seconds), text);
        }
        assert_eq!(age_text(0.3), "0s");
        assert_eq!(age_text(3.2), "3s");
    }
}
