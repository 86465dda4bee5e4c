//! The head of the screen: the node, its totals, and what is wrong with it.

use std::time::Duration;

use ratatui::text::{Line, Span};

use super::text::{Theme, cut, width};
use crate::app::cli::names::node_health_name;
use crate::app::cli::times::{between, duration_text};
use crate::app::cli::top::data::Connection;
use crate::app::cli::top::numbers::rate_text;
use crate::app::cli::top::state::State;
use crate::app::cli::top::table::Tone;
use crate::app::cli::top::view::View;
use crate::codec::proto::v1;
use crate::model::size::size_text;

/// The lines of the head.
pub(super) const LINES: u16 = 5;

/// The head.
pub(super) fn lines(state: &State, wide: usize, theme: Theme) -> Vec<Line<'static>> {
    let plain = theme.of(Tone::Plain);
    vec![
        node(state, wide, theme),
        Line::styled(cut(&totals(state), wide), plain),
        Line::styled(cut(&store(state), wide), plain),
        attention(state, wide, theme),
        lists(state, wide, theme),
    ]
}

/// The node, its version, since when it runs, and its health at the right.
fn node(state: &State, wide: usize, theme: Theme) -> Line<'static> {
    let status = state.data.status.as_ref();
    let version = status.map(|status| format!("  version {}", status.version));
    let start = state.data.window.start_time();
    let up = start.map(|start| {
        let up = Duration::from_secs(between(start, state.now).as_secs());
        format!("  up {}", duration_text(up))
    });
    let (health, tone) = health(state);
    let room = wide.saturating_sub(width(&health) + 1);
    let (version, up) = (version.unwrap_or_default(), up.unwrap_or_default());
    let left = cut(&format!("cidery top  {}{version}{up}", state.node), room);
    let space = " ".repeat(room.saturating_sub(width(&left)) + 1);
    Line::from(vec![
        Span::styled(left, theme.of(Tone::Plain)),
        Span::raw(space),
        Span::styled(cut(&health, wide), theme.fresh(tone)),
    ])
}

fn health(state: &State) -> (String, Tone) {
    match (&state.data.connection, &state.data.status) {
        (Connection::Loading, _) => ("CONNECTING".to_owned(), Tone::Quiet),
        (Connection::Lost(_), _) => ("RECONNECTING".to_owned(), Tone::Bad),
        (Connection::Refused(_), _) => ("REFUSED".to_owned(), Tone::Bad),
        (Connection::Live, None) => (String::new(), Tone::Quiet),
        (Connection::Live, Some(status)) => {
            let tone = match status.health() {
                v1::NodeHealth::Serving => Tone::Good,
                v1::NodeHealth::Degraded => Tone::Warning,
                v1::NodeHealth::NotServing | v1::NodeHealth::Unspecified => Tone::Bad,
            };
            (node_health_name(status.health).to_owned(), tone)
        }
    }
}

/// What all services do together.
fn totals(state: &State) -> String {
    let data = &state.data;
    if !data.has_answered() {
        return "calls -/s  failed -/s  running -  queued -  pending -".to_owned();
    }
    let rates = || data.stats.iter().map(|one| data.window.rates(&one.service));
    let rate = |rates: Option<f64>| rates.map_or_else(|| "-".to_owned(), rate_text);
    let calls = rate(rates().map(|one| one.calls).sum());
    let failures = rate(rates().map(|one| one.failures).sum());
    let sum = |count: fn(&v1::ServiceStats) -> u64| data.stats.iter().map(count).sum::<u64>();
    let (running, queued) = (sum(|one| one.running), sum(|one| one.queued));
    let pending = sum(|one| one.pending);
    let held = data.status.as_ref().map(|status| status.held_invocations);
    let held = held
        .map(|held| format!("  held {held}"))
        .unwrap_or_default();
    format!(
        "calls {calls}/s  failed {failures}/s  running {running}  queued {queued}  pending {pending}{held}"
    )
}

/// What the node has.
fn store(state: &State) -> String {
    let Some(status) = &state.data.status else {
        return String::new();
    };
    let away = match status.workers_away {
        0 => String::new(),
        away => format!(" ({away} away)"),
    };
    let disk = match status.disk_free_bytes {
        0 => String::new(),
        free => format!("  disk {} free", size_text(free)),
    };
    format!(
        "services {}  workers {}{away}  store {} {} of {}{disk}",
        status.services,
        status.workers,
        status.store,
        size_text(status.store_size_bytes),
        size_text(status.store_bytes_limit)
    )
}

/// What needs attention first.
fn attention(state: &State, wide: usize, theme: Theme) -> Line<'static> {
    let (text, tone) = match &state.data.connection {
        Connection::Lost(why) => (format!("reconnecting: {why}"), Tone::Bad),
        Connection::Refused(why) => (refusal(why), Tone::Bad),
        Connection::Loading => ("connecting …".to_owned(), Tone::Quiet),
        Connection::Live => {
            let status = state.data.status.as_ref();
            let reasons = status.map(|status| status.health_reasons.as_slice());
            match reasons.unwrap_or_default() {
                [] => (String::new(), Tone::Plain),
                [first] => (
                    format!("{}: {}", first.reason, first.message),
                    Tone::Warning,
                ),
                [first, more @ ..] => {
                    let (reason, more) = (&first.reason, more.len());
                    let text = format!("{reason} (and {more} more): {}", first.message);
                    (text, Tone::Warning)
                }
            }
        }
    };
    Line::styled(cut(&text, wide), theme.fresh(tone))
}

/// What the node refuses, and why.
pub(super) fn refusal(why: &str) -> String {
    format!("the node refuses: {why}")
}

/// The lists, with the one that is shown, and the filter.
fn lists(state: &State, wide: usize, theme: Theme) -> Line<'static> {
    let lists = [
        (View::Services, "1 services"),
        (View::Workers, "2 workers"),
        (View::Failures, "3 failures"),
    ];
    let mut spans = Vec::new();
    let mut used = 0;
    for (list, name) in lists {
        let (name, tone) = match *state.list() == list {
            true => (format!("[{name}] "), Tone::Plain),
            false => (format!(" {name}  "), Tone::Quiet),
        };
        used += width(&name);
        spans.push(Span::styled(name, theme.fresh(tone)));
    }
    let open = match state.view() {
        View::Service(name) => format!(" › {name}"),
        View::Invocation(cid) => format!(" › {cid}"),
        View::Services | View::Workers | View::Failures => String::new(),
    };
    let filter = state.table_view().map(|view| view.filter.as_str());
    let filter = match filter.unwrap_or_default() {
        "" => String::new(),
        filter => format!("  filter: {filter}"),
    };
    let rest = cut(&format!("{open}{filter}"), wide.saturating_sub(used));
    spans.push(Span::styled(rest, theme.fresh(Tone::Warning)));
    Line::from(spans)
}
