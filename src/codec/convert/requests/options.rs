//! Options of calls and of services: start times, retry policies, [`ServiceOptions`].

use std::time::Duration;

use crate::codec::convert::field::enum_from_proto;
use crate::codec::convert::quota::rate_from_proto;
use crate::codec::convert::time::{
    duration_from_proto, duration_to_proto, optional_timestamp_from_proto, timestamp_to_proto,
};
use crate::codec::proto::v1;
use crate::model::call::Start;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::invocation::{OnExhausted, RetryPolicy};
use crate::model::rate::Rate;
use crate::model::service_options::ServiceOptions;

type StartOneof = v1::invoke_async_request::Start;

pub(super) fn start_from_proto(start: Option<StartOneof>) -> Result<Option<Start>> {
    Ok(match start {
        None => None,
        Some(StartOneof::Delay(delay)) => {
            duration_from_proto("/delay", Some(delay))?.map(Start::After)
        }
        Some(StartOneof::StartTime(time)) => {
            optional_timestamp_from_proto("/start_time", Some(time))?.map(Start::At)
        }
    })
}

pub(super) fn start_to_proto(start: Start) -> StartOneof {
    match start {
        Start::After(delay) => StartOneof::Delay(duration_to_proto(delay)),
        Start::At(time) => StartOneof::StartTime(timestamp_to_proto(time)),
    }
}

/// Converts what becomes of an invocation without attempts left; `None` where it is not given.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for an unknown value.
pub(super) fn on_exhausted_from_proto(value: i32) -> Result<Option<OnExhausted>> {
    Ok(match enum_from_proto("/on_exhausted", value)? {
        v1::OnExhausted::Unspecified => None,
        v1::OnExhausted::Fail => Some(OnExhausted::Fail),
        v1::OnExhausted::Hold => Some(OnExhausted::Hold),
    })
}

pub(super) fn on_exhausted_to_proto(value: Option<OnExhausted>) -> v1::OnExhausted {
    match value {
        None => v1::OnExhausted::Unspecified,
        Some(OnExhausted::Fail) => v1::OnExhausted::Fail,
        Some(OnExhausted::Hold) => v1::OnExhausted::Hold,
    }
}

/// Converts a retry policy. Fields that are not set have their defaults.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations.
pub fn retry_policy_from_proto(policy: v1::RetryPolicy) -> Result<RetryPolicy> {
    let default = RetryPolicy::default();
    let mut violations = Vec::new();
    let multiplier = match policy.multiplier {
        0.0 => default.multiplier,
        given if given.is_finite() && given >= 1.0 => given,
        _ => {
            let message = "is a number of at least 1";
            let path = "/retry_policy/multiplier";
            violations.push(Violation::new(path, "OUT_OF_RANGE", message));
            default.multiplier
        }
    };
    let max_attempts = match policy.max_attempts {
        0 => default.max_attempts,
        given if given <= RetryPolicy::MAX_ATTEMPTS => given,
        _ => {
            let message = format!("is at most {}", RetryPolicy::MAX_ATTEMPTS);
            let path = "/retry_policy/max_attempts";
            violations.push(Violation::new(path, "OUT_OF_RANGE", message));
            default.max_attempts
        }
    };
    let mut interval = |field: &str, time, default| {
        let read = duration_from_proto(&format!("/retry_policy/{field}"), time);
        match read {
            Ok(given) => given.unwrap_or(default),
            Err(error) => {
                violations.extend(error.violations_at(""));
                default
            }
        }
    };
    let initial_interval = interval(
        "initial_interval",
        policy.initial_interval,
        default.initial_interval,
    );
    let max_interval = interval("max_interval", policy.max_interval, default.max_interval);
    Error::reject(reason::REQUEST_INVALID, violations)?;
    Ok(RetryPolicy {
        max_attempts,
        initial_interval,
        multiplier,
        max_interval,
    })
}

/// Sets the fields of a retry policy that are not set.
pub fn complete_retry_policy(policy: &mut v1::RetryPolicy, with: &RetryPolicy) {
    if policy.max_attempts == 0 {
        policy.max_attempts = with.max_attempts;
    }
    if policy.multiplier == 0.0 {
        policy.multiplier = with.multiplier;
    }
    let interval = |interval| Some(duration_to_proto(interval));
    policy.initial_interval = policy
        .initial_interval
        .or_else(|| interval(with.initial_interval));
    policy.max_interval = policy.max_interval.or_else(|| interval(with.max_interval));
}

/// Converts a retry policy to the contract's form.
#[must_use]
pub fn retry_policy_to_proto(policy: &RetryPolicy) -> v1::RetryPolicy {
    v1::RetryPolicy {
        max_attempts: policy.max_attempts,
        initial_interval: Some(duration_to_proto(policy.initial_interval)),
        multiplier: policy.multiplier,
        max_interval: Some(duration_to_proto(policy.max_interval)),
    }
}

/// Converts the options of a service to the contract's form. The description is a field of the declaration.
#[must_use]
pub fn service_options_to_proto(options: &ServiceOptions) -> v1::ServiceOptions {
    let small = |n: Option<usize>| n.map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX));
    v1::ServiceOptions {
        idempotent: options.idempotent,
        timeout: options.timeout.map(duration_to_proto),
        attempt_timeout: options.attempt_timeout.map(duration_to_proto),
        retry_policy: options.retry_policy.as_ref().map(retry_policy_to_proto),
        concurrency: small(options.concurrency),
        queue_length: small(options.queue_length),
        retention: options.retention.map(duration_to_proto),
        failure_retention: options.failure_retention.map(duration_to_proto),
        pending_limit: options
            .pending_limit
            .map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX)),
        on_exhausted: on_exhausted_to_proto(options.on_exhausted).into(),
        rate: options.rate.map_or(0.0, Rate::calls_per_second),
        burst: options.rate.map_or(0, Rate::burst),
    }
}

/// Converts the options of a declared service, without its description.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations.
pub fn service_options_from_proto(options: v1::ServiceOptions) -> Result<ServiceOptions> {
    let mut violations = Vec::new();
    let mut duration = |field: &str, time| -> Option<Duration> {
        let read = duration_from_proto(field, time);
        read.unwrap_or_else(|error| {
            violations.extend(error.violations_at(""));
            None
        })
    };
    let timeout = duration("/timeout", options.timeout);
    let attempt_timeout = duration("/attempt_timeout", options.attempt_timeout);
    let retention = duration("/retention", options.retention);
    let failure_retention = duration("/failure_retention", options.failure_retention);
    let retry_policy = options
        .retry_policy
        .map(retry_policy_from_proto)
        .transpose();
    let number = |n: u32| (n > 0).then(|| usize::try_from(n).unwrap_or(usize::MAX));
    let retry_policy = retry_policy.unwrap_or_else(|error| {
        violations.extend(error.violations_at(""));
        None
    });
    let on_exhausted = on_exhausted_from_proto(options.on_exhausted);
    let on_exhausted = on_exhausted.unwrap_or_else(|error| {
        violations.extend(error.violations_at(""));
        None
    });
    let rate = rate_from_proto("", options.rate, options.burst);
    let rate = rate.unwrap_or_else(|violation| {
        violations.push(violation);
        None
    });
    Error::reject(reason::REQUEST_INVALID, violations)?;
    Ok(ServiceOptions {
        description: String::new(),
        idempotent: options.idempotent,
        timeout,
        attempt_timeout,
        retry_policy,
        on_exhausted,
        concurrency: number(options.concurrency),
        queue_length: number(options.queue_length),
        retention,
        failure_retention,
        pending_limit: (options.pending_limit > 0)
            .then(|| usize::try_from(options.pending_limit).unwrap_or(usize::MAX)),
        rate,
    })
}
