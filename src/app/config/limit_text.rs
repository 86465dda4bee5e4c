//! The texts of limits of services, and of rates.

use crate::model::rate::Rate;
use crate::model::service_limit::ServiceLimit;

/// Parses a limit of services, see [`ServiceLimit::parse`].
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn service_limit(text: &str) -> Result<ServiceLimit, String> {
    ServiceLimit::parse("", text).map_err(|error| {
        let violations = error.field_violations().iter();
        let messages: Vec<_> = violations.map(|one| one.message.to_string()).collect();
        messages.join("; ")
    })
}

/// Parses a rate, `100/s` or `100/s burst=200`: as that of services.
///
/// # Errors
///
/// What is wrong with it.
pub(in crate::app) fn rate(text: &str) -> Result<Rate, String> {
    let limit = service_limit(&format!("* rate={text}"))?;
    let has_others =
        limit.concurrency.is_some() || limit.queue_length.is_some() || limit.pending.is_some();
    match limit.rate {
        Some(rate) if !has_others => Ok(rate),
        _ => Err("use a rate such as `100/s`, or `100/s burst=200`".to_owned()),
    }
}
