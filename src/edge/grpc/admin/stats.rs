//! `ListServiceStats`: what the services have done since the node started, page by page.

use crate::codec::convert::{duration_to_proto, page_size_from_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::engine::metrics::{HistogramSnapshot, InvocationKind, OutcomeCount, OutcomeKind};
use crate::engine::{Invoker, RecentCalls, ServiceStats, StatsPage, StatsQuery};
use crate::model::error::{Error, Result, Violation, reason};

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// How many services a request may name.
const MAX_SERVICES: usize = 1_000;

/// One page.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the size of the page and the number of services.
pub(super) async fn list(
    invoker: &Invoker,
    request: v1::ListServiceStatsRequest,
) -> Result<v1::ListServiceStatsResponse> {
    let max = page_size_from_proto(request.page_size, DEFAULT_PAGE, MAX_PAGE)?;
    if request.services.len() > MAX_SERVICES {
        let message = format!("has at most {MAX_SERVICES} names");
        let violation = Violation::new("/services", "TOO_MANY", message);
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    let query = StatsQuery {
        services: request.services.into_iter().collect(),
        // The last service of the previous page: the token stays valid while services come and go.
        after: Some(request.page_token).filter(|token| !token.is_empty()),
        used_only: false,
        max,
    };
    let StatsPage {
        stats,
        has_more,
        time,
        start_time,
    } = invoker.service_stats(&query).await?;
    let last = stats.last().filter(|_| has_more);
    let next_page_token = last.map(|last| last.service.to_string());
    Ok(v1::ListServiceStatsResponse {
        next_page_token: next_page_token.unwrap_or_default(),
        stats: stats.into_iter().map(to_proto).collect(),
        observe_time: Some(timestamp_to_proto(time)),
        start_time: Some(timestamp_to_proto(start_time)),
    })
}

fn to_proto(stats: ServiceStats) -> v1::ServiceStats {
    let long = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    v1::ServiceStats {
        service: stats.service.to_string(),
        outcomes: outcomes_to_proto(&stats.outcomes),
        duration: Some(histogram_to_proto(stats.duration)),
        queue_wait: Some(histogram_to_proto(stats.queue_wait)),
        queued: long(stats.queued),
        pending: long(stats.pending),
        running: long(stats.running),
        oldest_due_time: stats.oldest_due.map(timestamp_to_proto),
        workers: small(stats.workers),
        worker_credits: small(stats.worker_credits),
        retries: stats.retries,
        crashes: stats.crashes,
        last_failure_reason: stats.last_failure_reason.unwrap_or_default(),
        recent: stats.recent.map(recent_to_proto),
        recent_attempts: stats.recent_attempts,
        recent_failed_attempts: stats.recent_failed_attempts,
    }
}

fn recent_to_proto(recent: RecentCalls) -> v1::RecentCalls {
    v1::RecentCalls {
        period: Some(duration_to_proto(recent.period)),
        calls: recent.calls,
        failed: recent.failed,
        duration_p50: recent.duration_p50.map(|it| it.as_secs_f64()),
        duration_p99: recent.duration_p99.map(|it| it.as_secs_f64()),
    }
}

/// The counts, without the kinds of errors.
fn outcomes_to_proto(counts: &[OutcomeCount]) -> Vec<v1::OutcomeCount> {
    let mut all: Vec<v1::OutcomeCount> = Vec::new();
    for OutcomeCount {
        kind,
        outcome,
        count,
        ..
    } in counts
    {
        let (kind, outcome) = (kind_to_proto(*kind), outcome_to_proto(*outcome));
        let mut known = all.iter_mut();
        match known.find(|it| it.kind == kind as i32 && it.outcome == outcome as i32) {
            Some(known) => known.count += count,
            None => all.push(v1::OutcomeCount {
                kind: kind.into(),
                outcome: outcome.into(),
                count: *count,
            }),
        }
    }
    all
}

fn kind_to_proto(kind: InvocationKind) -> v1::InvocationKind {
    match kind {
        InvocationKind::Sync => v1::InvocationKind::Sync,
        InvocationKind::Async => v1::InvocationKind::Async,
        InvocationKind::Nested => v1::InvocationKind::Nested,
        InvocationKind::Callback => v1::InvocationKind::Callback,
    }
}

fn outcome_to_proto(outcome: OutcomeKind) -> v1::OutcomeKind {
    match outcome {
        OutcomeKind::Succeeded => v1::OutcomeKind::Succeeded,
        OutcomeKind::Failed => v1::OutcomeKind::Failed,
        OutcomeKind::Cancelled => v1::OutcomeKind::Cancelled,
        OutcomeKind::Expired => v1::OutcomeKind::Expired,
        OutcomeKind::Refused => v1::OutcomeKind::Refused,
    }
}

fn histogram_to_proto(histogram: HistogramSnapshot) -> v1::Histogram {
    v1::Histogram {
        bounds: histogram.bounds,
        counts: histogram.counts,
        sum: histogram.sum,
    }
}
