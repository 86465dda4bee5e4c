//! `cidery man`: manual pages, made of the help of the commands and of the documents.

mod page;
mod texts;

use std::path::{Path, PathBuf};

use clap::{Args, Command};

use self::page::page;
use crate::app::cli::args::usage_error;
use crate::app::cli::printer::{Column, List, Printer, Row};
use crate::dict;
use crate::model::error::{Error, Result};

/// Write manual pages: one for each command.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Man {
    /// Command whose page is printed, such as `service pause`. Default: `cidery` itself.
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write all pages to this folder, which is made where it does not exist.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(in crate::app::cli) fn run(&self, printer: &Printer, command: &Command) -> Result<()> {
        match &self.dir {
            Some(folder) => write_all(folder, command, printer),
            None => {
                printer.raw(&page(self.called(command)?));
                Ok(())
            }
        }
    }

    /// The command that is named.
    fn called<'a>(&self, command: &'a Command) -> Result<&'a Command> {
        self.command.iter().try_fold(command, |command, name| {
            command.find_subcommand(name).ok_or_else(|| {
                usage_error(format!("there is no command `{}`", self.command.join(" ")))
            })
        })
    }
}

fn write_all(folder: &Path, command: &Command, printer: &Printer) -> Result<()> {
    let cannot_write = |path: &Path, error: &std::io::Error| -> Error {
        usage_error(format!("cannot write `{}`: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    let mut rows = Vec::new();
    for command in with_pages(command) {
        let path = folder.join(format!("{}.1", page::name(command)));
        std::fs::write(&path, page(command)).map_err(|error| cannot_write(&path, &error))?;
        let path = path.display().to_string();
        rows.push(Row {
            name: path.clone(),
            object: dict! { "path": path.as_str() }.into(),
            cells: [path],
        });
    }
    printer.list(List {
        columns: [Column::text("PATH")],
        rows,
        if_empty: "there are no commands",
    });
    Ok(())
}

/// A command and all below it, as far as they are shown.
fn with_pages(command: &Command) -> Vec<&Command> {
    let mut all = vec![command];
    let is_shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for nested in command.get_subcommands().filter(is_shown) {
        all.extend(with_pages(nested));
    }
    all
}
