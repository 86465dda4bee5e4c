//! The tutorial: all of its commands, run in one shell as a reader would, print what it shows.

use cidery::remote::client::ContractClient;

use crate::support::PATIENCE;
use crate::support::binary::{Server, tool};
use crate::support::console::{Shell, blocks, sessions};

const TUTORIAL: &str = include_str!("../../docs/tutorial.md");

/// The options of the node that the tutorial starts.
const NODE: &str = "cidery serve --data-dir target/tutorial --worker-lease 2s 2>target/node.log &";

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_the_tutorial_prints_what_it_shows() {
    let [service] = blocks(TUTORIAL, "python")[..] else {
        panic!("one example in Python");
    };
    assert!(include_str!("../../examples/reports.py").contains(service));
    let tools = ["CIDERY_GRPCURL", "CIDERY_SDK", "CIDERY_NODE_MODULES"];
    if tools
        .iter()
        .any(|name| tool(name, "the tutorial").is_none())
    {
        return;
    }
    // In memory, on a free port; the rest is as shown.
    let server = Server::start(&["--worker-lease", "2s"]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let mut shell = Shell::start(&server.address);
    let steps: Vec<_> = sessions(TUTORIAL).into_iter().flatten().collect();
    assert!(steps.iter().any(|step| step.command == NODE));
    for step in steps.iter().filter(|step| step.command != NODE) {
        if step.command.starts_with("kill -9") {
            wait_until_running(&client).await;
        }
        tokio::task::block_in_place(|| shell.check(step));
        if step.command.ends_with('&') {
            wait_until_served(&client).await;
        }
    }
}

/// Waits until the worker of the tutorial serves its services.
async fn wait_until_served(client: &ContractClient) {
    let served = async {
        while client.services("words").await.unwrap().is_empty() {
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
