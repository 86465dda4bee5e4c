//! `cidery completions`.

use clap::Args;
use clap_complete::Shell;

use crate::app::cli::printer::Printer;
use crate::model::error::Result;

/// Generate a shell completion script.
///
/// bash: `cidery completions bash > ~/.local/share/bash-completion/completions/cidery`;
/// zsh: `cidery completions zsh > _cidery` in a folder of `$fpath`;
/// fish: `cidery completions fish > ~/.config/fish/completions/cidery.fish`.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(in crate::app::cli) fn run(
        &self,
        printer: &Printer,
        command: &mut clap::Command,
    ) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "cidery", &mut script);
        printer.raw(&script);
        Ok(())
    }
}
