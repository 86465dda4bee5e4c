//! The README: the output of each command of the tour, and its examples, are as shown.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::PATIENCE;
use crate::support::binary::{Server, tool};
use crate::support::programs::Running;

struct Step {
    command: String,
    output: Vec<String>,
}

/// The steps of the `console` blocks of a document: a command after `$ `, and its output below.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else if inside {
            steps
                .last_mut()
                .expect("output before a command")
                .output
                .push(line.to_owned());
        }
    }
    steps
}

/// Replaces CIDs, which differ in each run.
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

/// Runs a command and returns its output: standard output, or standard error if it fails.
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
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    String::from_utf8(text)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_tour_shows_the_output_of_its_commands() {
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

/// Checks the output of each command.
fn check(steps: Vec<Step>, server: &Server) {
    let grpcurl = tool("CIDERY_GRPCURL", "the grpcurl line of the README");
    for Step { command, output } in steps {
        if command.starts_with("grpcurl") && grpcurl.is_none() {
            continue;
        }
        let printed = run(&command, server, grpcurl.as_deref());
        let printed: Vec<String> = printed.iter().map(|line| without_cids(line)).collect();
        let output: Vec<String> = output.iter().map(|line| without_cids(line)).collect();
        assert_eq!(printed, output, "`{command}`");
    }
}

/// The two commands of the README exist, and so do all files it links to.
#[test]
fn the_commands_and_links_of_the_readme_exist() {
    let readme = include_str!("../../README.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(readme.contains("```sh\ncargo run --features cli -- demo\n```"));
    assert!(readme.contains("```sh\nscripts/test\n```") && root.join("scripts/test").is_file());
    for link in readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        assert!(
            link.starts_with("http") || root.join(link).exists(),
            "{link} does not exist"
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

/// The service in the README is the code of the example, in each language, and responds as shown.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_responds_as_shown_in_rust_and_python() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(include_str!("../../examples/hello.rs").contains(block("rust,no_run")));
    assert!(include_str!("../../examples/hello.py").contains(block("python")));
    let rust = binaries().join("examples/hello");
    assert!(rust.exists(), "build it with `cargo build --example hello`");
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
        let client = cidery::remote::client::ContractClient::connect(&server.address)
            .await
            .unwrap();
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
