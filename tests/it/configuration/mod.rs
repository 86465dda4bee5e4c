//! The configuration of a node: its file, environment and flags, and how it is supervised.

mod exit_codes;
mod limits;
mod probe;
mod reference;
mod reload;
mod sources;
mod supervisor;
mod tuning;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::Folder;
use crate::support::binary::{cidery, stdout};

/// The schema that the program prints.
fn schema() -> Value {
    let output = cidery().args(["config", "schema"]).output().unwrap();
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// A folder with a file of configuration, in which commands run.
struct Site {
    folder: Folder,
}

impl Site {
    fn new(text: &str) -> Self {
        let site = Self {
            folder: Folder::new("configuration"),
        };
        site.write(text);
        site
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cidery.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        run_in(self.folder.path(), arguments, environment)
    }
}

pub(crate) fn run_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = cidery();
    // Variables of the tools of other tests.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CIDERY_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(folder);
    command.envs(environment.iter().copied());
    command.output().unwrap()
}

/// The objects of `jsonl` output.
#[track_caller]
pub(crate) fn objects(output: &Output) -> Vec<Value> {
    let text = stdout(output);
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect(&text)
}
