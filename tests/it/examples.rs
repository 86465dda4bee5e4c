//! `examples/README.md`: each worker and client runs with its one-line command.

use std::process::Command;
use std::time::Duration;

use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::dict;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;

use crate::support::binary::{Server, stderr, stdout, tool};
use crate::support::programs::{Running, root};
use crate::support::{PATIENCE, collect, follow, names};

/// The languages, with the tools that their commands need.
const LANGUAGES: [(&str, &str); 4] = [
    ("python", "CIDERY_PYTHON"),
    ("go", "CIDERY_GO"),
    ("node", "CIDERY_NODE_MODULES"),
    ("java", "CIDERY_JAVA"),
];

/// The commands of the README for programs in a folder, with this name.
fn lines(folder: &str, name: &str) -> Vec<String> {
    let readme = include_str!("../../examples/README.md");
    let code = readme.split('`').skip(1).step_by(2);
    let lines = code.filter(|code| code.starts_with(folder) && code.contains(&format!("/{name} ")));
    lines.map(str::to_owned).collect()
}

/// A command with the address of a node, replacing its shell so that it can be killed.
fn command(line: &str, address: &str) -> Command {
    let line = line.replace("127.0.0.1:24337", address);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {line}")]);
    command.current_dir(root());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_example_runs_with_its_command() {
    let workers = lines("examples/workers/", "run");
    let clients = lines("examples/clients/", "run");
    assert_eq!((workers.len(), clients.len()), (4, 4));
    let server = Server::start(&[]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    for (language, variable) in LANGUAGES {
        if tool(variable, "the lines of examples/README.md").is_none() {
            continue;
        }
        let of_it = |line: &&String| line.contains(&format!("/{language}/"));
        let worker = workers.iter().find(of_it).unwrap();
        let worker = command(worker, &server.address).spawn();
        let mut worker = Running(worker.unwrap());
        let service = format!("{language}.greet");
        wait_until_served(&client, &service, &mut worker).await;
        let line = clients.iter().find(of_it).unwrap();
        let mut asks = command(line, &server.address);
        let output = tokio::task::spawn_blocking(move || asks.output().unwrap());
        let output = output.await.unwrap();
        let output_text = stdout(&output);
        let last = output_text.lines().last().unwrap_or_default();
        let greeting = format!("Hello, Ann from {language}");
        assert!(last.contains(&greeting), "{output_text}{}", stderr(&output));
    }
}

/// They count in the background, report each number, and drain on SIGTERM.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_complete_worker_runs_with_its_command() {
    let workers = lines("examples/workers/", "run-complete");
    assert_eq!(workers.len(), 2);
    let server = Server::start(&[]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    for (language, variable) in &LANGUAGES[..2] {
        if tool(variable, "the lines of examples/README.md").is_none() {
            continue;
        }
        let of_it = |line: &&String| line.contains(&format!("/{language}/"));
        let line = workers.iter().find(of_it).unwrap();
        let mut worker = Running(command(line, &server.address).spawn().unwrap());
        let service = format!("{language}.count");
        wait_until_served(&client, &service, &mut worker).await;
        let call = Call::new(service, dict! { "to": 3 });
        let cid = client.invoke_async(call).await.unwrap().cid;
        let mut stub = InvocationServiceClient::connect(format!("http://{}", server.address))
            .await
            .unwrap();
        let events = stub.stream_results(follow(cid)).await.unwrap();
        let events = collect(events.into_inner()).await;
        let expected = ["accepted", "started", "item", "item", "item", "succeeded"];
        assert_eq!(names(&events), expected);
        worker.signal("TERM");
        let ended = async {
            while !worker.has_ended() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
        assert!(worker.0.wait().unwrap().success(), "{language}");
    }
}

/// Waits until a worker serves a service. Stubs are generated and programs built first.
async fn wait_until_served(client: &ContractClient, service: &str, worker: &mut Running) {
    let served = async {
        while client.services(service).await.unwrap().is_empty() {
            assert!(!worker.has_ended(), "the worker of `{service}` has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 4, served).await.unwrap();
}
