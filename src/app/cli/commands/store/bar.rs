//! The progress of a backup, where a person reads it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::app::cli::printer::Printer;
use crate::codec::proto::v1;

/// How many steps the copy at the node has.
const STEPS: u64 = 1_000;

/// The progress of a backup. Cleared when it is dropped.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    pub(super) fn new(printer: &Printer) -> Self {
        let new = || ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        let bar = Self(printer.has_reader().then(new));
        bar.set_style("[{bar:24}] {percent:>3} %  {msg}");
        bar
    }

    pub(super) fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// How far the node is.
    pub(super) fn written(&self, backup: &v1::Backup) {
        let (Some(bar), Some(fraction)) = (&self.0, backup.fraction) else {
            return;
        };
        bar.set_message(match backup.phase() {
            v1::BackupPhase::Verifying => "the node verifies its copy",
            v1::BackupPhase::Hashing => "the node computes the checksum of its copy",
            v1::BackupPhase::Unspecified | v1::BackupPhase::Copying => "the node copies its store",
        });
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a fraction of a small number"
        )]
        bar.set_position((fraction.clamp(0.0, 1.0) * STEPS as f64) as u64);
    }

    /// The copy is fetched from here on: so many bytes.
    pub(super) fn fetching(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.reset();
            bar.set_length(bytes);
        }
        self.set_style("[{bar:24}] {percent:>3} %  {binary_bytes} of {binary_total_bytes} fetched");
    }

    pub(super) fn fetched(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
        }
    }

    fn set_style(&self, template: &str) {
        if let (Some(bar), Ok(style)) = (&self.0, ProgressStyle::with_template(template)) {
            bar.set_style(style.progress_chars("##-"));
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
