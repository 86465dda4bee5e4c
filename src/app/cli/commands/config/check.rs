//! `cidery config check`: what is wrong with a configuration, before a node meets it.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::app::cli::printer::{Column, List, Printer, Row, Tone};
use crate::app::config::{ConfigArgs, Loaded, Origin, Problem, Sources};
use crate::dict;
use crate::model::error::{Error, Result, reason};

/// Check a configuration file, and the environment variables.
///
/// The exit code is 78 if anything is wrong. A file that an option names and that cannot be read is a warning, since
/// the node may run as another user; with `--strict` it is a problem. What is in these files is not checked, and the
/// data directory is not opened.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Check {
    /// File to check. Default: the one that `cidery serve` would read here.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// The same, as `cidery serve` takes it.
    #[arg(
        long = "config",
        hide = true,
        value_name = "FILE",
        conflicts_with = "file"
    )]
    config: Option<PathBuf>,
    /// Fail where a file cannot be read that an option names.
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(in crate::app::cli) fn run(self, printer: &Printer) -> Result<()> {
        let sources = Sources::of_process(ConfigArgs::of_file(self.file.or(self.config)));
        let unknown = sources.unknown_variables();
        if !unknown.is_empty() {
            let text = format!("ignored, of no known meaning: {}", unknown.join(", "));
            printer.note(Tone::Warning, &text);
        }
        let mut read = sources.read();
        let files = read
            .as_ref()
            .map_or_else(|_| Vec::new(), Loaded::unreadable_files);
        match self.strict {
            true if !files.is_empty() => read = Err(files),
            _ => {
                for problem in files {
                    printer.note(Tone::Warning, &problem.line());
                }
            }
        }
        let problems = read.as_ref().err().map_or(&[][..], Vec::as_slice);
        if !problems.is_empty() || !printer.is_table() {
            printer.list(List {
                columns: [
                    Column::text("WHERE"),
                    Column::text("OPTION"),
                    Column::text("PROBLEM"),
                ],
                rows: problems.iter().map(row).collect(),
                if_empty: "",
            });
        }
        match &read {
            Ok(loaded) => {
                printer.note(Tone::Good, &summary(loaded));
                Ok(())
            }
            Err(problems) => {
                let message = format!("the configuration has {}", count(problems.len(), "problem"));
                Err(Error::invalid_argument(reason::CONFIG_INVALID, message))
            }
        }
    }
}

fn summary(loaded: &Loaded) -> String {
    let of = |kind: &str| {
        let given = loaded.effective();
        given.filter(|it| it.origin.kind() == kind).count()
    };
    let variables = count(of("variable"), "environment variable");
    match loaded.file_text() {
        Some(file) => format!(
            "valid: {} of {file}, {variables}",
            count(of("file"), "option")
        ),
        None => format!("valid: no file, {variables}"),
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn row(problem: &Problem) -> Row<3> {
    let key = problem.key.clone();
    let (file, line) = match &problem.origin {
        Origin::File(path, line) => (Some(path.display().to_string()), Some(*line)),
        _ => (None, None),
    };
    let place = problem.origin.to_string();
    Row {
        name: key.clone().unwrap_or_else(|| place.clone()),
        object: dict! {
            "source": problem.origin.kind(),
            "from": place.as_str(),
            "file": file,
            "line": line.filter(|line| *line > 0),
            "key": key.as_deref(),
            "message": problem.message.as_str(),
        }
        .into(),
        cells: [place, key.unwrap_or_default(), problem.message.clone()],
    }
}
