//! The README's tour, line by line: what it shows is what the commands print.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::PATIENCE;
use crate::support::binary::{Server, tool};
use crate::support::programs::Running;

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
    let (_, steps): (Vec<_>, Vec<_>) = steps(readme).into_iter().partition(is_of_hello);
    assert!(steps.len() >= 6, "the tour has {} steps", steps.len());
    let server = Server::start(&[]);
    check(steps, &server);
}

/// Whether a step needs the service that the README shows.
fn is_of_hello(step: &Step) -> bool {
    step.command.contains("hello")
}

/// Each command prints what is shown.
fn check(steps: Vec<Step>, server: &Server) {
    let grpcurl = tool("CIDERY_GRPCURL", "the grpcurl line of the README");
    for Step { command, shown } in steps {
        if command.starts_with("grpcurl") && grpcurl.is_none() {
            continue;
        }
        let printed = run(&command, server, grpcurl.as_deref());
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

/// The code block of a language.
fn block(language: &str) -> &'static str {
    let readme = include_str!("../../README.md");
    let begin = format!("```{language}\n");
    let (_, rest) = readme.split_once(&begin).unwrap();
    rest.split_once("\n```").unwrap().0
}

/// The service that the README shows is the one of the example, in each language, and answers as is shown.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_in_rust_and_in_python() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(include_str!("../../examples/hello.rs").contains(block("rust,no_run")));
    assert!(include_str!("../../examples/hello.py").contains(block("python")));
    let rust = binaries().join("examples/hello");
    assert!(rust.exists(), "`cargo build --example hello` builds it");
    let sdk = tool("CIDERY_SDK", "the service of the README in Python");
    let python = sdk.map(|sdk| {
        let mut python = Command::new(Path::new(&sdk).join("python"));
        python.env("PYTHONPATH", root.join("python/src"));
        python.args(["-m", "cidery", "run", "examples/hello.py", "--node"]);
        python
    });
    for worker in [Some(Command::new(rust)), python] {
        let Some(mut worker) = worker else { continue };
        let server = Server::start(&[]);
        let client = cidery::Client::connect(&server.address).await.unwrap();
        let worker = worker.current_dir(root).arg(&server.address).spawn();
        let _worker = Running(worker.unwrap());
        let served = async {
            while client.services("hello").await.unwrap().is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.unwrap();
        let readme = include_str!("../../README.md");
        let (steps, _): (Vec<_>, Vec<_>) = steps(readme).into_iter().partition(is_of_hello);
        assert_eq!(steps.len(), 2);
        check(steps, &server);
    }
}
