//! The README's tour, line by line: what it shows is what the commands print.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::binary::{Server, tool};

struct Step {
    command: String,
    shown: Vec<String>,
}

/// The steps of the `console` blocks of a document: a command behind `$ `, and below it what it prints.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                shown: Vec::new(),
            });
        } else if inside {
            steps
                .last_mut()
                .expect("output before a command")
                .shown
                .push(line.to_owned());
        }
    }
    steps
}

/// Every CID is a new one.
fn without_cids(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_hexdigit());
        match cidery::Cid::parse(bare) {
            Ok(_) => word.replace(bare, "CID"),
            Err(_) => word.to_owned(),
        }
    };
    line.split(' ')
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end()
        .to_owned()
}

fn binaries() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_cidery"))
        .parent()
        .unwrap()
        .to_owned()
}

/// What a person sees of a command: both streams, where one of them is for data and the other for what went wrong.
fn run(command: &str, server: &Server, grpcurl: Option<&str>) -> Vec<String> {
    let command = command.replace("127.0.0.1:24337", &server.address);
    let mut path = binaries().into_os_string();
    if let Some(folder) = grpcurl.and_then(|grpcurl| Path::new(grpcurl).parent()) {
        path.push(":");
        path.push(folder);
    }
    path.push(":/usr/bin:/bin");
    let output = Command::new("sh")
        .args(["-c", &command])
        .env("PATH", path)
        .env("CIDERY_NODE", &server.address)
        .output()
        .unwrap();
    let shown = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    String::from_utf8(shown)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_tour_shows_what_the_commands_print() {
    let readme = include_str!("../../README.md");
    let steps = steps(readme);
    assert!(steps.len() >= 6, "the tour has {} steps", steps.len());
    let server = Server::start(&[]);
    let grpcurl = tool("CIDERY_GRPCURL", "the grpcurl line of the README");
    for Step { command, shown } in steps {
        if command.starts_with("grpcurl") && grpcurl.is_none() {
            continue;
        }
        let printed = run(&command, &server, grpcurl.as_deref());
        let printed: Vec<String> = printed.iter().map(|line| without_cids(line)).collect();
        let shown: Vec<String> = shown.iter().map(|line| without_cids(line)).collect();
        assert_eq!(printed, shown, "`{command}`");
    }
}

/// The two commands that the README promises are there to be run.
#[test]
fn the_two_commands_are_there() {
    let readme = include_str!("../../README.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(readme.contains("```sh\ncargo run -- demo\n```"));
    assert!(readme.contains("```sh\nscripts/test\n```") && root.join("scripts/test").is_file());
    for link in readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        assert!(
            link.starts_with("http") || root.join(link).exists(),
            "{link} leads nowhere"
        );
    }
}
