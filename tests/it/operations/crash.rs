//! An operation whose node is killed, and one whose disk is full.

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, dict};
use tokio::task::JoinHandle;

use super::{all_ended, failed, has_ended, id, of, request, retried, retry, sorted, started, when};
use crate::support::binary::Server;
use crate::support::raw::spawn;
use crate::support::{Folder, recorder};

const ORIGINALS: usize = 2_400;

/// Invokes a service that fails until the node is gone; answers with the CIDs that it accepted.
fn keep_failing(client: &ContractClient) -> JoinHandle<Vec<Cid>> {
    let client = client.clone().max_attempts(1);
    spawn(async move {
        let mut accepted = Vec::new();
        let call = || Call::new("demo.fail", dict! { "code": "NOT_FOUND" });
        while let Ok(one) = client.invoke_async(call()).await {
            accepted.push(one.cid);
        }
        accepted
    })
}

/// Whatever the kill interrupts: each invocation that had failed is retried exactly once, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_retries_each_invocation_exactly_once() {
    let folder = Folder::new("killed");
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    let mut server = Server::start(&options);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let good = || Call::new("customer.get", dict! { "cust_id": 1 });
    all_ended(&client, (0..20).map(|_| good())).await;
    let originals = failed(&client, ORIGINALS).await;
    let arriving = keep_failing(&client);
    // All services: what has succeeded matches no state of the filter.
    let states = [v1::State::Failed, v1::State::Cancelled, v1::State::Expired];
    let everything = v1::InvocationFilter {
        services: Vec::new(),
        ..of("", &states)
    };
    // What arrives before the start may be among them.
    let early = client
        .invocations(everything.clone(), usize::MAX)
        .await
        .unwrap()
        .len();
    let operation = started(
        &client,
        v1::StartOperationRequest {
            max_per_second: 1_600,
            ..request(retry(), everything)
        },
    )
    .await;
    assert!(usize::try_from(operation.matched).unwrap() >= early);
    // In the middle of the second page of three: it is repeated.
    let halfway = async {
        loop {
            let now = client.operation(id(&operation), false).await.unwrap();
            if now.processed > 1_000 {
                return now;
            }
        }
    };
    let halfway = halfway.await;
    assert!(!has_ended(&halfway), "{halfway:?}");
    server.signal("KILL");
    server.child.wait().unwrap();
    let arrived = arriving.await.unwrap();
    let server = Server::start(&options);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let arriving = keep_failing(&client);
    let ended = when(&client, &operation, has_ended).await;
    assert_eq!(ended.state(), v1::OperationState::Succeeded, "{ended:?}");
    assert!(ended.refusals.is_empty(), "{ended:?}");
    arriving.abort();
    let retries = retried(&client).await;
    let (mut once, count) = (sorted(&retries), retries.len());
    once.dedup();
    assert_eq!(once.len(), count, "each is retried once");
    // One that ended as the operation started may be retried and not be counted.
    assert!(u64::try_from(count).unwrap() >= ended.matched);
    assert_eq!(u64::try_from(count).unwrap(), ended.changed);
    for cid in &originals {
        assert!(once.binary_search(&cid.to_string()).is_ok(), "{cid}");
    }
    // Beyond the originals, only what had arrived before the operation started.
    let arrived = sorted(arrived);
    let others = once
        .iter()
        .filter(|cid| !originals.iter().any(|one| one.to_string() == **cid));
    for cid in others {
        assert!(arrived.binary_search(cid).is_ok(), "{cid}");
    }
    let succeeded = client
        .invocations(of("customer.get", &[]), usize::MAX)
        .await;
    assert_eq!(succeeded.unwrap().len(), 20);
}

/// A full disk refuses new work, and retries are new work: the operation waits, and goes on.
#[tokio::test]
async fn an_operation_waits_while_the_disk_is_full() {
    let folder = Folder::new("full");
    let library = recorder::compile(folder.path());
    let full = folder.path().join("full");
    let data = folder.path().join("data");
    let server = Server::start_in(
        &["--data-dir", data.to_str().unwrap()],
        &[("LD_PRELOAD", &library), ("CIDERY_FULL", &full)],
    );
    let client = ContractClient::connect(&server.address).await.unwrap();
    let originals = failed(&client, 6).await;
    let slow = v1::StartOperationRequest {
        max_per_second: 4,
        ..request(retry(), of("demo.fail", &[v1::State::Failed]))
    };
    let operation = started(&client, slow).await;
    when(&client, &operation, |now| now.processed >= 2).await;
    std::fs::write(&full, "").unwrap();
    let waits = when(&client, &operation, |now| now.failure.is_some()).await;
    assert_eq!(waits.failure.unwrap().reason, "STORE_FULL");
    std::fs::remove_file(&full).unwrap();
    let ended = when(&client, &operation, has_ended).await;
    assert_eq!(ended.state(), v1::OperationState::Succeeded, "{ended:?}");
    assert_eq!((ended.changed, ended.failure), (6, None));
    assert_eq!(sorted(retried(&client).await), sorted(originals));
}
