//! The limit of open files: a node raises it, and takes no more connections than fit.

use std::process::{Command, Stdio};

use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use tokio::net::TcpStream;

use crate::support::PATIENCE;
use crate::support::binary::Server;

/// Starts a node in a shell that has set a limit.
fn serve(limit: &str) -> Server {
    let serve = format!(
        "ulimit {limit}; exec '{}' serve --demo --in-memory --listen 127.0.0.1:0",
        env!("CARGO_BIN_EXE_cidery")
    );
    let mut shell = Command::new("bash");
    let shell = shell.args(["-c", &serve]).stderr(Stdio::piped());
    Server::of(shell.stdout(Stdio::piped()).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_what_fits_wait_and_harm_no_call() {
    let mut server = serve("-n 200");
    let client = ContractClient::connect(&server.address).await.unwrap();
    client.invoke(Call::new("cidery.ping", ())).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(&server.address).await.unwrap());
    }
    for _ in 0..20 {
        let mut call = Call::new("cidery.ping", ());
        call.timeout = Some(PATIENCE);
        client.invoke(call).await.unwrap();
    }
    drop(idle);
    let (log, _) = server.terminate();
    assert_eq!(
        log.matches("fewer connections than configured").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("cannot accept a connection"), "{log}");
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let server = serve("-Sn 200");
    let limits = format!("/proc/{}/limits", server.child.id());
    let limits = std::fs::read_to_string(limits).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[3], words[4], "{limits}");
}
