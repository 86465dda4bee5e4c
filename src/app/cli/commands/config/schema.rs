//! `cidery config schema`.

use clap::Args;

use crate::app::cli::printer::Printer;
use crate::app::config::schema;

/// Print the JSON Schema of the configuration file.
///
/// Draft 2020-12, for editors: with `#:schema PATH` in its first line, those that know TOML complete and check
/// `cidery.toml`.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Schema {}

impl Schema {
    #[expect(clippy::unused_self, reason = "commands have the same shape")]
    pub(in crate::app::cli) fn run(self, printer: &Printer) {
        let text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
        printer.raw(text.as_bytes());
    }
}
