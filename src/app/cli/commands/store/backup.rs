//! `cidery store backup`: the node writes a copy, and the command fetches it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::MissedTickBehavior;

use super::fetch::Target;
use super::quantities::{invocations, size};
use crate::app::cli::detach::INTERRUPTED;
use crate::app::cli::names::time_value;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::codec::proto::v1;
use crate::dict;
use crate::engine::backup::BackupName;
use crate::engine::clock::Clock;
use crate::model::error::{Error, Result, reason};
use crate::remote::client::ContractClient;

/// How often the node is asked how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// How long an interrupted command waits until the node has removed its copy.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a broken connection is replaced before the command gives up.
const MAX_RESUMES: u32 = 5;

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
        let target = Target::new(&self.path, self.force)?;
        let client = self.node.connect(printer).await?;
        // Of this command alone: what it removes is its own.
        let name = format!(
            "{}-{:08x}",
            BackupName::of(Clock::System.now()),
            fastrand::u32(..)
        );
        let copied = tokio::select! {
            copied = copy(&client, &name, target, printer) => Some(copied),
            Ok(()) = tokio::signal::ctrl_c() => None,
        };
        if !(self.keep && matches!(copied, Some(Ok(_)))) {
            remove(&client, &name, printer).await;
        }
        let Some(copied) = copied else {
            printer.note(Tone::Heading, "interrupted: there is no backup");
            return Ok(ExitCode::from(INTERRUPTED));
        };
        self.show(&copied?, printer);
        Ok(ExitCode::SUCCESS)
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

/// Has the node write a copy, and fetches it.
async fn copy(
    client: &ContractClient,
    name: &str,
    mut target: Target,
    printer: &Printer,
) -> Result<v1::Backup> {
    let bar = Bar::new(printer);
    let backup = written(client, name, &bar).await?;
    bar.fetching(backup.bytes);
    let mut resumes = 0;
    let mut parts = client.read_backup(name, 0).await?;
    loop {
        match parts.next().await {
            Ok(Some((offset, part))) => {
                target.write(offset, &part)?;
                bar.fetched(target.bytes());
            }
            Ok(None) => break,
            Err(error) if resumes < MAX_RESUMES && is_lost(&error) => {
                resumes += 1;
                parts = client.read_backup(name, target.bytes()).await?;
            }
            Err(error) => return Err(error),
        }
    }
    target.finish(backup.bytes, &backup.sha256)?;
    Ok(backup)
}

fn is_lost(error: &Error) -> bool {
    [reason::CONNECT_FAILED, reason::TRANSPORT].contains(&error.reason())
}

/// Waits until the node has written its copy, and shows how far it is.
async fn written(client: &ContractClient, name: &str, bar: &Bar) -> Result<v1::Backup> {
    let mut write = Box::pin(client.backup_store(name));
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let response = loop {
        tokio::select! {
            response = &mut write => break response?,
            _ = ticks.tick(), if bar.is_shown() => {}
        }
        let progress = async {
            let backups = client.backups().await.unwrap_or_default();
            let own = backups.into_iter().find(|backup| backup.name == name);
            bar.copied(own.and_then(|backup| backup.fraction));
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

/// Removes the copy from the node, and ends it if it is being written.
async fn remove(client: &ContractClient, name: &str, printer: &Printer) {
    let removed = tokio::time::timeout(CLEANUP_TIMEOUT, client.delete_backup(name)).await;
    let is_gone = match &removed {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            [reason::BACKUP_UNKNOWN, reason::BACKUP_UNSUPPORTED].contains(&error.reason())
        }
        Err(_) => false,
    };
    if !is_gone {
        let text = format!(
            "the node may still have its copy: delete `{name}` in the folder `backups` of its data directory"
        );
        printer.note(Tone::Warning, &text);
    }
}

/// Progress, where a person reads it.
struct Bar(Option<ProgressBar>);

impl Bar {
    /// How many steps the copy at the node has.
    const STEPS: u64 = 1_000;

    fn new(printer: &Printer) -> Self {
        let bar = printer.has_reader().then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(Self::STEPS), ProgressDrawTarget::stderr());
            Self::set_style(&bar, "[{bar:24}] {percent:>3} %  the node copies its store");
            bar
        });
        Self(bar)
    }

    fn set_style(bar: &ProgressBar, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("##-"));
        }
    }

    fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// How much the node has copied.
    fn copied(&self, fraction: Option<f64>) {
        if let (Some(bar), Some(fraction)) = (&self.0, fraction) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a fraction of a small number"
            )]
            bar.set_position((fraction.clamp(0.0, 1.0) * Self::STEPS as f64) as u64);
        }
    }

    fn fetching(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.reset();
            bar.set_length(bytes);
            Self::set_style(
                bar,
                "[{bar:24}] {percent:>3} %  {binary_bytes} of {binary_total_bytes} fetched",
            );
        }
    }

    fn fetched(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
