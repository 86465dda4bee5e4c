//! Follows an operation to its end: a bar on a terminal, then what it has done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::detach;
use super::names::{action_done, action_name, operation_state_name};
use super::objects;
use super::printer::{Printer, Tone};
use super::retry_note::across_restarts;
use crate::codec::convert::failure_from_proto;
use crate::codec::filter::write;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, reason};
use crate::model::operation::OperationId;
use crate::remote::client::ContractClient;

/// How often the bar is drawn at most, and the node asked.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Follows an operation to its end, and prints it. Ctrl-C leaves it running.
///
/// # Errors
///
/// The failure of the operation; `CANCELLED` where it is cancelled; `FAILED_PRECONDITION` where invocations were
/// refused; `UNAVAILABLE` / `CONNECT_FAILED` where the node cannot be reached for about a minute: the operation goes on
/// then, once the node is back.
pub(super) async fn follow(
    client: &ContractClient,
    id: OperationId,
    printer: &Printer,
) -> Result<()> {
    detach::operation_until_interrupted(id, printer, async {
        let ended = until_ended(client, id, printer).await?;
        print_ended(&ended, printer)
    })
    .await
}

async fn until_ended(
    client: &ContractClient,
    id: OperationId,
    printer: &Printer,
) -> Result<v1::Operation> {
    let client = across_restarts(client, printer);
    let bar = printer.has_reader().then(new_bar);
    let mut operation = client.operation(id, false).await?;
    while operation.state == i32::from(v1::OperationState::Running) {
        if let Some(bar) = &bar {
            show(bar, &operation);
        }
        tokio::time::sleep(DRAW_INTERVAL).await;
        operation = client.operation(id, true).await?;
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(operation)
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let template = "[{bar:24}] {percent:>3} %  {pos} of {len}, {elapsed}{wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("##-"));
    }
    bar
}

fn show(bar: &ProgressBar, operation: &v1::Operation) {
    let refused: u64 = operation.refusals.iter().map(|refusal| refusal.count).sum();
    let mut message = match refused {
        0 => String::new(),
        refused => format!(", {refused} not {}", action_done(operation)),
    };
    if let Some(failure) = &operation.failure {
        message.push_str(&format!(", waits: {}", failure.message));
    }
    // What matched is counted once, and more may be seen since.
    bar.set_length(operation.matched.max(operation.processed));
    bar.set_position(operation.processed);
    bar.set_message(crate::app::escape::line(&message).into_owned());
}

/// Prints an operation that is not followed.
pub(super) fn print_started(operation: &v1::Operation, printer: &Printer) {
    let id = &operation.id;
    if printer.object(id, || objects::operation(operation)) {
        return;
    }
    printer.data(id);
    let note = format!("`cidery operations follow {id}` follows it");
    printer.note(Tone::Quiet, &note);
}

/// Prints an operation that has ended, and returns its failure.
fn print_ended(operation: &v1::Operation, printer: &Printer) -> Result<()> {
    if !printer.object(&operation.id, || objects::operation(operation)) {
        print_refusals(operation, printer);
        let done = action_done(operation);
        let mut total = format!("{} {done}", operation.changed);
        let refused = operation.processed.saturating_sub(operation.changed);
        if refused > 0 {
            total.push_str(&format!(", {refused} not"));
        }
        let tone = match refused {
            0 => Tone::Good,
            _ => Tone::Warning,
        };
        printer.note(tone, &total);
    }
    let id = &operation.id;
    match v1::OperationState::try_from(operation.state).unwrap_or_default() {
        v1::OperationState::Failed => {
            let failure = operation.failure.clone().map(failure_from_proto);
            Err(failure.unwrap_or_else(|| {
                Error::internal(reason::TRANSPORT, format!("operation {id} failed"))
            }))
        }
        v1::OperationState::Cancelled => {
            let message = format!("operation {id} was cancelled");
            Err(Error::cancelled(reason::CANCELLED, message))
        }
        _ => none_refused(operation),
    }
}

/// `FAILED_PRECONDITION` with the most frequent reason, where invocations were refused.
fn none_refused(operation: &v1::Operation) -> Result<()> {
    let Some(first) = operation.refusals.first() else {
        return Ok(());
    };
    let refused: u64 = operation.refusals.iter().map(|refusal| refusal.count).sum();
    let of = match refused {
        1 => "1 invocation".to_owned(),
        refused => format!("{refused} invocations"),
    };
    let done = action_done(operation);
    let message = format!(
        "{of} not {done}, such as {}: {}",
        first.example_cid, first.message
    );
    Err(Error::failed_precondition(first.reason.clone(), message))
}

/// Prints why invocations were not changed, as a table.
pub(super) fn print_refusals(operation: &v1::Operation, printer: &Printer) {
    if operation.refusals.is_empty() {
        return;
    }
    let rows = operation.refusals.iter().map(|refusal| {
        [
            refusal.reason.clone(),
            refusal.count.to_string(),
            refusal.example_cid.clone(),
            refusal.message.clone(),
        ]
    });
    let headings = ["REASON", "COUNT", "EXAMPLE", "MESSAGE"];
    printer.table(headings, &rows.collect::<Vec<_>>());
}

/// Prints the details of an operation.
pub(super) fn print(operation: &v1::Operation, printer: &Printer) {
    if printer.object(&operation.id, || objects::operation(operation)) {
        return;
    }
    let line = |name: &str, value: String| [name.to_owned(), value];
    let mut lines = vec![
        line("id", operation.id.clone()),
        line("action", action_name(operation).to_owned()),
        line(
            "filter",
            write(&operation.filter.clone().unwrap_or_default()),
        ),
        line("started by", operation.principal.clone()),
        line("state", operation_state_name(operation.state)),
        line("matched", operation.matched.to_string()),
        line("processed", operation.processed.to_string()),
        line("changed", operation.changed.to_string()),
        line(
            "at most",
            format!("{} per second", operation.max_per_second),
        ),
    ];
    if let Some(failure) = &operation.failure {
        lines.push(line(
            "failure",
            format!("{} ({})", failure.message, failure.reason),
        ));
    }
    printer.properties(&lines);
    print_refusals(operation, printer);
}
