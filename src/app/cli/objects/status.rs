//! The object of the status of a node.

use crate::app::cli::names::{
    node_health_name, pending_reason_name, state_name, text_value, time_value,
};
use crate::codec::objects;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::value::Value;

/// `status` in the schema.
pub(in crate::app::cli) fn status(status: &v1::GetStatusResponse) -> Value {
    dict! {
        "health": node_health_name(status.health),
        "reasons": each(&status.health_reasons, reason),
        "version": status.version.as_str(),
        "start_time": time_value(status.start_time.as_ref()),
        "held": status.held,
        "services": status.services,
        "workers": status.workers,
        "workers_away": status.workers_away,
        "running": status.running,
        "pending": status.pending,
        "held_invocations": status.held_invocations,
        "operations": status.operations,
        "store": status.store.as_str(),
        "generation": status.generation,
        "store_size_bytes": status.store_size_bytes,
        "store_bytes_limit": status.store_bytes_limit,
        "disk_free_bytes": (status.disk_free_bytes > 0).then_some(status.disk_free_bytes),
        "oldest_due": each(&status.oldest_due, oldest_due),
        "unserved_services": each(&status.unserved_services, unserved),
        "controls": each(&status.controls, control),
        "builds": each(&status.builds, build),
        "failures": each(&status.failures, failures),
        "failed_invocations": status.failed_invocations,
        "failures_incomplete": status.failures_incomplete,
        "failures_error": text_value(&status.failures_error),
        "failing_services": each(&status.failing_services, failing),
        "limits": each(&status.limits, limit),
        "totals": totals(&status.totals.unwrap_or_default()),
        "certificate": status.certificate.as_ref().map(certificate),
    }
    .into()
}

fn each<T>(all: &[T], object: impl Fn(&T) -> Value) -> Vec<Value> {
    all.iter().map(object).collect()
}

/// How many entries each list would have without its limit.
fn totals(totals: &v1::StatusTotals) -> Value {
    dict! {
        "oldest_due": totals.oldest_due,
        "unserved_services": totals.unserved_services,
        "controls": totals.controls,
        "builds": totals.builds,
        "failures": totals.failures,
        "limits": totals.limits,
        "failing_services": totals.failing_services,
    }
    .into()
}

fn reason(reason: &v1::HealthReason) -> Value {
    dict! { "reason": reason.reason.as_str(), "message": reason.message.as_str() }.into()
}

fn oldest_due(due: &v1::OldestDue) -> Value {
    dict! {
        "service": due.service.as_str(),
        "cid": due.cid.as_str(),
        "due_time": time_value(due.due_time.as_ref()),
        "reason": pending_reason_name(due.pending_reason),
        "pending": due.pending,
    }
    .into()
}

fn unserved(unserved: &v1::UnservedService) -> Value {
    dict! {
        "service": unserved.service.as_str(),
        "pending": unserved.pending,
        "last_served_time": time_value(unserved.last_served_time.as_ref()),
    }
    .into()
}

/// `service_control` in the schema.
pub(super) fn control(control: &v1::ServiceControl) -> Value {
    let mut object = dict! { "service": control.service.as_str() };
    for (key, value) in objects::control(control) {
        object.insert(key, value);
    }
    object.into()
}

fn build(build: &v1::WorkerBuild) -> Value {
    dict! {
        "worker_name": build.worker_name.as_str(),
        "build_id": text_value(&build.build_id),
        "workers": build.workers,
    }
    .into()
}

fn failures(failures: &v1::InvocationSummary) -> Value {
    dict! {
        "service": text_value(&failures.service),
        "state": state_name(failures.state),
        "reason": text_value(&failures.failure_reason),
        "count": failures.count,
        "last_end_time": time_value(failures.last_end_time.as_ref()),
        "example_cid": text_value(&failures.example_cid),
        "example_message": text_value(&failures.example_message),
    }
    .into()
}

fn certificate(certificate: &v1::NodeCertificate) -> Value {
    dict! {
        "names": certificate.names.clone(),
        "expire_time": time_value(certificate.expire_time.as_ref()),
    }
    .into()
}

fn failing(failing: &v1::FailingService) -> Value {
    dict! {
        "service": failing.service.as_str(),
        "calls": failing.calls,
        "failures": failing.failures,
        "reason": failing.reason.as_str(),
        "example_cid": failing.example_cid.as_str(),
        "example_message": failing.example_message.as_str(),
    }
    .into()
}

fn limit(limit: &v1::LimitUse) -> Value {
    dict! {
        "name": limit.name.as_str(),
        "service": text_value(&limit.service),
        "used": limit.used,
        "limit": limit.limit,
    }
    .into()
}
