//! `cidery store stats`: what a store contains, and what takes its room.

use clap::Args;
use jiff::Timestamp;

use super::quantities::size;
use super::store_args::StoreArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::cli::times::local_time;
use crate::dict;
use crate::model::error::Result;
use crate::model::value::Value;
use crate::store::{StoreStats, stats};

/// Show what a store, or a backup of one, contains.
///
/// The command reads all of it and changes nothing; a node may use the store meanwhile. `cidery status` has the numbers
/// that a running node keeps.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Stats {
    #[command(flatten)]
    store: StoreArgs,
}

impl Stats {
    pub(in crate::app::cli) fn run(self, printer: &Printer) -> Result<()> {
        let stats = stats(&self.store.path())?;
        let file = stats.file.display().to_string();
        if !printer.object(&file, || object(&stats)) {
            show(&stats, &file, printer);
        }
        Ok(())
    }
}

fn show(stats: &StoreStats, file: &str, printer: &Printer) {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), local_time);
    let closed = match stats.is_clean {
        true => "yes",
        false => "no: a node uses it, or it is a copy, or its node crashed",
    };
    let keys = match stats.key_ids.as_slice() {
        [] => "no".to_owned(),
        ids => format!(
            "yes; needs the key{} {}",
            if ids.len() == 1 { "" } else { "s" },
            ids.join(", ")
        ),
    };
    let rows = [
        ("file", file.to_owned()),
        ("format", stats.format.to_string()),
        ("generation", stats.generation.to_string()),
        ("closed", closed.to_owned()),
        ("size", size(stats.bytes)),
        ("log", size(stats.wal_bytes)),
        ("free", size(stats.free_bytes)),
        ("oldest invocation", time(stats.oldest)),
        ("newest invocation", time(stats.newest)),
        ("encrypted", keys),
    ];
    printer.properties(&rows.map(|(name, value)| [name.to_owned(), value]));
    let bytes = |bytes: Option<u64>| bytes.map(size).unwrap_or_default();
    let tables = stats.tables.iter().map(|table| {
        [
            table.name.clone(),
            table.rows.to_string(),
            bytes(table.bytes),
            bytes(table.index_bytes),
        ]
    });
    printer.text("");
    printer.table(
        ["TABLE", "ROWS", "SIZE", "INDEXES"],
        &tables.collect::<Vec<_>>(),
    );
    if stats.pending.is_empty() {
        printer.note(Tone::Quiet, "nothing is pending");
        return;
    }
    let pending = stats.pending.iter().map(|of| {
        let name = match of.service.as_str() {
            "" => "(groups)".to_owned(),
            name => name.to_owned(),
        };
        [name, of.count.to_string(), local_time(of.due)]
    });
    printer.text("");
    printer.table(
        ["SERVICE", "PENDING", "FIRST DUE"],
        &pending.collect::<Vec<_>>(),
    );
}

fn object(stats: &StoreStats) -> Value {
    let time = |time: Option<Timestamp>| match time {
        None => Value::Null,
        Some(time) => Value::Text(format!("{time:.6}")),
    };
    let tables = stats.tables.iter().map(|table| -> Value {
        dict! {
            "name": table.name.as_str(),
            "rows": table.rows,
            "bytes": table.bytes,
            "index_bytes": table.index_bytes,
        }
        .into()
    });
    let pending = stats.pending.iter().map(|of| -> Value {
        dict! {
            "service": of.service.as_str(),
            "pending": of.count,
            "due_time": time(Some(of.due)),
        }
        .into()
    });
    dict! {
        "file": stats.file.display().to_string(),
        "format": stats.format,
        "generation": stats.generation,
        "clean": stats.is_clean,
        "bytes": stats.bytes,
        "wal_bytes": stats.wal_bytes,
        "free_bytes": stats.free_bytes,
        "oldest_accept_time": time(stats.oldest),
        "newest_accept_time": time(stats.newest),
        "tables": Value::List(tables.collect()),
        "pending": Value::List(pending.collect()),
        "key_ids": Value::List(stats.key_ids.iter().map(|id| Value::from(id.as_str())).collect()),
    }
    .into()
}
