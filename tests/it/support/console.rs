//! The commands that a document shows: parsed, run in a shell, and their output compared with what the document says.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::Folder;
use super::binary::tool;
use super::programs::root;

/// The address of the node in documents.
const SHOWN_ADDRESS: &str = "127.0.0.1:24337";

/// The folder in which the commands of documents create files. Here it is a temporary one.
const SHOWN_FOLDER: &str = "target/";

/// A line of output that stands for any number of lines.
const ELISION: &str = "...";

/// A command, with the output that the document shows for it.
pub(crate) struct Step {
    pub(crate) command: String,
    output: Vec<String>,
}

impl Step {
    /// Whether the command names a CID.
    pub(crate) fn names_a_cid(&self) -> bool {
        !cids(std::slice::from_ref(&self.command)).is_empty()
    }
}

/// The steps of each `console` block: a command after `$ `, and its output below.
pub(crate) fn sessions(text: &str) -> Vec<Vec<Step>> {
    let mut sessions: Vec<Vec<Step>> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
            if inside {
                sessions.push(Vec::new());
            }
            continue;
        }
        let Some(steps) = sessions.last_mut().filter(|_| inside) else {
            continue;
        };
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else {
            let step = steps.last_mut().expect("output before a command");
            step.output.push(line.to_owned());
        }
    }
    sessions
}

/// The code blocks of a language.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    let parts = text.split(begin.as_str()).skip(1);
    let blocks = parts.map(|rest| rest.split_once("\n```").expect("the end of a block").0);
    blocks.collect()
}

/// A shell that runs the commands of a document against a node. Dropping it kills what it has started.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    statuses: BufReader<ChildStdout>,
    folder: Folder,
    address: String,
    /// The CIDs that the document shows, with those of this run.
    cids: HashMap<String, String>,
    commands: usize,
}

impl Shell {
    /// Starts a shell in the folder of the repository, for the node at this address.
    pub(crate) fn start(address: &str) -> Self {
        let mut child = Command::new("bash")
            .current_dir(root())
            .env("PATH", search_path())
            .env("PYTHONPATH", root().join("python/src"))
            .env("CIDERY_NODE", address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It reports there that the job of a document was killed.
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            statuses: BufReader::new(child.stdout.take().unwrap()),
            child,
            folder: Folder::new("console"),
            address: address.to_owned(),
            cids: HashMap::new(),
            commands: 0,
        }
    }

    /// Runs a step, and checks that its output is as shown.
    pub(crate) fn check(&mut self, step: &Step) {
        let mut command = step.command.clone();
        for (shown, actual) in &self.cids {
            command = command.replace(shown, actual);
        }
        let printed = self.run(&command);
        let shown = self.with_cids_of(&step.output, &printed);
        assert!(
            is_as_shown(&printed, &shown),
            "`{command}` printed\n{}\ninstead of\n{}",
            printed.join("\n"),
            shown.join("\n")
        );
    }

    /// Runs a command, and returns its standard output, or its standard error if it fails.
    pub(crate) fn run(&mut self, command: &str) -> Vec<String> {
        self.commands += 1;
        let file = |kind| {
            let name = format!("{}.{kind}", self.commands);
            self.folder.path().join(name)
        };
        let (out, err) = (file("out"), file("err"));
        let folder = format!("{}/", self.folder.path().display());
        let command = command.replace(SHOWN_ADDRESS, &self.address);
        let command = command.replace(SHOWN_FOLDER, &folder);
        let script = format!(
            "{{\n{command}\n}} >'{}' 2>'{}' </dev/null; echo $?\n",
            out.display(),
            err.display()
        );
        self.input.write_all(script.as_bytes()).unwrap();
        let mut status = String::new();
        self.statuses.read_line(&mut status).unwrap();
        let file = if status.trim() == "0" { out } else { err };
        let text = std::fs::read_to_string(file).unwrap();
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    /// The shown output with the CIDs of this run, which later commands then name as well.
    fn with_cids_of(&mut self, shown: &[String], printed: &[String]) -> Vec<String> {
        let (ours, actual) = (cids(shown), cids(printed));
        if ours.len() == actual.len() {
            self.cids.extend(ours.into_iter().zip(actual));
        }
        let replaced = shown.iter().map(|line| {
            let cids = self.cids.iter();
            cids.fold(line.trim_end().to_owned(), |line, (shown, actual)| {
                line.replace(shown, actual)
            })
        });
        replaced.collect()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill")
            .args(["-s", "KILL", "--", &group])
            .status();
        let _ = self.child.wait();
    }
}

/// The folders of the binary, of the installed tools, and of the system. That of the examples is last: one of them has
/// the name of the program `node`.
fn search_path() -> OsString {
    let grpcurl = tool("CIDERY_GRPCURL", "the grpcurl lines of the documents");
    let sdk = tool("CIDERY_SDK", "the Python lines of the documents");
    let binary = Path::new(env!("CARGO_BIN_EXE_cidery")).parent();
    let grpcurl = grpcurl
        .as_deref()
        .and_then(|grpcurl| Path::new(grpcurl).parent());
    let sdk = sdk.as_deref().map(Path::new);
    let examples = binary.map(|binary| binary.join("examples"));
    let own = [binary, grpcurl, sdk]
        .into_iter()
        .flatten()
        .map(Path::to_owned);
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let inherited = std::env::split_paths(&inherited);
    std::env::join_paths(own.chain(inherited).chain(examples)).unwrap()
}

/// All CIDs of a text, in order.
fn cids(lines: &[String]) -> Vec<String> {
    let words = lines
        .iter()
        .flat_map(|line| line.split(|c: char| !c.is_ascii_hexdigit() && c != '-'));
    let cids = words.filter(|word| cidery::Cid::parse(word).is_ok());
    cids.map(str::to_owned).collect()
}

/// Compares lines; an elision in the shown ones stands for any lines.
fn is_as_shown(printed: &[String], shown: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == ELISION => {
            (0..=printed.len()).any(|skipped| is_as_shown(&printed[skipped..], rest))
        }
        Some((first, rest)) => match printed.split_first() {
            Some((line, printed)) => line == first && is_as_shown(printed, rest),
            None => false,
        },
    }
}

#[test]
fn an_elision_stands_for_any_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let fits = |printed, shown| is_as_shown(&lines(printed), &lines(shown));
    assert!(fits("a\nb", "a\nb") && fits("a\nb\nc", "a\n...") && fits("a\nb\nc", "...\nc"));
    assert!(fits("a", "...\na\n...") && fits("", ""));
    assert!(!fits("a\nb", "a") && !fits("a", "a\nb") && !fits("a\nb", "...\na"));
}
