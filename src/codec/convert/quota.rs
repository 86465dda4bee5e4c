//! Quotas of principals, and rates.

use super::field::FieldErrors;
use crate::codec::proto::v1;
use crate::model::access::Quota;
use crate::model::error::{Result, Violation};
use crate::model::rate::Rate;

/// Converts a quota. `path` is that of its field.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations.
pub fn quota_from_proto(path: &str, quota: &v1::Quota) -> Result<Quota> {
    let mut errors = FieldErrors::default();
    let rate = rate_from_proto(path, quota.rate, quota.burst).unwrap_or_else(|violation| {
        errors.refuse(violation);
        None
    });
    errors.finish()?;
    let number = |n: u64| (n > 0).then(|| usize::try_from(n).unwrap_or(usize::MAX));
    Ok(Quota {
        rate,
        in_flight: number(quota.in_flight),
        pending: number(quota.pending),
    })
}

/// Converts a quota to the contract's form; `None` where it says nothing.
#[must_use]
pub fn quota_to_proto(quota: &Quota) -> Option<v1::Quota> {
    let number = |n: Option<usize>| n.map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX));
    (!quota.is_none()).then(|| v1::Quota {
        rate: quota.rate.map_or(0.0, Rate::calls_per_second),
        burst: quota.rate.map_or(0, Rate::burst),
        in_flight: number(quota.in_flight),
        pending: number(quota.pending),
    })
}

/// Converts a rate; 0 is none. `path` is that of the message with the fields `rate` and `burst`.
pub(super) fn rate_from_proto(
    path: &str,
    rate: f64,
    burst: u32,
) -> std::result::Result<Option<Rate>, Violation> {
    match (rate, burst) {
        (0.0, 0) => Ok(None),
        (0.0, _) => {
            let message = "needs a `rate`";
            Err(Violation::new(
                format!("{path}/burst"),
                "OUT_OF_RANGE",
                message,
            ))
        }
        _ if !Rate::contains(rate) => {
            let message = "is a number of calls a second, from 1/86400 to 1000000";
            Err(Violation::new(
                format!("{path}/rate"),
                "OUT_OF_RANGE",
                message,
            ))
        }
        (_, 0) => Ok(Some(Rate::per_second(rate))),
        _ => Ok(Some(Rate::per_second(rate).with_burst(burst))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_converted_both_ways() {
        let full = Quota {
            rate: Some(Rate::per_second(0.5).with_burst(7)),
            in_flight: Some(3),
            pending: Some(9),
        };
        let one = Quota {
            pending: Some(1),
            ..Quota::default()
        };
        for quota in [full, one] {
            let converted = quota_to_proto(&quota).unwrap();
            assert_eq!(quota_from_proto("/quota", &converted).unwrap(), quota);
        }
        assert_eq!(quota_to_proto(&Quota::default()), None);
        let nothing = v1::Quota::default();
        assert!(quota_from_proto("/quota", &nothing).unwrap().is_none());
    }

    #[test]
    fn a_rate_out_of_range_is_refused() {
        for (rate, burst, path) in [
            (0.0, 1, "/quota/burst"),
            (-1.0, 0, "/quota/rate"),
            (f64::NAN, 0, "/quota/rate"),
            (1e9, 5, "/quota/rate"),
        ] {
            let quota = v1::Quota {
                rate,
                burst,
                ..v1::Quota::default()
            };
            let error = quota_from_proto("/quota", &quota).unwrap_err();
            assert_eq!(error.field_violations()[0].path.as_str(), path, "{error:?}");
        }
    }
}
