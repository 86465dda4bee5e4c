//! `cidery completions`.

use clap::{Args, ValueEnum};

use crate::app::cli::complete;
use crate::app::cli::printer::Printer;
use crate::model::error::Result;

/// Print the completion script of a shell.
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
