//! Rates: how many calls a limit lets pass in a second, and at once.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// How many calls a limit lets pass: a steady rate, and a burst after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: u32,
}

impl Rate {
    /// The lowest rate, in calls a second: one call a day.
    pub const LEAST: f64 = 1.0 / 86_400.0;
    /// The highest rate, in calls a second.
    pub const MOST: f64 = 1_000_000.0;
    /// The largest burst.
    pub const MAX_BURST: u32 = 1_000_000;
    /// A burst holds at most the calls of so much time. Default of the burst: the calls of a second, at least 1.
    const MAX_REFILL: Duration = Duration::from_hours(24 * 30);

    /// So many calls a second: from [`Rate::LEAST`] to [`Rate::MOST`]. A rate beyond them is the nearest of the two.
    #[must_use]
    pub fn per_second(calls: f64) -> Self {
        let per_second = match calls.is_nan() {
            true => Self::LEAST,
            false => calls.clamp(Self::LEAST, Self::MOST),
        };
        Self {
            per_second,
            burst: whole(per_second.ceil()),
        }
    }

    /// With a burst: how many calls pass at once after a pause. At least 1; at most [`Rate::MAX_BURST`], and the calls
    /// of 30 days.
    #[must_use]
    pub fn with_burst(self, calls: u32) -> Self {
        let most = whole(self.per_second * Self::MAX_REFILL.as_secs_f64());
        Self {
            burst: calls.clamp(1, most.clamp(1, Self::MAX_BURST)),
            ..self
        }
    }

    /// Calls a second.
    #[must_use]
    pub const fn calls_per_second(self) -> f64 {
        self.per_second
    }

    /// How many calls pass at once after a pause.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The time of one call.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(self.per_second.recip())
    }

    /// The smaller of both rates, and of both bursts.
    #[must_use]
    pub fn smaller(self, other: Self) -> Self {
        Self {
            per_second: self.per_second.min(other.per_second),
            burst: self.burst.min(other.burst),
        }
    }

    /// Parses `100/s`, `6/m` or `10/h`.
    ///
    /// # Errors
    ///
    /// What a rate looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let seconds = |unit| match unit {
            "s" => Some(1.0),
            "m" => Some(60.0),
            "h" => Some(3_600.0),
            "d" => Some(86_400.0),
            _ => None,
        };
        let parsed = text.split_once('/').and_then(|(calls, unit)| {
            let calls = calls.parse::<f64>().ok()?;
            Some(calls / seconds(unit)?)
        });
        match parsed {
            Some(rate) if Self::contains(rate) => Ok(Self::per_second(rate)),
            Some(_) => Err("a rate is at least 1/d and at most 1000000/s".to_owned()),
            None => Err("use a number and a unit, such as `100/s`, `6/m` or `10/h`".to_owned()),
        }
    }

    /// Whether so many calls a second are a rate.
    #[must_use]
    pub fn contains(calls: f64) -> bool {
        (Self::LEAST..=Self::MOST).contains(&calls)
    }
}

/// It is never NaN.
impl Eq for Rate {}

impl Hash for Rate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.per_second.to_bits(), self.burst).hash(state);
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(f64, &str); 3] = [(1.0, "s"), (60.0, "m"), (3_600.0, "h")];
        let is_whole = |(seconds, _): &(f64, &str)| self.per_second * seconds >= 0.999;
        let (seconds, unit) = UNITS.into_iter().find(is_whole).unwrap_or((86_400.0, "d"));
        let calls = (self.per_second * seconds * 1_000.0).round() / 1_000.0;
        write!(f, "{calls}/{unit}")
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates, and a rate is never negative"
)]
const fn whole(calls: f64) -> u32 {
    calls as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_parsed() {
        let rate = Rate::parse("100/s").unwrap();
        assert_eq!((rate.calls_per_second(), rate.burst()), (100.0, 100));
        let rate = Rate::parse("6/m").unwrap();
        assert_eq!(
            (rate.interval(), rate.burst()),
            (Duration::from_secs(10), 1)
        );
        assert!(Rate::parse("1/d").is_ok() && Rate::parse("0.5/s").is_ok());
        for wrong in [
            "", "100", "/s", "x/s", "1/y", "0/s", "-1/s", "NaN/s", "inf/s", "1e7/s",
        ] {
            assert!(Rate::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_are_shown_in_the_unit_that_suits_them() {
        for text in ["100/s", "2.5/s", "6/m", "1/m", "10/h", "1/d"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_rate_is_never_beyond_its_limits() {
        assert_eq!(Rate::per_second(f64::NAN).calls_per_second(), Rate::LEAST);
        assert_eq!(
            Rate::per_second(1e9).with_burst(u32::MAX).burst(),
            Rate::MAX_BURST
        );
        assert_eq!(Rate::per_second(0.0).with_burst(1_000).burst(), 30);
        assert_eq!(Rate::per_second(1.0).with_burst(0).burst(), 1);
    }
}
