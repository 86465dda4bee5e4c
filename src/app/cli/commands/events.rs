//! `cidery events`.

use clap::{Args, ValueEnum};

use crate::app::cli::event_stream::{EventStream, Next};
use crate::app::cli::event_text::{invocation_word, last_failure, last_word};
use crate::app::cli::filter::FilterArgs;
use crate::app::cli::names::{event_kind_name, service_name};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::cli::times::{local_time, time_of_day};
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;
use crate::codec::proto::v1::watch_events_response::Subject;
use crate::model::error::Result;

/// Watch what happens on a node from now on: invocations that end or fail, services, workers, operations.
///
/// What happened before is not shown, nor what happens while the node cannot be reached. Ctrl-C ends the command.
///
/// For alerts and programs. To read what becomes of invocations, `cidery tail` has a shorter line for each, and shows
/// those as well that ended while the node could not be reached.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Events {
    /// Only events of this kind (repeatable, or several with commas).
    #[arg(
        long = "kind",
        value_enum,
        ignore_case = true,
        value_delimiter = ',',
        value_name = "KIND"
    )]
    kinds: Vec<KindArg>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    node: NodeArgs,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindArg {
    InvocationEnded,
    AttemptFailed,
    InvocationHeld,
    ServicePaused,
    ServiceResumed,
    ServiceDisabled,
    ServiceEnabled,
    ServiceForgotten,
    ServiceUnserved,
    ServiceServed,
    WorkerConnected,
    WorkerDisconnected,
    WorkerDraining,
    OperationStarted,
    OperationEnded,
    NodeResumed,
    NodeDraining,
    BackupWritten,
    BackupDeleted,
}

impl KindArg {
    fn to_proto(self) -> v1::EventKind {
        match self {
            Self::InvocationEnded => v1::EventKind::InvocationEnded,
            Self::AttemptFailed => v1::EventKind::AttemptFailed,
            Self::InvocationHeld => v1::EventKind::InvocationHeld,
            Self::ServicePaused => v1::EventKind::ServicePaused,
            Self::ServiceResumed => v1::EventKind::ServiceResumed,
            Self::ServiceDisabled => v1::EventKind::ServiceDisabled,
            Self::ServiceEnabled => v1::EventKind::ServiceEnabled,
            Self::ServiceForgotten => v1::EventKind::ServiceForgotten,
            Self::ServiceUnserved => v1::EventKind::ServiceUnserved,
            Self::ServiceServed => v1::EventKind::ServiceServed,
            Self::WorkerConnected => v1::EventKind::WorkerConnected,
            Self::WorkerDisconnected => v1::EventKind::WorkerDisconnected,
            Self::WorkerDraining => v1::EventKind::WorkerDraining,
            Self::OperationStarted => v1::EventKind::OperationStarted,
            Self::OperationEnded => v1::EventKind::OperationEnded,
            Self::NodeResumed => v1::EventKind::NodeResumed,
            Self::NodeDraining => v1::EventKind::NodeDraining,
            Self::BackupWritten => v1::EventKind::BackupWritten,
            Self::BackupDeleted => v1::EventKind::BackupDeleted,
        }
    }
}

impl Events {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let kinds = self.kinds.into_iter().map(KindArg::to_proto);
        let everything = v1::InvocationFilter::default();
        let request = v1::WatchEventsRequest {
            kinds: kinds.map(i32::from).collect(),
            filter: Some(self.filter.filter()?).filter(|filter| *filter != everything),
            ..v1::WatchEventsRequest::default()
        };
        let client = self.node.connect(printer).await?;
        let mut events = EventStream::open(&client, request).await?;
        let node = client.node();
        printer.note(Tone::Quiet, &format!("watching {node}"));
        loop {
            let lost = match events.next().await? {
                Next::Event(event) => {
                    show(printer, &event);
                    continue;
                }
                Next::Lost(why) => why,
            };
            let note = format!("lost the node {node}: {lost}; waiting for it");
            printer.note(Tone::Warning, &note);
            events.reopen().await?;
            let note = format!("watching {node} again: what happened in between is not shown");
            printer.note(Tone::Warning, &note);
        }
    }
}

fn show(printer: &Printer, event: &v1::WatchEventsResponse) {
    if printer.is_name() {
        if event.event_time.is_some() {
            printer.data(&identifier(event));
        }
        return;
    }
    if printer.event(|| objects::node_event(event)) {
        return;
    }
    if event.missed > 0 {
        let note = format!("missed {} events: they came too fast", event.missed);
        printer.note(Tone::Warning, &note);
    }
    if event.event_time.is_some() {
        printer.data(&line(event));
    }
}

/// The identifier of what an event is about; the name of the event where it is about the node.
fn identifier(event: &v1::WatchEventsResponse) -> String {
    match &event.subject {
        Some(Subject::Invocation(invocation)) => invocation.cid.clone(),
        Some(Subject::Service(service)) => service.service.clone(),
        Some(Subject::Worker(worker)) => worker.id.clone(),
        Some(Subject::Operation(operation)) => operation.id.clone(),
        Some(Subject::Backup(backup)) => backup.name.clone(),
        None => event_kind_name(event.kind).to_owned(),
    }
}

/// An event on one line.
fn line(event: &v1::WatchEventsResponse) -> String {
    let time = event.event_time.as_ref().and_then(timestamp_from_proto);
    let time = time.map(time_of_day).unwrap_or_default();
    let kind = event.kind();
    let (what, of) = match &event.subject {
        Some(Subject::Invocation(invocation)) => of_invocation(kind, invocation),
        Some(Subject::Service(service)) => {
            (last_word(kind), format!("service {}", service.service))
        }
        Some(Subject::Worker(worker)) => {
            let name = [worker.name.as_str(), worker.build_id.as_str()].join(" ");
            let of = format!("worker {} ({})", name.trim(), worker.id);
            (last_word(kind), of)
        }
        Some(Subject::Operation(operation)) => {
            (last_word(kind), format!("operation {}", operation.id))
        }
        Some(Subject::Backup(backup)) => (last_word(kind), format!("backup {}", backup.name)),
        None => (last_word(kind), "the node".to_owned()),
    };
    let by = match event.principal.as_str() {
        "" => String::new(),
        principal => format!(" by {principal}"),
    };
    let why = match event.message.as_str() {
        "" => String::new(),
        message => format!(": {message}"),
    };
    let next = match &event.subject {
        Some(Subject::Invocation(found)) if kind == v1::EventKind::AttemptFailed => {
            found.start_time.as_ref().and_then(timestamp_from_proto)
        }
        _ => None,
    };
    let next = next.map(|next| format!("; next attempt at {}", local_time(next)));
    format!(
        "{time}  {what:12}  {of}{by}{why}{}",
        next.unwrap_or_default()
    )
}

fn of_invocation(kind: v1::EventKind, invocation: &v1::Invocation) -> (String, String) {
    let failure = last_failure(invocation);
    let reason = failure.map_or_else(String::new, |failure| format!("  {}", failure.reason));
    // A group has none, nor has one that ended before it started.
    let attempt = match invocation.attempt {
        0 => String::new(),
        attempt => format!("  attempt {attempt}"),
    };
    let (service, cid) = (service_name(invocation), &invocation.cid);
    let what = invocation_word(kind, invocation);
    (what, format!("{service}  {cid}{attempt}{reason}"))
}
