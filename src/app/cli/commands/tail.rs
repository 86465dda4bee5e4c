//! `cidery tail`: what becomes of invocations, one line each, for reading.

use std::collections::{HashSet, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::app::cli::event_stream::{EventStream, Next};
use crate::app::cli::event_text::{invocation_word, last_failure};
use crate::app::cli::filter_text::{combine, filter_text};
use crate::app::cli::fit_text::{cut, fit, width};
use crate::app::cli::names::{service_name, short_cid};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::cli::stop::ended_by;
use crate::app::cli::times::{between, duration_text, past_time, time_of_day};
use crate::codec::convert::{timestamp_from_proto, timestamp_to_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::watch_events_response::Subject;
use crate::engine::clock::Clock;
use crate::model::error::Result;
use crate::remote::client::ContractClient;
use crate::service::runtime::Signals;

/// How many invocations are read of those that ended before, or while the node could not be reached.
const MAX_MISSED: usize = 10_000;
/// How many CIDs of invocations that were shown are remembered: more than a node can end within [`OVERLAP`].
const MAX_SHOWN: usize = 16_384;
/// How far back it is read what ended, before the last event: events are not sent in the order of their times.
const OVERLAP: Duration = Duration::from_secs(1);
/// The width of the name of a service, which is seldom longer.
const SERVICE_WIDTH: usize = 24;
/// The space between two parts of a line.
const INDENT: usize = 2;

/// Read what becomes of invocations: those that end, attempts that fail, invocations that are held.
///
/// One line each: the time, the service, what happened, the CID, the time since the first attempt started, the number
/// of the attempt, and the reason of a failure, which a narrow terminal shows on a line of its own. What ended while
/// the node could not be reached is shown once it is back; attempts that failed meanwhile are not. Ctrl-C ends the
/// command.
///
/// `cidery events` has also what happens to services, workers and operations, and is for alerts and programs.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Tail {
    /// Only invocations that match a filter, such as `service = customer.get AND state = FAILED`.
    ///
    /// docs/filters.md describes the language.
    #[arg(value_parser = filter_text, value_name = "FILTER")]
    filter: Option<v1::InvocationFilter>,
    /// Begin with invocations that ended since then: an age (`10m`, `2h`), a local date or time, or RFC 3339.
    #[arg(long, value_parser = past_time, value_name = "TIME")]
    since: Option<Timestamp>,
    #[command(flatten)]
    node: NodeArgs,
}

impl Tail {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let mut signals = Signals::new()?;
        let signal = tokio::select! {
            failed = self.read(printer) => return failed.map(|()| ExitCode::SUCCESS),
            signal = signals.next() => signal,
        };
        Ok(match signal {
            "SIGTERM" | "SIGHUP" => ended_by(signal),
            _ => ExitCode::SUCCESS,
        })
    }

    /// Reads until the node refuses.
    async fn read(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let filter = self.filter.unwrap_or_default();
        let mut events = EventStream::open(&client, request(&filter)).await?;
        let node = client.node();
        printer.note(Tone::Quiet, &format!("watching {node}"));
        // The stream is open: what ends from now on is in it.
        let mut reader = Reader {
            seen_until: time_of_node(&client).await,
            shown: Shown::default(),
            filter,
            client: client.clone(),
            printer: printer.clone(),
        };
        if let Some(since) = self.since {
            reader.show_ended(since).await?;
        }
        loop {
            let lost = match events.next().await? {
                Next::Event(event) => {
                    reader.show_event(*event).await?;
                    continue;
                }
                Next::Lost(why) => why,
            };
            let note = format!("lost the node {node}: {lost}; waiting for it");
            printer.note(Tone::Warning, &note);
            events.reopen().await?;
            printer.note(Tone::Good, &format!("watching {node} again"));
            reader.show_missed().await?;
        }
    }
}

fn request(filter: &v1::InvocationFilter) -> v1::WatchEventsRequest {
    let kinds = [
        v1::EventKind::InvocationEnded,
        v1::EventKind::AttemptFailed,
        v1::EventKind::InvocationHeld,
    ];
    v1::WatchEventsRequest {
        kinds: kinds.map(i32::from).to_vec(),
        filter: Some(filter.clone()).filter(|filter| *filter != v1::InvocationFilter::default()),
        ..v1::WatchEventsRequest::default()
    }
}

/// The time of the node, by which invocations end; that of this machine where the node does not tell.
async fn time_of_node(client: &ContractClient) -> Timestamp {
    let stats = client.service_stats(1).await.unwrap_or_default();
    let time = stats.observe_time.as_ref();
    let time = time.and_then(timestamp_from_proto);
    time.unwrap_or_else(|| Clock::System.now())
}

/// Shows events, and what ended while none came.
struct Reader {
    client: ContractClient,
    printer: Printer,
    filter: v1::InvocationFilter,
    /// The time of the last event.
    seen_until: Timestamp,
    shown: Shown,
}

/// The invocations whose end was shown last.
#[derive(Default)]
struct Shown {
    cids: HashSet<String>,
    in_order: VecDeque<String>,
}

impl Shown {
    /// Whether the invocation is new.
    fn insert(&mut self, cid: &str) -> bool {
        if !self.cids.insert(cid.to_owned()) {
            return false;
        }
        self.in_order.push_back(cid.to_owned());
        if self.in_order.len() > MAX_SHOWN
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.cids.remove(&oldest);
        }
        true
    }
}

impl Reader {
    /// Shows an event, and what ended between it and the one before, if the node has dropped events since.
    async fn show_event(&mut self, event: v1::WatchEventsResponse) -> Result<()> {
        if event.missed > 0 {
            self.show_missed().await?;
        }
        self.show(event);
        Ok(())
    }

    /// Shows what ended since the last event.
    async fn show_missed(&mut self) -> Result<()> {
        let since = self.seen_until.checked_sub(OVERLAP);
        self.show_ended(since.unwrap_or(self.seen_until)).await
    }

    /// Shows what ended since a time, oldest first.
    async fn show_ended(&mut self, since: Timestamp) -> Result<()> {
        let ended_since = v1::InvocationFilter {
            ended_after: Some(timestamp_to_proto(since)),
            ..v1::InvocationFilter::default()
        };
        let filter = combine(ended_since, self.filter.clone())?;
        // One more tells whether these are all.
        let mut ended = self.client.invocations(filter, MAX_MISSED + 1).await?;
        if ended.len() > MAX_MISSED {
            ended.truncate(MAX_MISSED);
            let note = format!("more than {MAX_MISSED} ended: only the newest are shown");
            self.printer.note(Tone::Warning, &note);
        }
        ended.sort_by_key(|invocation| invocation.end_time.as_ref().and_then(timestamp_from_proto));
        for invocation in ended {
            self.show(v1::WatchEventsResponse {
                event_time: invocation.end_time,
                kind: v1::EventKind::InvocationEnded.into(),
                subject: Some(Subject::Invocation(invocation)),
                ..v1::WatchEventsResponse::default()
            });
        }
        Ok(())
    }

    /// Shows an event, unless it is the end of an invocation that was shown.
    fn show(&mut self, mut event: v1::WatchEventsResponse) {
        let kind = event.kind();
        let time = event.event_time.as_ref().and_then(timestamp_from_proto);
        let (Some(Subject::Invocation(invocation)), Some(time)) = (&event.subject, time) else {
            return;
        };
        let ended = kind == v1::EventKind::InvocationEnded;
        if ended && !self.shown.insert(&invocation.cid) {
            return;
        }
        self.seen_until = self.seen_until.max(time);
        if self.printer.is_name() {
            self.printer.data(&invocation.cid);
            return;
        }
        // What was missed is shown.
        event.missed = 0;
        if !self.printer.event(|| objects::node_event(&event))
            && let Some(Subject::Invocation(invocation)) = &event.subject
        {
            // It may have been resized since.
            let screen = self.printer.has_screen().then(|| self.printer.width());
            let screen = screen.map(|width| width.map_or(usize::MAX, usize::from));
            for parts in lines(kind, time, invocation, &event.message, screen) {
                self.printer.colored(&parts);
            }
        }
    }
}

/// The line of an event, in parts with their colors. `screen` is the width of a terminal: there, a reason that does
/// not fit is a line of its own, and what is still too long is cut. Where a program may read it, nothing is.
fn lines(
    kind: v1::EventKind,
    time: Timestamp,
    invocation: &v1::Invocation,
    message: &str,
    screen: Option<usize>,
) -> Vec<Parts> {
    let tone = match (kind, invocation.state()) {
        (v1::EventKind::AttemptFailed, _) => Tone::Warning,
        (v1::EventKind::InvocationHeld, _) => Tone::Bad,
        (_, v1::State::Succeeded) => Tone::Good,
        (_, v1::State::Failed) => Tone::Bad,
        _ => Tone::Warning,
    };
    let mut line = what_happened(kind, time, invocation, tone, screen);
    let Some((reason, why)) = reason_of(invocation, message) else {
        return vec![line];
    };
    let room = screen.map(|width| width.saturating_sub(wide(&line)));
    if room.is_none_or(|room| INDENT + width(&reason) + width(&why) <= room) {
        line.push((Some(tone), format!("{:INDENT$}{reason}", "")));
        line.push((None, why));
        return vec![line];
    }
    // Below the service.
    let indent = time_of_day(time).len() + INDENT;
    let room = screen.unwrap_or(usize::MAX).saturating_sub(indent);
    let reason = cut(&reason, room);
    let why = cut(&why, room.saturating_sub(width(&reason)));
    let below = vec![(Some(tone), format!("{:indent$}{reason}", "")), (None, why)];
    vec![line, below]
}

/// A line, in parts with their colors.
type Parts = Vec<(Option<Tone>, String)>;

fn wide(parts: &[(Option<Tone>, String)]) -> usize {
    parts.iter().map(|(_, text)| width(text)).sum()
}

/// All of a line but the reason of a failure. On a narrow screen, the name of the service is cut.
fn what_happened(
    kind: v1::EventKind,
    time: Timestamp,
    invocation: &v1::Invocation,
    tone: Tone,
    screen: Option<usize>,
) -> Parts {
    let word = invocation_word(kind, invocation);
    let cid = match screen {
        Some(_) => short_cid(&invocation.cid),
        None => &invocation.cid,
    };
    let started = invocation.first_attempt_time.as_ref();
    let started = started.and_then(timestamp_from_proto);
    let took = started.map(|started| duration_text(between(started, time)));
    let attempt = match invocation.attempt {
        0 | 1 => String::new(),
        attempt => format!("  attempt {attempt}"),
    };
    let when = (Some(Tone::Quiet), time_of_day(time));
    let what = (Some(tone), format!("{word:9}"));
    let which = format!("  {cid}  {:>8}{attempt}", took.unwrap_or_default());
    let others = width(&when.1) + width(&what.1) + width(&which) + 2 * INDENT;
    let room = screen.map(|screen| screen.saturating_sub(others));
    let service = service_name(invocation);
    let service = match room {
        Some(room) if room < SERVICE_WIDTH.max(width(service)) => fit(service, room, false),
        _ => format!("{service:SERVICE_WIDTH$}"),
    };
    let service = format!("{:INDENT$}{service}{:INDENT$}", "", "");
    vec![when, (None, service), what, (Some(Tone::Quiet), which)]
}

/// The reason of a failure, and what more there is to say of it.
fn reason_of(invocation: &v1::Invocation, message: &str) -> Option<(String, String)> {
    let failure = last_failure(invocation)?;
    let why = match message {
        "" => &failure.message,
        message => message,
    };
    let why = match why {
        "" => String::new(),
        why => format!(": {why}"),
    };
    Some((failure.reason.clone(), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_shown_once() {
        let mut shown = Shown::default();
        assert!(shown.insert("a"));
        assert!(!shown.insert("a"));
        for n in 0..MAX_SHOWN {
            assert!(shown.insert(&n.to_string()));
        }
        assert_eq!(shown.cids.len(), MAX_SHOWN);
        // It was forgotten.
        assert!(shown.insert("a"));
    }

    #[test]
    fn a_line_says_how_long_it_took_and_why_it_failed() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let invocation = v1::Invocation {
            cid: "0190f5a2-7b3c-7def-8123-456789abcdef".to_owned(),
            service: "crm.sync".to_owned(),
            state: v1::State::Failed.into(),
            attempt: 3,
            first_attempt_time: Some(timestamp_to_proto(at("2026-01-31T08:30:00Z"))),
            last_failure: Some(v1::Failure {
                reason: "TIMEOUT".to_owned(),
                message: "too late".to_owned(),
                ..v1::Failure::default()
            }),
            ..v1::Invocation::default()
        };
        let ended = at("2026-01-31T08:30:01.250Z");
        let kind = v1::EventKind::InvocationEnded;
        let shown = |screen| {
            let lines = lines(kind, ended, &invocation, "", screen).into_iter();
            let text = |parts: Parts| parts.into_iter().map(|(_, text)| text).collect::<String>();
            lines.map(text).collect::<Vec<_>>()
        };
        let time = time_of_day(ended);
        let expected = "  crm.sync                  failed     0190f5a2-7b3c-7def  1s 250ms  attempt 3  TIMEOUT: too \
                        late";
        assert_eq!(shown(Some(160)), [format!("{time}{expected}")]);
        let whole = expected.replace("7def  ", "7def-8123-456789abcdef  ");
        assert_eq!(shown(None), [format!("{time}{whole}")]);
        // On a narrow terminal nothing wraps, and the reason is seen.
        let expected = "  crm.sync        failed     0190f5a2-7b3c-7def  1s 250ms  attempt 3";
        let below = format!("{:14}TIMEOUT: too late", "");
        assert_eq!(shown(Some(80)), [format!("{time}{expected}"), below]);
        let below = format!("{:14}TIMEOUT: to…", "");
        assert_eq!(shown(Some(26))[1], below);
    }
}
