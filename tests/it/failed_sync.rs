//! Failed syncs: all writes end, health is `NOT_SERVING`, and answered writes are there after a restart.

use std::path::Path;
use std::time::Duration;

use cidery::codec::proto::health::HealthCheckRequest;
use cidery::codec::proto::health::health_check_response::ServingStatus;
use cidery::codec::proto::health::health_client::HealthClient;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, dict};

use crate::support::binary::Server;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{Folder, PATIENCE, ended, recorder};

fn customer() -> Call {
    Call::new("customer.get", dict! { "cust_id": 1 })
}

async fn is_serving(address: &str) -> bool {
    let mut health = HealthClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let status = health.check(HealthCheckRequest::default()).await.unwrap();
    status.into_inner().status() == ServingStatus::Serving
}

/// Lets the syncs of one file of the store fail, then kills the node and restarts it.
async fn fail_syncs_of(file: &str, folder: &Folder) {
    let library = recorder::compile(folder.path());
    let (broken, data) = (folder.path().join("broken"), folder.path().join("data"));
    let options = ["--data-dir", data.to_str().unwrap()];
    let environment: [(&str, &Path); 2] = [("LD_PRELOAD", &library), ("CIDERY_BROKEN", &broken)];
    let server = Server::start_in(&options, &environment);
    let client = ContractClient::connect(&server.address)
        .await
        .unwrap()
        .max_attempts(1);
    // One invocation runs until the sync has failed, and its result arrives after that.
    let mut worker = RawWorker::connect(server.address.parse().unwrap(), hello("a.task")).await;
    let call = Call::new("a.task", dict! {});
    let running = client.invoke_async(call).await.unwrap().cid;
    let dispatch = worker.dispatch().await;
    let mut answered: Vec<Cid> = vec![running];
    for _ in 0..20 {
        answered.push(client.invoke_async(customer()).await.unwrap().cid);
    }
    assert!(is_serving(&server.address).await);
    let mut health = HealthClient::connect(format!("http://{}", server.address))
        .await
        .unwrap();
    let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    let mut next = async || watched.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    std::fs::write(&broken, file).unwrap();
    // The log is synced with each commit, the database only with a checkpoint.
    let failed = async {
        loop {
            match client.invoke_async(customer()).await {
                Ok(accepted) => answered.push(accepted.cid),
                Err(error) => break error,
            }
        }
    };
    let error = tokio::time::timeout(PATIENCE, failed).await.unwrap();
    assert_eq!(error.reason(), "STORE_FAILED", "{error:?}");
    assert!(!is_serving(&server.address).await);
    assert_eq!(next().await, ServingStatus::NotServing);
    // A repeated sync could succeed without having written anything: the disk is not trusted again.
    std::fs::remove_file(&broken).unwrap();
    let error = client.invoke_async(customer()).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_FAILED", "{error:?}");
    worker.answer(&dispatch.token, &dict! {});
    let (_, answer) = client.invoke(customer()).await.unwrap();
    assert!(
        answer.payload.weight() > 0,
        "a synchronous call needs no disk"
    );
    let found = client.invocation(running, Duration::ZERO).await.unwrap();
    assert_eq!(found.end_time, None, "its result cannot be written");
    server.signal("KILL");
    drop((server, worker));
    let server = Server::start_in(&options, &[]);
    // Its attempt counts as a crash: it runs again.
    let client = ContractClient::connect(&server.address).await.unwrap();
    let mut worker = RawWorker::connect(server.address.parse().unwrap(), hello("a.task")).await;
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! {});
    ended(&client, running).await;
    for cid in answered {
        let ended = server.run(&["result", &cid.to_string(), "--wait", "30s"]);
        assert!(ended.status.success(), "{ended:?}");
    }
    assert!(is_serving(&server.address).await);
}

#[tokio::test]
async fn a_failed_sync_of_the_log_ends_all_writes_and_loses_nothing() {
    fail_syncs_of("2", &Folder::new("sync")).await;
}

#[tokio::test]
async fn a_failed_sync_of_the_database_ends_all_writes_and_loses_nothing() {
    fail_syncs_of("1", &Folder::new("sync")).await;
}
