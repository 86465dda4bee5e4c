//! The README: the output of each of its commands, and its examples, are as shown.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::PATIENCE;
use crate::support::binary::{Server, tool};
use crate::support::console::{Shell, Step, blocks, sessions};
use crate::support::programs::{Running, root};

const README: &str = include_str!("../../README.md");

fn binaries() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_cidery"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Runs a session against a node. Without grpcurl, its steps are left out, and so are those that name a CID, which it
/// has printed.
fn check(session: &[Step], server: &Server) {
    let grpcurl = tool("CIDERY_GRPCURL", "the grpcurl lines of the documents");
    let mut shell = Shell::start(&server.address);
    for step in session {
        let needs_grpcurl = step.command.starts_with("grpcurl") || step.names_a_cid();
        if grpcurl.is_some() || !needs_grpcurl {
            shell.check(step);
        }
    }
}

/// Whether a session needs the service that the README shows.
fn is_of_hello(session: &[Step]) -> bool {
    session.iter().any(|step| step.command.contains("hello."))
}

#[test]
fn the_tour_shows_the_output_of_its_commands() {
    let mut sessions = sessions(README);
    sessions.retain(|session| !is_of_hello(session));
    assert!(!sessions.is_empty());
    let server = Server::start(&[]);
    for session in sessions {
        check(&session, &server);
    }
}

/// The two commands of the README that set up and test everything.
#[test]
fn the_commands_of_the_readme_exist() {
    assert!(README.contains("```sh\ncargo run --features cli -- demo\n```"));
    assert!(README.contains("```sh\nscripts/test\n```") && root().join("scripts/test").is_file());
}

/// The service in the README is the code of the example, in each language, and responds as shown.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_responds_as_shown_in_rust_and_python() {
    let [rust] = blocks(README, "rust,no_run")[..] else {
        panic!("one example in Rust");
    };
    let [python] = blocks(README, "python")[..] else {
        panic!("one example in Python");
    };
    assert!(include_str!("../../examples/hello.rs").contains(rust));
    assert!(include_str!("../../examples/hello.py").contains(python));
    let rust = binaries().join("examples/hello");
    assert!(rust.exists(), "build it with `cargo build --example hello`");
    let sdk = tool("CIDERY_SDK", "the Python lines of the documents");
    let python = sdk.map(|sdk| {
        let mut python = Command::new(Path::new(&sdk).join("python"));
        python.env("PYTHONPATH", root().join("python/src"));
        python.args(["-m", "cidery", "run", "examples/hello.py", "--node"]);
        python
    });
    for worker in [Some(Command::new(rust)), python] {
        let Some(mut worker) = worker else { continue };
        let server = Server::start(&[]);
        let client = cidery::remote::client::ContractClient::connect(&server.address)
            .await
            .unwrap();
        let worker = worker.current_dir(root()).arg(&server.address).spawn();
        let _worker = Running(worker.unwrap());
        let served = async {
            while client.services("hello").await.unwrap().is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.unwrap();
        let mut sessions = sessions(README);
        sessions.retain(|session| is_of_hello(session));
        assert_eq!(sessions.len(), 1);
        for session in sessions {
            check(&session, &server);
        }
    }
}
