//! `cidery store backup`: the node writes a copy, and the command fetches it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::time::MissedTickBehavior;

use super::bar::Bar;
use super::fetch::Target;
use super::quantities::{invocations, size};
use crate::app::cli::names::time_value;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::cli::retry_note::across_restarts;
use crate::app::cli::stop::ended_by;
use crate::codec::proto::v1;
use crate::dict;
use crate::engine::backup::BackupName;
use crate::engine::clock::Clock;
use crate::model::error::{Error, Result, reason};
use crate::remote::client::ContractClient;
use crate::service::runtime::Signals;

/// How often the node is asked how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// How long an interrupted command waits until the node has removed its copy.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Copy the store of a running node into a file.
///
/// The node writes a consistent copy, verifies it, and goes on with its work meanwhile: all invocations that it
/// accepted before are in the copy. The command fetches it, compares the checksum, and removes it from the node.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Backup {
    /// File to create, on this machine.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// Keep the copy on the node, too: in `backups` in its data directory.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    node: NodeArgs,
}

impl Backup {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        // From here on a signal ends nothing by itself: what the command has begun is removed first.
        let mut signals = Signals::new()?;
        let target = Target::new(&self.path, self.force)?;
        let client = tokio::select! {
            client = self.node.connect(printer) => client?,
            signal = signals.next() => return Ok(interrupted(signal, printer)),
        };
        let copy = Copy {
            client,
            // Of this command alone: what it removes is its own.
            name: format!(
                "{}-{:08x}",
                BackupName::of(Clock::System.now()),
                fastrand::u32(..)
            ),
            is_kept: self.keep,
        };
        let copied = tokio::select! {
            copied = copy.fetch(target, printer) => Ok(copied),
            signal = signals.next() => Err(signal),
        };
        if !(self.keep && matches!(copied, Ok(Ok(_)))) {
            tokio::select! {
                () = copy.remove(printer) => {}
                // Whoever is in a hurry does not wait for that: the node removes it later.
                _ = signals.next() => {}
            }
        }
        match copied {
            Ok(copied) => {
                self.show(&copied?, printer);
                Ok(ExitCode::SUCCESS)
            }
            Err(signal) => Ok(interrupted(signal, printer)),
        }
    }

    fn show(&self, backup: &v1::Backup, printer: &Printer) {
        let path = self.path.display().to_string();
        let object = || {
            dict! {
                "path": path.as_str(),
                "bytes": backup.bytes,
                "sha256": backup.sha256.as_str(),
                "invocations": backup.invocations,
                "create_time": time_value(backup.create_time.as_ref()),
                "kept_as": self.keep.then_some(backup.name.as_str()),
            }
            .into()
        };
        if printer.object(&path, object) {
            return;
        }
        let (count, bytes) = (invocations(backup.invocations), size(backup.bytes));
        printer.note(Tone::Good, &format!("{path} has {count}, {bytes}"));
        if self.keep {
            let kept = format!("the node keeps it as `{}`", backup.name);
            printer.note(Tone::Quiet, &kept);
        }
        let restore = format!("restore it: cidery store restore {path} --data-dir FOLDER");
        printer.note(Tone::Quiet, &restore);
    }
}

/// Says that a signal has ended the command. Returns its exit code.
fn interrupted(signal: &str, printer: &Printer) -> ExitCode {
    printer.note(Tone::Heading, "interrupted: there is no backup");
    ended_by(signal)
}

/// Says where the connection was lost: the node ends a copy whose caller is gone.
fn lost(error: Error) -> Error {
    match error.reason() {
        reason::CONNECT_FAILED | reason::TRANSPORT => {
            let message = format!("lost the node while it copied its store: {error}");
            Error::unavailable(reason::CONNECT_FAILED, message)
        }
        _ => error,
    }
}

/// The copy at the node.
struct Copy {
    client: ContractClient,
    name: String,
    /// Whether the node keeps it afterwards.
    is_kept: bool,
}

impl Copy {
    /// Has the node write it, and fetches it.
    async fn fetch(&self, mut target: Target, printer: &Printer) -> Result<v1::Backup> {
        let bar = Bar::new(printer);
        let backup = self.written(&bar).await.map_err(lost)?;
        bar.fetching(backup.bytes);
        let gone = |error: Error| {
            match error.reason() {
            reason::BACKUP_UNKNOWN => error.with_message(
                "the node has removed its copy meanwhile: it was restarted, or the copy was deleted; repeat the \
                 command",
            ),
            _ => error,
        }
        };
        let client = across_restarts(&self.client, printer);
        let mut parts = client.read_backup(&self.name, 0).await.map_err(gone)?;
        while let Some((offset, part)) = parts.next().await.map_err(gone)? {
            target.write(offset, &part)?;
            bar.fetched(target.bytes());
        }
        target.finish(backup.bytes, &backup.sha256)?;
        Ok(backup)
    }

    /// Waits until the node has written it, and shows how far it is.
    async fn written(&self, bar: &Bar) -> Result<v1::Backup> {
        let mut write = Box::pin(self.client.backup_store(&self.name, !self.is_kept));
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let response = loop {
            tokio::select! {
                response = &mut write => break response?,
                _ = ticks.tick(), if bar.is_shown() => {}
            }
            let progress = async {
                let backups = self.client.backups().await.unwrap_or_default();
                let own = backups.iter().find(|backup| backup.name == self.name);
                own.into_iter().for_each(|backup| bar.written(backup));
            };
            tokio::select! {
                response = &mut write => break response?,
                () = progress => {}
            }
        };
        response.backup.ok_or_else(|| {
            let message = "the node answered without its copy";
            Error::internal(reason::TRANSPORT, message)
        })
    }

    /// Removes it from the node, and ends it if it is being written.
    async fn remove(&self, printer: &Printer) {
        let delete = self.client.delete_backup(&self.name);
        let is_gone = match tokio::time::timeout(CLEANUP_TIMEOUT, delete).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                [reason::BACKUP_UNKNOWN, reason::BACKUP_UNSUPPORTED].contains(&error.reason())
            }
            Err(_) => false,
        };
        if is_gone {
            return;
        }
        let name = &self.name;
        let text = match self.is_kept {
            true => format!(
                "the node may still have its copy: delete it with `cidery store backups delete {name}`"
            ),
            false => format!(
                "the node may still have its copy `{name}`: it removes it in about ten minutes, or when it starts"
            ),
        };
        printer.note(Tone::Warning, &text);
    }
}
