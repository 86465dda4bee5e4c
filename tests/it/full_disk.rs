//! A full disk: new work is refused, and accepted invocations end once there is room.

use std::path::Path;
use std::sync::Arc;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Error, Worker, dict};
use tokio::sync::Semaphore;

use crate::support::binary::Server;
use crate::support::{Folder, ended, recorder, until};

#[tokio::test]
async fn a_full_disk_refuses_new_work_and_loses_nothing() {
    let folder = Folder::new("full");
    let library = recorder::compile(folder.path());
    let full = folder.path().join("full");
    let data = folder.path().join("data");
    let server = Server::start_in(
        &["--data-dir", data.to_str().unwrap()],
        &[("LD_PRELOAD", &library), ("CIDERY_FULL", &full)],
    );
    let client = ContractClient::connect(&server.address).await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let handler_gate = Arc::clone(&gate);
    let worker = Worker::builder().service("a.gated", move || {
        let gate = Arc::clone(&handler_gate);
        async move { gate.acquire().await.unwrap().forget() }
    });
    let worker = worker.connect(&server.address).await.unwrap();
    let running = client.invoke_async(Call::new("a.gated", ())).await;
    let running = running.unwrap().cid;
    std::fs::write(&full, "").unwrap();
    let customer = || Call::new("customer.get", dict! { "cust_id": 1 });
    let error = client.invoke_async(customer()).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_FULL", "{error:?}");
    assert!(error.is_retryable());
    // There is no room for the outcome either.
    let refused = |full: &Path| std::fs::metadata(full).unwrap().len();
    let before = refused(&full);
    gate.add_permits(1);
    until("the outcome is refused", || refused(&full) > before).await;
    let (_, answer) = client.invoke(customer()).await.unwrap();
    assert!(
        answer.payload.weight() > 0,
        "a synchronous call needs no disk"
    );
    std::fs::remove_file(&full).unwrap();
    let ended = server.run(&["result", &running.to_string(), "--wait", "30s"]);
    assert!(ended.status.success(), "{ended:?}");
    client.invoke_async(customer()).await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn a_store_that_reaches_its_limit_refuses_new_work() {
    let folder = Folder::new("limit");
    let data = folder.path().join("data");
    let mut server = Server::start(&[
        "--data-dir",
        data.to_str().unwrap(),
        "--store-limit",
        "16MiB",
    ]);
    let client = ContractClient::connect(&server.address)
        .await
        .unwrap()
        .max_attempts(1);
    let large = || Call::new("cidery.echo", dict! { "text": "x".repeat(500_000) });
    let (error, accepted) = until_refused(&client, large).await;
    assert_eq!(error.reason(), "STORE_FULL", "{error:?}");
    assert!(accepted.len() > 10, "only {} were accepted", accepted.len());
    for cid in accepted {
        let ended = ended(&client, cid).await;
        assert_eq!(ended.state(), v1::State::Succeeded, "{cid}");
    }
    // Refused again, and logged once.
    client.invoke_async(large()).await.unwrap_err();
    let (log, _) = server.terminate();
    let full = "new invocations are refused: the store is full";
    assert_eq!(log.matches(full).count(), 1, "{log}");
    let limit = (14_u64 << 20).to_string();
    assert!(log.contains(&format!("limit_bytes={limit}")), "{log}");
}

/// Outcomes that cannot be stored are not tried again and again: the node says so once, and stops with a failure.
#[tokio::test]
async fn a_node_whose_store_has_failed_stops_with_a_failure() {
    let folder = Folder::new("gone");
    let data = folder.path().join("data");
    let mut server = Server::start(&["--data-dir", data.to_str().unwrap()]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let client = client.max_attempts(1);
    let gate = Arc::new(Semaphore::new(0));
    let handler_gate = Arc::clone(&gate);
    let worker = Worker::builder().service("a.gated", move || {
        let gate = Arc::clone(&handler_gate);
        async move { gate.acquire().await.unwrap().forget() }
    });
    let worker = worker.connect(&server.address).await.unwrap();
    for _ in 0..3 {
        client.invoke_async(Call::new("a.gated", ())).await.unwrap();
    }
    until("all run", || worker.in_flight() == 3).await;
    std::fs::remove_file(data.join("cidery.db")).unwrap();
    let customer = || Call::new("customer.get", dict! { "cust_id": 1 });
    while client.invoke_async(customer()).await.is_ok() {}
    gate.add_permits(3);
    worker.stop().await;
    let (log, status) = server.terminate();
    let given_up = "commit failed: the attempt runs again once the node has restarted";
    assert_eq!(log.matches("commit failed").count(), 1, "{log}");
    assert!(log.contains(given_up), "{log}");
    assert_eq!(status.code(), Some(6), "{log}");
}

/// Invokes asynchronously until a call is refused. Returns the error and the accepted CIDs.
async fn until_refused(client: &ContractClient, call: impl Fn() -> Call) -> (Error, Vec<Cid>) {
    let mut accepted = Vec::new();
    loop {
        match client.invoke_async(call()).await {
            Ok(one) => accepted.push(one.cid),
            Err(error) => return (error, accepted),
        }
    }
}
