//! Each reason by itself, and their order.

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::engine::status::certificate::NodeCertificate;
use crate::engine::status::failing::FailingServices;
use crate::engine::status::failures::RecentFailureCounts;
use crate::engine::status::node_status::{ListTotals, UnservedService};
use crate::engine::status::reload::ReloadFailure;
use crate::model::error::Error;
use crate::model::id::{Cid, ServiceName};
use crate::model::service_control::{ControlCause, Disabled, Paused, ServiceControl};

const MIB: u64 = 1 << 20;

fn name(name: &str) -> ServiceName {
    ServiceName::parse(name).unwrap()
}

fn usage() -> StoreUsage {
    StoreUsage {
        bytes: 10 * MIB,
        bytes_limit: 114 * MIB,
        accept_limit: 100 * MIB,
        empty: 0,
        disk: Some(DiskUsage {
            free: 5_000 * MIB,
            total: 10_000 * MIB,
            min_free: 64 * MIB,
        }),
    }
}

fn healthy() -> NodeStatus {
    NodeStatus {
        time: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
        start_time: Timestamp::UNIX_EPOCH,
        health: Health::Serving,
        reasons: Vec::new(),
        services: 1,
        workers: 0,
        workers_away: 0,
        builds: Vec::new(),
        running: 0,
        pending: 0,
        held_invocations: 0,
        store: StoreStatus {
            name: "sqlite",
            generation: 1,
            usage: Some(usage()),
            failure: None,
            unreadable: None,
        },
        is_held: false,
        is_draining: false,
        oldest_due: Vec::new(),
        unserved_with_pending: 0,
        unserved: Vec::new(),
        controls: Vec::new(),
        limits: Vec::new(),
        failures: RecentFailureCounts::default(),
        failing: FailingServices::default(),
        totals: ListTotals::default(),
        certificate: None,
        reload_failures: Vec::new(),
        audit_failure: None,
    }
}

fn paused(service: &str) -> Arc<ServiceControl> {
    Arc::new(ServiceControl {
        paused: Some(Paused {
            background_only: false,
            cause: ControlCause::default(),
            time: Timestamp::UNIX_EPOCH,
        }),
        ..ServiceControl::none(name(service))
    })
}

fn failed() -> Error {
    Error::unavailable(reason::STORE_FAILED, "the disk failed")
}

fn damaged() -> Error {
    Error::new(
        crate::model::error::Kind::DataLoss,
        reason::STORE_DAMAGED,
        "the file is damaged",
    )
}

fn due(minutes: i64, waits_for: WaitsFor) -> DueLongest {
    let late = SignedDuration::from_mins(minutes);
    DueLongest {
        service: name("a"),
        cid: Cid::new(),
        due: healthy().time - late,
        waits_for,
        pending: 3,
    }
}

fn limit(name: &'static str, used: u64, refuses: bool) -> LimitUse {
    LimitUse {
        name,
        service: None,
        used,
        limit: 100,
        refuses,
    }
}

fn with_usage(change: impl Fn(&mut StoreUsage)) -> NodeStatus {
    let mut usage = usage();
    change(&mut usage);
    let mut status = healthy();
    status.store.usage = Some(usage);
    status
}

fn with_free(free: u64) -> NodeStatus {
    with_usage(|usage| {
        usage.disk = usage.disk.map(|disk| DiskUsage { free, ..disk });
    })
}

fn with(change: impl Fn(&mut NodeStatus)) -> NodeStatus {
    let mut status = healthy();
    change(&mut status);
    status
}

#[track_caller]
fn check(status: &NodeStatus, health: Health, reason: &str) {
    let found = reasons(status);
    let names: Vec<_> = found.iter().map(|found| found.reason).collect();
    let expected: Vec<_> = Some(reason)
        .filter(|it| !it.is_empty())
        .into_iter()
        .collect();
    assert_eq!((worst(&found), names), (health, expected), "{found:?}");
    assert!(found.iter().all(|it| HEALTH_REASONS.contains(&it.reason)));
}

#[test]
fn each_fault_has_its_reason_and_its_health() {
    use Health::{Degraded, NotServing, Serving};
    check(&healthy(), Serving, "");
    check(&with(|it| it.store.usage = None), Serving, "");
    check(
        &with(|it| it.store.failure = Some(failed())),
        NotServing,
        "STORE_FAILED",
    );
    check(
        &with(|it| it.store.failure = Some(damaged())),
        NotServing,
        "STORE_DAMAGED",
    );
    check(
        &with(|it| it.store.unreadable = Some(damaged())),
        Degraded,
        "STORE_DAMAGED",
    );
    check(
        &with(|it| it.is_draining = true),
        NotServing,
        "NODE_DRAINING",
    );
    check(&with(|it| it.is_held = true), Degraded, "NODE_HELD");
    let not_read = ReloadFailure {
        what: "certificates",
        message: "`node.pem` cannot be read".to_owned(),
    };
    check(
        &with(|it| it.reload_failures = vec![not_read.clone()]),
        Degraded,
        "RELOAD_FAILED",
    );
    check(
        &with(|it| it.audit_failure = Some("no space left on device".to_owned())),
        Degraded,
        "AUDIT_LOG_FAILED",
    );
    check(&with_usage(|it| it.bytes = 89 * MIB), Serving, "");
    check(
        &with_usage(|it| it.bytes = 90 * MIB),
        Degraded,
        "STORE_NEARLY_FULL",
    );
    check(
        &with_usage(|it| it.bytes = 101 * MIB),
        Degraded,
        "STORE_FULL",
    );
    // A twentieth of the disk, above what must stay free.
    check(&with_free(565 * MIB), Serving, "");
    check(&with_free(564 * MIB), Degraded, "DISK_NEARLY_FULL");
    check(&with_free(64 * MIB), Degraded, "DISK_FULL");
    check(&with_usage(|it| it.disk = None), Serving, "");
    check(
        &with(|it| it.controls = vec![paused("a")]),
        Serving,
        "SERVICES_PAUSED",
    );
}

#[test]
fn work_that_waits_is_a_fault_unless_an_operator_wants_it() {
    use Health::{Degraded, Serving};
    let unserved = |pending| {
        with(|it| {
            it.unserved_with_pending = usize::from(pending > 0);
            it.unserved = vec![UnservedService {
                service: name("a"),
                pending,
                last_served: None,
            }];
        })
    };
    check(&unserved(0), Serving, "");
    check(&unserved(1), Degraded, "SERVICE_UNSERVED");
    let late = |minutes, waits_for| with(|it| it.oldest_due = vec![due(minutes, waits_for)]);
    check(&late(5, WaitsFor::Turn), Serving, "");
    check(&late(6, WaitsFor::Turn), Degraded, "OLDEST_DUE_LATE");
    check(&late(60, WaitsFor::Paused), Serving, "");
    // `SERVICE_UNSERVED` tells of these.
    check(&late(60, WaitsFor::NoWorker), Serving, "");
}

#[test]
fn a_limit_is_a_reason_where_work_is_refused_beyond_it() {
    use Health::{Degraded, Serving};
    let limits = |limits: &[LimitUse]| with(|it| it.limits = limits.to_vec());
    check(&limits(&[limit("pending", 89, true)]), Serving, "");
    check(&limits(&[limit("concurrency", 100, false)]), Serving, "");
    check(&limits(&[limit("bytes", 95, true)]), Serving, "");
    let both = [limit("concurrency", 100, false), limit("pending", 90, true)];
    check(&limits(&both), Degraded, "LIMIT_NEARLY_HIT");
}

#[track_caller]
fn message(status: &NodeStatus) -> String {
    reasons(status).remove(0).message
}

#[test]
fn a_full_disk_says_what_frees_it_now_and_what_later() {
    let with_empty = |empty: u64| {
        let mut status = with_free(64 * MIB);
        if let Some(usage) = &mut status.store.usage {
            usage.empty = empty;
        }
        message(&status)
    };
    let text = with_empty(2 * MIB);
    for part in [
        "64 MiB of the disk are free, 64 MiB must stay free",
        "remove other files from it",
        "The file of the store has 12 MiB: `cidery purge ",
        "(2 MiB are empty now), which is returned to the disk once it is more than 3 MiB",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = with_empty(30 * MIB);
    let part = "(30 MiB are empty now), which is being returned to the disk";
    assert!(text.contains(part), "{text}");
}

#[test]
fn paused_services_are_told_with_the_command_of_each() {
    let disabled = |service: &str| {
        Arc::new(ServiceControl {
            disabled: Some(Disabled {
                cause: ControlCause::default(),
                time: Timestamp::UNIX_EPOCH,
            }),
            ..ServiceControl::none(name(service))
        })
    };
    let both = Arc::new(ServiceControl {
        paused: paused("a").paused.clone(),
        ..ServiceControl::clone(&disabled("a"))
    });
    let mut in_background = ServiceControl::clone(&paused("a"));
    if let Some(paused) = &mut in_background.paused {
        paused.background_only = true;
    }
    let in_background = Arc::new(in_background);
    let (resume, enable) = (
        "`cidery service resume a` ends that",
        "`cidery service enable a` ends that",
    );
    for (controls, expected) in [
        (vec![paused("a")], format!("`a` is paused: {resume}")),
        (vec![disabled("a")], format!("`a` is disabled: {enable}")),
        (
            vec![both],
            format!("`a` is paused: {resume}; `a` is disabled: {enable}"),
        ),
        (
            vec![paused("a"), paused("b"), paused("c")],
            format!("`a` and 2 other services are paused: {resume}"),
        ),
        (
            vec![in_background],
            format!("`a` is paused in the background: {resume}"),
        ),
    ] {
        let status = with(|it| it.controls.clone_from(&controls));
        assert_eq!(message(&status), expected);
    }
}

#[test]
fn a_certificate_is_a_reason_for_fourteen_days_before_its_end_and_after_it() {
    use Health::{Degraded, Serving};
    let ends_in = |left: SignedDuration| {
        with(|it| {
            it.certificate = Some(Arc::new(NodeCertificate {
                names: vec!["localhost".to_owned()],
                expire_time: it.time + left,
            }));
        })
    };
    let fortnight = SignedDuration::from_hours(14 * 24);
    let second = SignedDuration::from_secs(1);
    check(&ends_in(fortnight + second), Serving, "");
    check(&ends_in(fortnight), Degraded, "CERTIFICATE_EXPIRES_SOON");
    check(&ends_in(second), Degraded, "CERTIFICATE_EXPIRES_SOON");
    check(
        &ends_in(SignedDuration::ZERO),
        Degraded,
        "CERTIFICATE_EXPIRED",
    );
    check(&ends_in(-fortnight), Degraded, "CERTIFICATE_EXPIRED");
}

#[test]
fn the_most_urgent_reason_comes_first() {
    let mut status = with_free(64 * MIB);
    status.is_held = true;
    status.controls = vec![paused("a")];
    status.store.failure = Some(failed());
    let found = reasons(&status);
    let names: Vec<_> = found.iter().map(|found| found.reason).collect();
    let expected = ["STORE_FAILED", "DISK_FULL", "NODE_HELD", "SERVICES_PAUSED"];
    assert_eq!(
        (worst(&found), names),
        (Health::NotServing, expected.to_vec())
    );
}
