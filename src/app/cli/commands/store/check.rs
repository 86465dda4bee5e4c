//! `cidery store check`: reads a store, or a backup of one, and names its faults.

use clap::Args;

use super::quantities::invocations;
use super::store_args::StoreArgs;
use crate::app::cli::printer::{Column, List, Printer, Row, Tone};
use crate::app::cli::store_keys::KeyArgs;
use crate::dict;
use crate::engine::clock::Clock;
use crate::model::error::{Error, Kind, Result, reason};
use crate::store::{CheckReport, Fault, check};

/// How many faults are named at most.
const MAX_LIMIT: u64 = 100_000;

/// Check a store, or a backup of one, for faults.
///
/// The command reads all of it and changes nothing; a node may use the store meanwhile. Each fault is named with its
/// invocation, what it means, and what to do. The exit code is 1 if there are faults. Of what is encrypted it reads the
/// contents with --store-key-file, and otherwise says which keys it needs.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Check {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// Maximum number of faults that are named.
    #[arg(
        long,
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=MAX_LIMIT),
        value_name = "NUMBER"
    )]
    limit: u64,
}

impl Check {
    pub(in crate::app::cli) fn run(self, printer: &Printer) -> Result<()> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let keys = self.keys.read()?;
        let report = check(&self.store.path(), keys, limit, Clock::System.now())?;
        show(&report, printer);
        match report.faults.len() {
            0 => Ok(()),
            _ => Err(faulty(&report)),
        }
    }
}

/// `DATA_LOSS` / `STORE_DAMAGED`.
pub(super) fn faulty(report: &CheckReport) -> Error {
    let file = report.file.display();
    let (count, more) = (
        report.faults.len(),
        if report.is_cut { " or more" } else { "" },
    );
    let plural = if count == 1 && !report.is_cut {
        ""
    } else {
        "s"
    };
    let message = format!("`{file}` has {count}{more} fault{plural}");
    Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message)
}

fn show(report: &CheckReport, printer: &Printer) {
    let file = report.file.display();
    let CheckReport {
        format,
        generation,
        invocations: count,
        pending,
        faults,
        ..
    } = report;
    if report.has_log {
        let text = format!(
            "`{file}` has a log: a node uses it, or did not close it; its last commit is checked"
        );
        printer.note(Tone::Quiet, &text);
    }
    if report.is_earlier_format {
        let text = format!(
            "`{file}` has format {format}: its pages are checked; a node upgrades it when it opens it, and its tables \
             can be checked then"
        );
        printer.note(Tone::Quiet, &text);
    }
    for key in &report.keys {
        if let Some(id) = &key.id {
            let text = format!("key `{id}`: {}", invocations(key.invocations));
            printer.note(Tone::Quiet, &text);
        }
    }
    if report.unread > 0 {
        let text = format!(
            "not read: the contents of {}; `--store-key-file` gives the keys",
            invocations(report.unread)
        );
        printer.note(Tone::Quiet, &text);
    }
    if !faults.is_empty() || !printer.is_table() {
        printer.list(List {
            columns: [
                Column::fixed("FAULT"),
                Column::fixed("CID"),
                Column::text("FOUND"),
            ],
            rows: faults.iter().map(row).collect(),
            if_empty: "",
        });
    }
    let mut kinds: Vec<_> = faults.iter().map(|fault| fault.kind).collect();
    kinds.sort_by_key(|kind| kind.name());
    kinds.dedup();
    for kind in kinds {
        let text = format!("{}: {}; {}", kind.name(), kind.meaning(), kind.advice());
        printer.note(Tone::Quiet, &text);
    }
    if faults.is_empty() {
        let count = invocations(*count);
        let text = format!("no faults: {count}, {pending} pending, generation {generation}");
        printer.note(Tone::Good, &text);
    }
}

fn row(fault: &Fault) -> Row<3> {
    let cid = fault.cid.map(|cid| cid.to_string());
    Row {
        name: cid.clone().unwrap_or_else(|| fault.kind.name().to_owned()),
        object: dict! {
            "fault": fault.kind.name(),
            "cid": cid.as_deref(),
            "found": fault.detail.as_str(),
            "meaning": fault.kind.meaning(),
            "advice": fault.kind.advice(),
        }
        .into(),
        cells: [
            fault.kind.name().to_owned(),
            cid.unwrap_or_default(),
            fault.detail.clone(),
        ],
    }
}
