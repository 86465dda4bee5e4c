//! A disk that fills: new work is refused, and what was accepted ends once there is room.

use std::path::Path;

use cidery::service::Call;
use cidery::{Client, dict};

use crate::support::binary::Server;
use crate::support::{Folder, recorder, until};

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
    let client = Client::connect(&server.address).await.unwrap();
    let sleep = Call::new("demo.sleep", dict! { "seconds": 0.2 });
    let running = client.invoke_async(sleep).await.unwrap().cid;
    std::fs::write(&full, "").unwrap();
    let customer = || Call::new("customer.get", dict! { "cust_id": 1 });
    let error = client.invoke_async(customer()).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_FULL", "{error:?}");
    assert!(error.is_retryable());
    // Its outcome comes, and there is no room for it either.
    let refused = |full: &Path| std::fs::metadata(full).unwrap().len();
    let before = refused(&full);
    until("the outcome is refused", || refused(&full) > before).await;
    let (_, answer) = client.invoke(customer()).await.unwrap();
    assert!(answer.payload.weight() > 0, "what needs no disk goes on");
    std::fs::remove_file(&full).unwrap();
    let ended = server.run(&["result", &running.to_string(), "--wait", "30s"]);
    assert!(ended.status.success(), "{ended:?}");
    client.invoke_async(customer()).await.unwrap();
}
