//! `GetStatus`: the status of the node as its message.

use crate::codec::convert::{service_control_to_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::edge::grpc::invocation::summary_to_proto;
use crate::engine::{
    DueLongest, Health, HealthReason, Invoker, LimitUse, NodeCertificate, NodeStatus,
    UnservedService, WaitsFor, WorkerBuild,
};
use crate::remote::worker_registry::WorkerRegistry;

/// How many paused and disabled services a response has at most.
const MAX_CONTROLS: usize = 100;

/// Reads the status.
pub(super) async fn read(invoker: &Invoker, workers: &WorkerRegistry) -> v1::GetStatusResponse {
    let status = invoker.status(workers.counts()).await;
    v1::GetStatusResponse {
        operations: small(invoker.running_operations()),
        ..to_proto(status)
    }
}

fn to_proto(status: NodeStatus) -> v1::GetStatusResponse {
    let controls = status.controls.iter().take(MAX_CONTROLS);
    let controls = controls.map(|control| service_control_to_proto(control));
    let usage = status.store.usage;
    let disk = usage.and_then(|usage| usage.disk);
    let failures = status.failures.counts.into_iter();
    let failures = failures.map(|(summary, message)| summary_to_proto(summary, message));
    let unreadable = status.failures.unreadable.as_ref();
    let totals = v1::StatusTotals {
        oldest_due: small(status.totals.oldest_due),
        unserved_services: small(status.totals.unserved),
        controls: small(status.controls.len()),
        builds: small(status.totals.builds),
        failures: small(status.failures.all_counts),
        limits: small(status.totals.limits),
    };
    v1::GetStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        start_time: Some(timestamp_to_proto(status.start_time)),
        services: long(status.services),
        workers: long(status.workers),
        workers_away: long(status.workers_away),
        running: long(status.running),
        pending: long(status.pending),
        store: status.store.name.to_owned(),
        store_size_bytes: usage.map_or(0, |usage| usage.bytes),
        store_bytes_limit: usage.map_or(0, |usage| usage.bytes_limit),
        generation: u64::from(status.store.generation),
        held: status.is_held,
        health: health(status.health).into(),
        health_reasons: status.reasons.into_iter().map(reason).collect(),
        disk_free_bytes: disk.map_or(0, |disk| disk.free),
        oldest_due: status.oldest_due.iter().map(oldest_due).collect(),
        unserved_services: status.unserved.iter().map(unserved).collect(),
        builds: status.builds.into_iter().map(build).collect(),
        limits: status.limits.into_iter().map(limit).collect(),
        controls: controls.collect(),
        held_invocations: long(status.held_invocations),
        failures: failures.collect(),
        failed_invocations: status.failures.total,
        failures_incomplete: status.failures.is_incomplete,
        failures_error: unreadable.map_or_else(String::new, |error| error.message().to_owned()),
        totals: Some(totals),
        certificate: status.certificate.as_deref().map(certificate),
        ..v1::GetStatusResponse::default()
    }
}

fn health(health: Health) -> v1::NodeHealth {
    match health {
        Health::Serving => v1::NodeHealth::Serving,
        Health::Degraded => v1::NodeHealth::Degraded,
        Health::NotServing => v1::NodeHealth::NotServing,
    }
}

fn reason(reason: HealthReason) -> v1::HealthReason {
    v1::HealthReason {
        reason: reason.reason.to_owned(),
        message: reason.message,
    }
}

fn oldest_due(due: &DueLongest) -> v1::OldestDue {
    let pending_reason = match due.waits_for {
        WaitsFor::NoWorker => v1::PendingReason::NoWorker,
        WaitsFor::Paused => v1::PendingReason::Paused,
        WaitsFor::Turn => v1::PendingReason::Queued,
    };
    v1::OldestDue {
        service: due.service.to_string(),
        cid: due.cid.to_string(),
        due_time: Some(timestamp_to_proto(due.due)),
        pending_reason: pending_reason.into(),
        pending: long(due.pending),
    }
}

fn unserved(unserved: &UnservedService) -> v1::UnservedService {
    v1::UnservedService {
        service: unserved.service.to_string(),
        pending: long(unserved.pending),
        last_served_time: unserved.last_served.map(timestamp_to_proto),
    }
}

fn build(build: WorkerBuild) -> v1::WorkerBuild {
    v1::WorkerBuild {
        worker_name: build.worker_name,
        build_id: build.build_id,
        workers: small(build.workers),
    }
}

fn certificate(certificate: &NodeCertificate) -> v1::NodeCertificate {
    v1::NodeCertificate {
        names: certificate.names.clone(),
        expire_time: Some(timestamp_to_proto(certificate.expire_time)),
    }
}

fn limit(limit: LimitUse) -> v1::LimitUse {
    v1::LimitUse {
        name: limit.name.to_owned(),
        service: limit
            .service
            .map(|service| service.to_string())
            .unwrap_or_default(),
        used: limit.used,
        limit: limit.limit,
    }
}

fn long(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
