//! The tables of `top`: services, workers, and invocations, as rows of cells.

use jiff::Timestamp;

use super::data::{Data, Invocations};
use super::numbers::{age_text, rate_text, seconds_since, seconds_text};
use super::poll::MAX_INVOCATIONS;
use super::table::{Cell, Column, Row, Table, Tone};
use crate::app::cli::names::{failure, reason_name, service_name, short_cid, state_name};
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;

/// The column of rates, by which services are sorted at first.
pub(super) const CALLS: usize = 3;

const SERVICES: [Column; 12] = [
    Column::growing("SERVICE", 16),
    Column::text("STATE", 9, 0),
    Column::text("SERVED BY", 10, 7),
    Column::number("CALLS/S", 7, 0),
    Column::number("P50", 6, 4),
    Column::number("P99", 6, 2),
    Column::number("RUN", 4, 3),
    Column::number("QUEUED", 6, 6),
    Column::number("PENDING", 7, 1),
    Column::number("OLDEST", 6, 5),
    Column::number("FAIL/S", 6, 0),
    Column::text("LAST FAILURE", 20, 8),
];

const WORKERS: [Column; 8] = [
    Column::growing("WORKER", 14),
    Column::text("STATE", 8, 0),
    Column::number("RUN", 5, 0),
    Column::number("CREDITS", 7, 1),
    Column::text("BUILD", 14, 2),
    Column::number("AGE", 5, 3),
    Column::text("SERVICES", 28, 4),
    Column::text("PEER", 21, 5),
];

const INVOCATIONS: [Column; 8] = [
    Column::number("AGE", 5, 0),
    Column::text("CID", 18, 0),
    Column::growing("SERVICE", 14),
    Column::text("STATE", 9, 0),
    Column::number("ATTEMPT", 7, 3),
    Column::number("TOOK", 6, 2),
    Column::text("REASON", 16, 1),
    Column::text("MESSAGE", 40, 4),
];

/// The services.
pub(super) fn services(data: &Data, now: Timestamp) -> Table {
    let rows = data.stats.iter().map(|stats| service(data, stats, now));
    let all = data.status.as_ref().map(|status| status.services);
    let shown = data.stats.len();
    Table {
        columns: &SERVICES,
        rows: rows.collect(),
        if_empty: match data.has_answered() {
            true => "the node has no services".to_owned(),
            false => "the node has not told its services".to_owned(),
        },
        left_out: data.has_more.then(|| match all {
            Some(all) => format!("the first {shown} of {all} services by name"),
            None => format!("the first {shown} services by name"),
        }),
    }
}

fn service(data: &Data, stats: &v1::ServiceStats, now: Timestamp) -> Row {
    let rates = data.window.rates(&stats.service);
    let place = data.places.get(&stats.service);
    let oldest = stats.oldest_due_time.as_ref();
    let oldest = oldest.and_then(timestamp_from_proto);
    Row {
        key: stats.service.clone(),
        cells: vec![
            Cell::text(&stats.service),
            state_of(place),
            served_by(stats, place),
            rate(rates.calls, Tone::Plain),
            known(rates.p50, seconds_text),
            known(rates.p99, seconds_text),
            Cell::count(stats.running),
            warn(Cell::count(stats.queued)),
            Cell::count(stats.pending),
            known(oldest.map(|time| seconds_since(time, now)), age_text),
            rate(rates.failures, Tone::Bad),
            Cell::text(&stats.last_failure_reason).tone(Tone::Bad),
        ],
    }
}

/// A number that may not be known.
fn known(number: Option<f64>, text: fn(f64) -> String) -> Cell {
    match number {
        Some(number) => Cell::number(text(number), number),
        None => Cell::text("-").tone(Tone::Quiet),
    }
}

fn rate(rate: Option<f64>, tone: Tone) -> Cell {
    let tone = match rate {
        Some(rate) if rate > 0.0 => tone,
        _ => Tone::Quiet,
    };
    known(rate, rate_text).tone(tone)
}

fn warn(cell: Cell) -> Cell {
    match cell.number {
        Some(number) if number > 0.0 => cell.tone(Tone::Warning),
        _ => cell,
    }
}

/// Whether a service is paused, disabled, or has no worker.
fn state_of(place: Option<&v1::ServiceSummary>) -> Cell {
    match place.map(v1::ServiceSummary::health) {
        Some(v1::ServiceHealth::Paused) => Cell::text("paused").tone(Tone::Warning),
        Some(v1::ServiceHealth::Disabled) => Cell::text("disabled").tone(Tone::Warning),
        Some(v1::ServiceHealth::NoWorker) => Cell::text("no worker").tone(Tone::Bad),
        _ => Cell::default(),
    }
}

/// `in node`, `2 workers`, `none`
fn served_by(stats: &v1::ServiceStats, place: Option<&v1::ServiceSummary>) -> Cell {
    let text = match (stats.workers, place) {
        (1, _) => "1 worker".to_owned(),
        (workers @ 2.., _) => format!("{workers} workers"),
        (0, Some(place)) if place.locations > 0 && place.workers.is_empty() => "in node".to_owned(),
        (0, Some(_)) => "none".to_owned(),
        (0, None) => String::new(),
    };
    Cell::number(text, f64::from(stats.workers))
}

/// The workers.
pub(super) fn workers(data: &Data, now: Timestamp) -> Table {
    let found = data.workers.as_ref();
    let workers = found.map(|found| found.workers.as_slice());
    let workers = workers.unwrap_or_default();
    let is_cut = found.is_some_and(|found| !found.next_page_token.is_empty());
    Table {
        columns: &WORKERS,
        rows: workers.iter().map(|one| worker(one, now)).collect(),
        if_empty: match found {
            Some(_) => "no workers are connected".to_owned(),
            None => LOADING.to_owned(),
        },
        left_out: is_cut.then(|| format!("the first {} workers by name", workers.len())),
    }
}

const LOADING: &str = "…";

fn worker(worker: &v1::Worker, now: Timestamp) -> Row {
    let state = match (worker.away, worker.draining) {
        (true, _) => Cell::text("away").tone(Tone::Bad),
        (_, true) => Cell::text("draining").tone(Tone::Warning),
        _ => Cell::text("ready").tone(Tone::Good),
    };
    Row {
        key: worker.id.clone(),
        cells: vec![
            Cell::text(&worker.name),
            state,
            Cell::count(worker.in_flight.into()),
            Cell::count(worker.max_in_flight.into()),
            Cell::text(&worker.build_id),
            age(worker.connect_time.as_ref(), now),
            Cell::text(worker.services.join(", ")),
            Cell::text(&worker.peer),
        ],
    }
}

fn age(time: Option<&prost_types::Timestamp>, now: Timestamp) -> Cell {
    let time = time.and_then(timestamp_from_proto);
    known(time.map(|time| seconds_since(time, now)), age_text)
}

/// The invocations of the dead-letter queue.
pub(super) fn failures(read: &Invocations, now: Timestamp) -> Table {
    invocations(
        read,
        now,
        "no stored invocation failed, or all have been retried since",
    )
}

/// The newest invocations of a service.
pub(super) fn recent(read: &Invocations, now: Timestamp) -> Table {
    invocations(read, now, "no invocation of it is stored")
}

fn invocations(read: &Invocations, now: Timestamp, if_empty: &str) -> Table {
    Table {
        columns: &INVOCATIONS,
        rows: read.found.iter().map(|one| invocation(one, now)).collect(),
        if_empty: match read.is_known {
            true => if_empty.to_owned(),
            false => LOADING.to_owned(),
        },
        left_out: read
            .has_more
            .then(|| format!("the newest {MAX_INVOCATIONS}")),
    }
}

fn invocation(invocation: &v1::Invocation, now: Timestamp) -> Row {
    let state = state_name(invocation.state).to_lowercase();
    let tone = match invocation.state() {
        v1::State::Succeeded => Tone::Good,
        v1::State::Failed => Tone::Bad,
        v1::State::Cancelled | v1::State::Expired => Tone::Warning,
        _ => Tone::Plain,
    };
    let failure = failure(invocation).or(invocation.last_failure.as_ref());
    let message = failure.map_or("", |failure| &failure.message);
    Row {
        key: invocation.cid.clone(),
        cells: vec![
            age(invocation.accept_time.as_ref(), now),
            Cell::text(short_cid(&invocation.cid)),
            Cell::text(service_name(invocation)),
            Cell::text(state).tone(tone),
            Cell::count(invocation.attempt.into()),
            known(took(invocation, now), seconds_text),
            Cell::text(reason_name(invocation)),
            Cell::text(message),
        ],
    }
}

/// The seconds from the first attempt to the end, or until now.
fn took(invocation: &v1::Invocation, now: Timestamp) -> Option<f64> {
    let start = invocation.first_attempt_time.as_ref();
    let start = start.and_then(timestamp_from_proto)?;
    let end = invocation.end_time.as_ref().and_then(timestamp_from_proto);
    Some(seconds_since(start, end.unwrap_or(now)))
}
