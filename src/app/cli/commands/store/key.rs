//! `cidery store key`: makes keys, lists what needs them, and forgets those that are lost.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::quantities::invocations;
use super::store_args::StoreArgs;
use crate::app::cli::printer::{Column, List, Printer, Row, Tone};
use crate::app::cli::store_keys::KeyArgs;
use crate::app::cli::times::local_time;
use crate::dict;
use crate::engine::clock::Clock;
use crate::model::error::Result;
use crate::model::value::Value;
use crate::store::{KeyUsage, forget_key, key_usage, new_key};

/// What is not encrypted has no key.
const PLAIN: &str = "(not encrypted)";

/// Make and list the keys that a store is encrypted with.
#[derive(Args, Debug)]
pub(super) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key, in a new file that only its owner can read.
    ///
    /// Keep a copy of the file apart from the backups of the store: without its keys, neither can be read.
    New(New),
    /// List the keys that a store, or a backup of one, needs, and how much of it needs each.
    ///
    /// The command reads all of it and changes nothing; a node may use the store meanwhile. No key is needed for that.
    /// What an old key encrypted goes with retention; once nothing needs it, its line can be removed from the file.
    List(ListKeys),
    /// Forget a key that is lost, so that a node opens the store without it.
    ///
    /// What is encrypted with it stays until retention removes it: such an invocation answers `STORE_KEY_MISSING`, and
    /// does not run. Where the key is found again, start the node with it.
    Forget {
        /// ID of the key.
        #[arg(value_name = "ID")]
        id: String,
        /// Data directory of the node, which must be stopped.
        #[arg(
            long,
            env = "CIDERY_DATA_DIR",
            default_value = "./cidery-data",
            value_name = "FOLDER"
        )]
        data_dir: PathBuf,
    },
}

#[derive(Args, Debug)]
struct New {
    /// File to write. One that exists is not replaced.
    #[arg(
        env = "CIDERY_STORE_KEY_FILE",
        default_value = "./cidery-store.key",
        value_name = "FILE"
    )]
    file: PathBuf,
    /// Put the key in front of those in the file: once the node has read it, it encrypts with the new one.
    #[arg(long)]
    add: bool,
}

#[derive(Args, Debug)]
struct ListKeys {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    keys: KeyArgs,
}

impl Key {
    pub(super) fn run(self, printer: &Printer) -> Result<()> {
        match self.verb {
            Verb::New(command) => command.run(printer),
            Verb::List(command) => command.run(printer),
            Verb::Forget { id, data_dir } => forget(&id, &data_dir, printer),
        }
    }
}

impl New {
    fn run(self, printer: &Printer) -> Result<()> {
        let made = new_key(&self.file, self.add, Clock::System.now())?;
        let file = self.file.display().to_string();
        let object = || {
            dict! {
                "key": made.id.as_str(),
                "file": file.as_str(),
                "keys": u64::try_from(made.keys).unwrap_or(u64::MAX),
            }
            .into()
        };
        if printer.object(&made.id, object) {
            return Ok(());
        }
        printer.note(Tone::Good, &format!("{file}: new key {}", made.id));
        printer.note(
            Tone::Quiet,
            &format!("use it: cidery serve --store-key-file {file}"),
        );
        let copy = "keep a copy apart from the backups: without its keys, neither the store nor a backup can be read";
        printer.note(Tone::Quiet, copy);
        Ok(())
    }
}

impl ListKeys {
    fn run(self, printer: &Printer) -> Result<()> {
        let given = self.keys.read()?.map(|keys| keys.ids());
        let usage = key_usage(&self.store.path())?;
        printer.list(List {
            columns: [
                Column::fixed("KEY"),
                Column::fixed("FIRST USED"),
                Column::fixed("INVOCATIONS"),
                Column::fixed("OPERATIONS"),
                Column::fixed("IN FILE"),
            ],
            rows: usage.iter().map(|key| row(key, given.as_deref())).collect(),
            if_empty: "nothing in the store is encrypted, and nothing that could be is stored",
        });
        Ok(())
    }
}

/// `given`: the ids in the file of keys, if that was named.
fn row(key: &KeyUsage, given: Option<&[String]>) -> Row<5> {
    let is_given = key
        .id
        .as_ref()
        .zip(given)
        .map(|(id, given)| given.contains(id));
    let in_file = match is_given {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    let name = key.id.as_deref().unwrap_or(PLAIN);
    Row {
        name: name.to_owned(),
        object: dict! {
            "key": key.id.as_deref(),
            "first_time": key.first_time.map_or(Value::Null, |time| Value::Text(format!("{time:.6}"))),
            "encrypts": key.is_last,
            "invocations": key.invocations,
            "operations": key.operations,
            "in_file": is_given,
        }
        .into(),
        cells: [
            name.to_owned(),
            key.first_time.map(local_time).unwrap_or_default(),
            key.invocations.to_string(),
            key.operations.to_string(),
            in_file.to_owned(),
        ],
    }
}

fn forget(id: &str, data_dir: &Path, printer: &Printer) -> Result<()> {
    let usage = key_usage(data_dir)?;
    forget_key(data_dir, id)?;
    let used = usage.iter().find(|key| key.id.as_deref() == Some(id));
    let unread = used.map_or(0, |key| key.invocations);
    let object = || dict! { "key": id, "invocations": unread }.into();
    if !printer.object(id, object) {
        let text = format!(
            "{id} is forgotten: {} cannot be read without it",
            invocations(unread)
        );
        printer.note(Tone::Good, &text);
    }
    Ok(())
}
