//! `cidery completions`.

use clap::{Args, ValueEnum};

use crate::app::cli::complete;
use crate::app::cli::printer::Printer;
use crate::model::error::Result;

/// Print the completion script of a shell.
///
/// bash: `cidery completions bash > ~/.local/share/bash-completion/completions/cidery`;
/// zsh: `cidery completions zsh > _cidery` in a folder of `$fpath`;
/// fish: `cidery completions fish > ~/.config/fish/completions/cidery.fish`.
///
/// It completes names of services, elements of inputs, CIDs, operations and contexts, too: it asks the node for them,
/// for at most half a second. Print it again after an update.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Completions {
    /// The shell.
    shell: Shell,
}

/// The shells for which there is a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Completions {
    pub(in crate::app::cli) fn run(&self, printer: &Printer) -> Result<()> {
        let script = complete::script(match self.shell {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        })?;
        printer.raw(&script);
        Ok(())
    }
}
