//! `cidery store restore`: copies a backup into a new data directory.

use std::path::PathBuf;

use clap::Args;

use super::check::faulty;
use super::quantities::invocations;
use crate::app::cli::printer::{Printer, Tone};
use crate::dict;
use crate::engine::clock::Clock;
use crate::model::error::Result;
use crate::store::{check, check_empty, restore};

/// How many faults of a backup are looked for: one is enough to refuse it.
const FAULTS: usize = 1;

/// Restore a backup into a new data directory.
///
/// The backup is checked first, as `cidery store check` does. The directory must be missing or empty. Start a node on
/// it with `cidery serve --hold`: the invocations that were pending when the backup was made may have run since.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Restore {
    /// The backup.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Data directory to create.
    #[arg(
        long,
        env = "CIDERY_DATA_DIR",
        default_value = "./cidery-data",
        value_name = "FOLDER"
    )]
    data_dir: PathBuf,
}

impl Restore {
    pub(in crate::app::cli) fn run(self, printer: &Printer) -> Result<()> {
        let Self { backup, data_dir } = self;
        check_empty(&data_dir)?;
        let report = check(&backup, None, FAULTS, Clock::System.now())?;
        if !report.faults.is_empty() {
            let error = faulty(&report);
            let message = format!(
                "{error}, and was not restored: `cidery store check {}` names them",
                backup.display()
            );
            return Err(error.with_message(message));
        }
        restore(&backup, &data_dir)?;
        let folder = data_dir.display().to_string();
        let object = || {
            dict! {
                "data_dir": folder.as_str(),
                "invocations": report.invocations,
                "pending": report.pending,
            }
            .into()
        };
        if printer.object(&folder, object) {
            return Ok(());
        }
        let count = invocations(report.invocations);
        let text = format!("{folder} has {count}, {} pending", report.pending);
        printer.note(Tone::Good, &text);
        for line in [
            format!("start it: cidery serve --hold --data-dir {folder}"),
            "what was pending in the backup may have run since, and would run again: --hold starts nothing until \
             `cidery resume`"
                .to_owned(),
        ] {
            printer.note(Tone::Quiet, &line);
        }
        Ok(())
    }
}
