//! `cidery store backups`: lists and deletes the copies on a node.

use clap::{Args, Subcommand};

use super::quantities::size;
use crate::app::cli::names::{age_of, backup_phase_name};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::{Column, List, Printer, Row, Tone};
use crate::codec::proto::v1;
use crate::dict;
use crate::engine::backup::BackupName;
use crate::model::error::{Error, Result};

/// List and delete the copies that a node keeps.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::app::cli) struct Backups {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the copies, newest first: at most 1 000.
    List(ListArgs),
    /// Delete copies. One that is being written is ended.
    Delete(DeleteArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
struct DeleteArgs {
    /// Names of the copies.
    #[arg(value_name = "NAME", value_parser = BackupName::parse, required = true)]
    names: Vec<BackupName>,
    #[command(flatten)]
    node: NodeArgs,
}

impl Backups {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(self.list)) {
            Verb::List(list) => list.run(printer).await,
            Verb::Delete(delete) => delete.run(printer).await,
        }
    }
}

impl ListArgs {
    async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let backups = client.backups().await?;
        printer.list(List {
            columns: [
                Column::text("NAME"),
                Column::fixed("STATE"),
                Column::fixed("SIZE"),
                Column::fixed("INVOCATIONS"),
                Column::fixed("AGE"),
            ],
            rows: backups.iter().map(row).collect(),
            if_empty: "the node keeps no copies",
        });
        Ok(())
    }
}

impl DeleteArgs {
    async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let (mut rows, mut first_failure) = (Vec::new(), None::<Error>);
        for name in self.names {
            let name = name.as_str();
            match client.delete_backup(name).await {
                Ok(()) if printer.is_table() => {
                    printer.note(Tone::Good, &format!("{name} is deleted"));
                }
                Ok(()) => rows.push(Row {
                    name: name.to_owned(),
                    object: dict! { "name": name }.into(),
                    cells: [],
                }),
                // The first one is printed as the error of the command.
                Err(error) if first_failure.is_some() => {
                    printer.note(Tone::Warning, &format!("{name}: {error}"));
                }
                Err(error) => first_failure = Some(error),
            }
        }
        if !printer.is_table() && !rows.is_empty() {
            printer.list(List {
                columns: [],
                rows,
                if_empty: "",
            });
        }
        first_failure.map_or(Ok(()), Err)
    }
}

fn row(backup: &v1::Backup) -> Row<5> {
    let state = match (backup.fraction, backup.temporary) {
        (Some(fraction), _) => {
            let phase = backup_phase_name(backup.phase);
            format!("{phase} {:.0} %", fraction * 100.0)
        }
        (None, true) => "TEMPORARY".to_owned(),
        (None, false) => "KEPT".to_owned(),
    };
    let invocations = match backup.sha256.as_str() {
        // Of a file that the node did not write.
        "" => String::new(),
        _ => backup.invocations.to_string(),
    };
    Row {
        name: backup.name.clone(),
        object: objects::stored_backup(backup),
        cells: [
            backup.name.clone(),
            state,
            size(backup.bytes),
            invocations,
            age_of(backup.create_time.as_ref()),
        ],
    }
}
