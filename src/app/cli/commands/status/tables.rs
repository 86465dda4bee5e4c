//! The tables of `cidery status`.

use crate::app::cli::names::{age_of, pending_reason_name};
use crate::app::cli::printer::Printer;
use crate::codec::proto::v1;
use crate::model::size::size_text;

/// How many rows of a table are shown without `--all`.
pub(super) const MAX_ROWS: usize = 10;

/// A table of the page.
struct Table<'a, T> {
    title: String,
    all: &'a [T],
    /// How many there are on the node; the response has a limit as well.
    total: u32,
    /// The command that lists those which the response leaves out.
    rest: &'static str,
}

/// Prints the tables that have rows.
pub(super) fn print(printer: &Printer, status: &v1::GetStatusResponse, show_all: bool) {
    let totals = status.totals.unwrap_or_default();
    let due = Table {
        title: "Due longest".to_owned(),
        all: &status.oldest_due,
        total: totals.oldest_due,
        rest: "`cidery invocations --state pending`",
    };
    let headings = ["SERVICE", "DUE FOR", "REASON", "PENDING", "CID"];
    due.print(printer, show_all, headings, |it| [oldest_due(it)]);
    let unserved = Table {
        title: "Served by no worker".to_owned(),
        all: &status.unserved_services,
        total: totals.unserved_services,
        rest: "`cidery services`",
    };
    let headings = ["SERVICE", "PENDING", "LAST SERVED"];
    unserved.print(printer, show_all, headings, |it| [unserved_service(it)]);
    let controls = Table {
        title: "Paused and disabled".to_owned(),
        all: &status.controls,
        total: totals.controls,
        rest: "`cidery services`",
    };
    let headings = ["SERVICE", "STATE", "AGE", "BY", "REASON"];
    controls.print(printer, show_all, headings, controls_of);
    print_failures(printer, status, show_all);
    let limits = Table {
        title: "Limits used most".to_owned(),
        all: &status.limits,
        total: totals.limits,
        rest: "",
    };
    let headings = ["NAME", "SERVICE", "PART", "USED", "LIMIT"];
    limits.print(printer, show_all, headings, |it| [limit(it)]);
}

fn print_failures(printer: &Printer, status: &v1::GetStatusResponse, show_all: bool) {
    if !status.failures_error.is_empty() {
        printer.data("");
        let why = &status.failures_error;
        printer.data(&format!(
            "Failed in the last hour: not known, because {why}"
        ));
        return;
    }
    let count = status.failed_invocations;
    let failures = Table {
        title: match status.failures_incomplete {
            true => format!(
                "Failed in the last hour: more than {count}, of which the last {count} are counted here"
            ),
            false => format!("Failed in the last hour: {count}"),
        },
        all: &status.failures,
        total: status.totals.unwrap_or_default().failures,
        rest: "`cidery dead-letters`",
    };
    let headings = ["COUNT", "SERVICE", "REASON", "EXAMPLE", "MESSAGE"];
    failures.print(printer, show_all, headings, |it| [failed(it)]);
}

impl<T> Table<'_, T> {
    fn print<const N: usize, I: IntoIterator<Item = [String; N]>>(
        &self,
        printer: &Printer,
        show_all: bool,
        headings: [&str; N],
        rows_of: impl Fn(&T) -> I,
    ) {
        if self.all.is_empty() {
            return;
        }
        let shown = match show_all {
            true => self.all.len(),
            false => self.all.len().min(MAX_ROWS),
        };
        let rows: Vec<_> = self.all.iter().take(shown).flat_map(rows_of).collect();
        printer.data("");
        printer.data(&self.title);
        printer.table(headings, &rows);
        let total = usize::try_from(self.total).unwrap_or(usize::MAX);
        let more = total.max(self.all.len()) - shown;
        let command = match shown < self.all.len() {
            true => "`cidery status --all`",
            false => self.rest,
        };
        match (more, command) {
            (0, _) => {}
            (more, "") => printer.data(&format!("and {more} more")),
            (more, command) => printer.data(&format!("and {more} more: {command}")),
        }
    }
}

fn oldest_due(due: &v1::OldestDue) -> [String; 5] {
    [
        due.service.clone(),
        age_of(due.due_time.as_ref()),
        pending_reason_name(due.pending_reason).to_owned(),
        due.pending.to_string(),
        due.cid.clone(),
    ]
}

fn unserved_service(unserved: &v1::UnservedService) -> [String; 3] {
    let last_served = match age_of(unserved.last_served_time.as_ref()).as_str() {
        "" => String::new(),
        age => format!("{age} ago"),
    };
    [
        unserved.service.clone(),
        unserved.pending.to_string(),
        last_served,
    ]
}

/// A row for each: a service can be paused and disabled at once.
fn controls_of(control: &v1::ServiceControl) -> Vec<[String; 5]> {
    let paused = match control.background_only {
        true => "PAUSED IN THE BACKGROUND",
        false => "PAUSED",
    };
    let rows = [("DISABLED", &control.disable), (paused, &control.pause)];
    let rows = rows.into_iter().filter_map(|(state, cause)| {
        let cause = cause.as_ref()?;
        Some([
            control.service.clone(),
            state.to_owned(),
            age_of(cause.time.as_ref()),
            cause.principal.clone(),
            cause.reason.clone(),
        ])
    });
    rows.collect()
}

fn failed(failures: &v1::InvocationSummary) -> [String; 5] {
    [
        failures.count.to_string(),
        failures.service.clone(),
        failures.failure_reason.clone(),
        failures.example_cid.clone(),
        failures.example_message.clone(),
    ]
}

fn limit(limit: &v1::LimitUse) -> [String; 5] {
    let percent = u128::from(limit.used) * 100 / u128::from(limit.limit.max(1));
    let amount = |n: u64| match limit.name.as_str() {
        "bytes" => size_text(n),
        _ => n.to_string(),
    };
    [
        limit.name.clone(),
        limit.service.clone(),
        format!("{percent} %"),
        amount(limit.used),
        amount(limit.limit),
    ]
}
