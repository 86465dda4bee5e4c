//! The health of a node, from its status: what is wrong, and what to do. Pure.

use jiff::SignedDuration;

use crate::engine::status::limits::LimitUse;
use crate::engine::status::node_status::{
    DueLongest, Health, HealthReason, NodeStatus, StoreStatus, WaitsFor,
};
use crate::engine::store::{DiskUsage, StoreUsage};
use crate::model::error::reason;
use crate::model::service_control::ServiceControl;
use crate::model::size::size_text;

/// From which part of a limit on it is nearly hit, in hundredths.
const NEAR_PERCENT: u64 = 90;
/// How long an invocation may be due before that is a reason: a burst of work may take that long.
const LATE: SignedDuration = SignedDuration::from_mins(5);
/// How many free bytes, above what must stay free, are few.
const LOW_DISK: u64 = 1 << 30;
/// The same, as a part of a small disk.
const LOW_DISK_FRACTION: u64 = 20;

/// Above this part of its file, what is empty in the store is returned to the disk.
const RETURNED_FRACTION: u64 = 4;
const PURGE: &str = "cidery purge --state succeeded";
/// What helps where the store is full.
const MAKE_ROOM: &str = "`cidery purge --state succeeded` removes what has succeeded, with its outcomes, and new work \
     has their room at once (`--dry-run` counts them, `--ended-before 1h` spares those of the last hour); what is \
     pending, held or failed stays. If most is, `cidery serve --store-limit` sets another limit";
/// How long before its end a certificate is a reason.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
const SEE_TLS: &str = "`docs/tls.md` says how";

/// All reasons. `docs/operate.md` says what to do for each.
pub const HEALTH_REASONS: [&str; 17] = [
    "STORE_FAILED",
    "STORE_DAMAGED",
    "NODE_DRAINING",
    "DISK_FULL",
    "STORE_FULL",
    "DISK_NEARLY_FULL",
    "STORE_NEARLY_FULL",
    "NODE_HELD",
    "CERTIFICATE_EXPIRED",
    "AUDIT_LOG_FAILED",
    "RELOAD_FAILED",
    "SERVICE_UNSERVED",
    "SERVICE_FAILING",
    "OLDEST_DUE_LATE",
    "LIMIT_NEARLY_HIT",
    "CERTIFICATE_EXPIRES_SOON",
    "SERVICES_PAUSED",
];

/// The reasons of a status, the most urgent first.
pub(super) fn reasons(status: &NodeStatus) -> Vec<HealthReason> {
    let checks = [
        store_failure,
        draining,
        store_room,
        held,
        expired,
        audit_failed,
        reload_failed,
        unserved,
        failing,
        late,
        near_limit,
        expires_soon,
        paused,
    ];
    let found = checks.iter().filter_map(|check| check(status));
    let mut reasons: Vec<_> = found.collect();
    // The order of the checks holds among those with the same health.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.health));
    reasons
}

/// The health of a node with these reasons.
pub(super) fn worst(reasons: &[HealthReason]) -> Health {
    let health = reasons.iter().map(|reason| reason.health);
    health.max().unwrap_or(Health::Serving)
}

fn found(health: Health, reason: &'static str, message: String) -> Option<HealthReason> {
    Some(HealthReason {
        reason,
        message,
        health,
    })
}

fn store_failure(status: &NodeStatus) -> Option<HealthReason> {
    let StoreStatus {
        failure,
        unreadable,
        ..
    } = &status.store;
    let (health, error) = match (failure, unreadable) {
        (Some(error), _) => (Health::NotServing, error),
        (None, Some(error)) => (Health::Degraded, error),
        (None, None) => return None,
    };
    let (reason, what_to_do) = match error.reason() {
        reason::STORE_DAMAGED => (
            "STORE_DAMAGED",
            "stop the node, and restore a backup: `docs/store.md`",
        ),
        _ => (
            "STORE_FAILED",
            "the log of the node says more; mend the disk, then restart the node",
        ),
    };
    found(health, reason, format!("{}: {what_to_do}", error.message()))
}

fn draining(status: &NodeStatus) -> Option<HealthReason> {
    if !status.is_draining {
        return None;
    }
    let message = format!(
        "the node stops: {} handlers still run, and calls go to another node, or wait for the next start",
        status.running
    );
    found(Health::NotServing, "NODE_DRAINING", message)
}

fn store_room(status: &NodeStatus) -> Option<HealthReason> {
    let usage = status.store.usage?;
    let StoreUsage {
        bytes,
        accept_limit,
        disk,
        ..
    } = usage;
    let is_near = u128::from(bytes) * 100 >= u128::from(accept_limit) * u128::from(NEAR_PERCENT);
    let (reason, message) = match disk {
        Some(disk) if disk.free <= disk.min_free => (
            "DISK_FULL",
            format!(
                "{} of the disk are free, {} must stay free, and background work is refused: {}",
                size_text(disk.free),
                size_text(disk.min_free),
                free_the_disk(usage)
            ),
        ),
        _ if bytes > accept_limit => (
            "STORE_FULL",
            format!(
                "the store has {}, more than the {} up to which it takes background work: {MAKE_ROOM}",
                size_text(bytes),
                size_text(accept_limit)
            ),
        ),
        Some(disk) if disk.free <= low(disk) => (
            "DISK_NEARLY_FULL",
            format!(
                "{} of the disk are free; at {} background work is refused: {}",
                size_text(disk.free),
                size_text(disk.min_free),
                free_the_disk(usage)
            ),
        ),
        _ if is_near => (
            "STORE_NEARLY_FULL",
            format!(
                "the store has {}; beyond {} background work is refused: {MAKE_ROOM}",
                size_text(bytes),
                size_text(accept_limit)
            ),
        ),
        _ => return None,
    };
    found(Health::Degraded, reason, message)
}

/// What helps where the disk is full, now and later: what is purged is not free on the disk at once.
fn free_the_disk(usage: StoreUsage) -> String {
    let file = usage.bytes.saturating_add(usage.empty);
    let quarter = file / RETURNED_FRACTION;
    let returned = match usage.empty > quarter {
        true => "which is being returned to the disk".to_owned(),
        false => format!(
            "which is returned to the disk once it is more than {}",
            size_text(quarter)
        ),
    };
    format!(
        "remove other files from it, or old copies from `backups` in the data directory, which helps at once. The \
         file of the store has {}: `{PURGE}` empties a part of it ({} are empty now), {returned}, 16 MiB every 10 s",
        size_text(file),
        size_text(usage.empty)
    )
}

/// From how many free bytes on a disk is nearly full: 1 GiB, or a twentieth of a small disk, above what must stay free.
fn low(disk: DiskUsage) -> u64 {
    disk.min_free
        .saturating_add(LOW_DISK.min(disk.total / LOW_DISK_FRACTION))
}

fn held(status: &NodeStatus) -> Option<HealthReason> {
    if !status.is_held {
        return None;
    }
    let message = "the node was started with `--hold`: it accepts invocations and starts none until `cidery resume`";
    found(Health::Degraded, "NODE_HELD", message.to_owned())
}

fn expired(status: &NodeStatus) -> Option<HealthReason> {
    let end = status.certificate.as_ref()?.expire_time;
    if end > status.time {
        return None;
    }
    let message = format!(
        "the certificate of the node has expired ({end}), and clients refuse it: replace its files, which the node \
         then reads; {SEE_TLS}"
    );
    found(Health::Degraded, "CERTIFICATE_EXPIRED", message)
}

fn audit_failed(status: &NodeStatus) -> Option<HealthReason> {
    let failure = status.audit_failure.as_ref()?;
    let message = format!(
        "the audit log is not written, and its lines are lost: {failure}: make room for its file, or let it be \
         written; the next line that is written ends this"
    );
    found(Health::Degraded, "AUDIT_LOG_FAILED", message)
}

fn reload_failed(status: &NodeStatus) -> Option<HealthReason> {
    let failures = status.reload_failures.iter();
    let failures = failures.map(|failure| format!("{} ({})", failure.what, failure.message));
    let failures: Vec<_> = failures.collect();
    if failures.is_empty() {
        return None;
    }
    let message = format!(
        "these could not be read again, and the node goes on with what it has: {}; mend the files, then reload \
         (`systemctl reload`, SIGHUP)",
        failures.join(", ")
    );
    found(Health::Degraded, "RELOAD_FAILED", message)
}

fn expires_soon(status: &NodeStatus) -> Option<HealthReason> {
    let end = status.certificate.as_ref()?.expire_time;
    let left = end.duration_since(status.time);
    if left <= SignedDuration::ZERO || left > SOON {
        return None;
    }
    let left = match left.as_hours() {
        hours @ 48.. => format!("{} days", hours / 24),
        1 => "1 hour".to_owned(),
        0 => "less than an hour".to_owned(),
        hours => format!("{hours} hours"),
    };
    let message = format!(
        "the certificate of the node expires in {left} ({end}): replace its files, which the node then reads; \
         {SEE_TLS}"
    );
    found(Health::Degraded, "CERTIFICATE_EXPIRES_SOON", message)
}

fn unserved(status: &NodeStatus) -> Option<HealthReason> {
    if status.unserved_with_pending == 0 {
        return None;
    }
    // The one with most pending invocations comes first.
    let first = status.unserved.first().filter(|first| first.pending > 0)?;
    let others = match status.unserved_with_pending.saturating_sub(1) {
        0 => String::new(),
        1 => ", and those of another service".to_owned(),
        others => format!(", and those of {others} other services"),
    };
    let message = format!(
        "{pending} of `{name}` {wait}{others}, because no worker serves it: start one; `cidery describe {name}` shows \
         when it was last served, `cidery workers` who is connected",
        pending = invocations(first.pending),
        wait = if first.pending == 1 { "waits" } else { "wait" },
        name = first.service,
    );
    found(Health::Degraded, "SERVICE_UNSERVED", message)
}

fn failing(status: &NodeStatus) -> Option<HealthReason> {
    let first = status.failing.now.first()?;
    let others = match status.failing.all_now.saturating_sub(1) {
        0 => String::new(),
        1 => "; another service fails as well".to_owned(),
        others => format!("; {others} other services fail as well"),
    };
    let message = format!(
        "{failures} of {calls} calls and attempts of `{name}` failed in the last 10 minutes with {reason}, the last \
         one {cid}{others}: the log of its worker says why. `cidery service pause {name}` lets background work wait \
         meanwhile, `cidery dead-letters` shows what is held and failed, `cidery invocations --service {name} \
         --failure {reason}` each of them",
        failures = first.failures,
        calls = first.calls,
        name = first.service,
        reason = first.reason,
        cid = first.example,
    );
    found(Health::Degraded, "SERVICE_FAILING", message)
}

fn late(status: &NodeStatus) -> Option<HealthReason> {
    let is_late = |due: &&DueLongest| {
        due.waits_for == WaitsFor::Turn && status.time.duration_since(due.due) > LATE
    };
    let first = status.oldest_due.iter().find(is_late)?;
    let waited = status.time.duration_since(first.due);
    let waited = SignedDuration::from_secs(waited.as_secs());
    let name = &first.service;
    let message = format!(
        "{cid} of `{name}` has been due for {waited:#}, and {pending} of the service are pending: add workers or \
         concurrency; `cidery explain {cid}` and `cidery describe {name}` show more",
        cid = first.cid,
        pending = first.pending,
    );
    found(Health::Degraded, "OLDEST_DUE_LATE", message)
}

fn near_limit(status: &NodeStatus) -> Option<HealthReason> {
    // The room of the store has reasons of its own.
    let is_near = |limit: &&LimitUse| {
        limit.refuses && limit.name != "bytes" && limit.has_reached(NEAR_PERCENT)
    };
    let first = status.limits.iter().find(is_near)?;
    let of = match &first.service {
        Some(service) => format!("`{}` of `{service}`", first.name),
        None => format!("`{}` of the node", first.name),
    };
    let message = format!(
        "{} of {} of the limit {of} are used, and work beyond it is refused: `cidery status` shows the limits; raise \
         it, or find out what fills it",
        first.used, first.limit
    );
    found(Health::Degraded, "LIMIT_NEARLY_HIT", message)
}

fn paused(status: &NodeStatus) -> Option<HealthReason> {
    type IsSo = fn(&ServiceControl) -> bool;
    let kinds: [(IsSo, &str, &str); 3] = [
        (
            |it| it.paused.is_some() && !it.is_background_only(),
            "paused",
            "resume",
        ),
        (
            ServiceControl::is_background_only,
            "paused in the background",
            "resume",
        ),
        (|it| it.disabled.is_some(), "disabled", "enable"),
    ];
    let each = kinds.into_iter().filter_map(|(is_so, what, verb)| {
        let mut services = status.controls.iter().filter(|control| is_so(control));
        let name = &services.next()?.service;
        let are = match services.count() {
            0 => format!("`{name}` is {what}"),
            1 => format!("`{name}` and another service are {what}"),
            more => format!("`{name}` and {more} other services are {what}"),
        };
        Some(format!("{are}: `cidery service {verb} {name}` ends that"))
    });
    let each: Vec<_> = each.collect();
    match each.is_empty() {
        true => None,
        false => found(Health::Serving, "SERVICES_PAUSED", each.join("; ")),
    }
}

fn invocations(count: usize) -> String {
    match count {
        1 => "1 pending invocation".to_owned(),
        _ => format!("{count} pending invocations"),
    }
}

#[cfg(test)]
mod tests;
