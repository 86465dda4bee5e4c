//! The tutorials: all of their commands, run in one shell as a reader would, print what they show.

use std::path::Path;

use cidery::remote::client::ContractClient;

use crate::support::PATIENCE;
use crate::support::binary::{Server, tool};
use crate::support::console::{Shell, blocks, sessions};

/// A tutorial, and what its commands need.
struct Tutorial {
    text: &'static str,
    /// The command that starts its node. Here the node is in memory and on a free port; the rest is as shown.
    node: &'static str,
    /// The beginning of the names of the services that its worker serves.
    services: &'static str,
    tools: &'static [&'static str],
}

const PYTHON: Tutorial = Tutorial {
    text: include_str!("../../docs/tutorial.md"),
    node: "cidery serve --data-dir target/tutorial --worker-lease 2s 2>target/node.log &",
    services: "words",
    tools: &["CIDERY_GRPCURL", "CIDERY_SDK", "CIDERY_NODE_MODULES"],
};
const RUST: Tutorial = Tutorial {
    text: include_str!("../../docs/tutorial-rust.md"),
    tools: &["CIDERY_GRPCURL"],
    ..PYTHON
};
const GRPC: Tutorial = Tutorial {
    text: include_str!("../../docs/tutorial-grpc.md"),
    node: "cidery serve --demo --data-dir target/tutorial 2>target/node.log &",
    services: "node",
    tools: &["CIDERY_GRPCURL", "CIDERY_NODE_MODULES"],
};

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_the_tutorial_in_python_prints_what_it_shows() {
    let [service] = blocks(PYTHON.text, "python")[..] else {
        panic!("one example in Python");
    };
    assert!(include_str!("../../examples/reports.py").contains(service));
    check(&PYTHON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_the_tutorial_in_rust_prints_what_it_shows() {
    let [worker, client] = blocks(RUST.text, "rust,no_run")[..] else {
        panic!("a worker and a client in Rust");
    };
    assert!(include_str!("../../examples/reports.rs").contains(worker));
    assert!(include_str!("../../examples/reports_client.rs").contains(client));
    let programs = Path::new(env!("CARGO_BIN_EXE_cidery")).parent().unwrap();
    let programs = ["reports", "reports_client"].map(|name| programs.join("examples").join(name));
    let is_built = programs.iter().all(|program| program.is_file());
    assert!(is_built, "build them with `cargo build --examples`");
    check(&RUST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_the_tutorial_with_grpc_prints_what_it_shows() {
    check(&GRPC).await;
}

async fn check(tutorial: &Tutorial) {
    let mut missing = tutorial.tools.iter();
    if missing.any(|name| tool(name, "the tutorials").is_none()) {
        return;
    }
    let server = Server::start(&["--worker-lease", "2s"]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let mut shell = Shell::start(&server.address);
    let steps: Vec<_> = sessions(tutorial.text).into_iter().flatten().collect();
    assert!(steps.iter().any(|step| step.command == tutorial.node));
    for step in steps.iter().filter(|step| step.command != tutorial.node) {
        if step.command.starts_with("kill -9") {
            wait_until_running(&client).await;
        }
        tokio::task::block_in_place(|| shell.check(step));
        if step.command.ends_with('&') {
            wait_until_served(&client, tutorial.services).await;
        }
    }
}

/// Waits until the worker of the tutorial serves its services.
async fn wait_until_served(client: &ContractClient, services: &str) {
    let served = async {
        while client.services(services).await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

/// Waits until the worker builds a report.
async fn wait_until_running(client: &ContractClient) {
    let running = async {
        loop {
            let services = client.services("report").await.unwrap();
            if services.iter().any(|service| service.running > 0) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, running).await.unwrap();
}
