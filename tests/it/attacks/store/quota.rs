//! A limit on the size of files: writes fail, the process does not end.

use std::process::{Command, Stdio};

use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Value, dict};

use crate::support::binary::Server;
use crate::support::{Folder, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_the_size_of_files_does_not_end_the_node() {
    let folder = Folder::new("quota");
    let data = folder.path().join("data");
    let serve = format!(
        "ulimit -f 4000; exec '{}' serve --demo --listen 127.0.0.1:0 --data-dir '{}'",
        env!("CARGO_BIN_EXE_cidery"),
        data.display()
    );
    let mut shell = Command::new("bash");
    let shell = shell.args(["-c", &serve]).stderr(Stdio::null());
    let mut server = Server::of(shell.stdout(Stdio::piped()).spawn().unwrap());
    let client = ContractClient::connect(&server.address).await.unwrap();
    let client = client.max_attempts(1);
    let input = dict! { "text": Value::from("x".repeat(100_000)) };
    let refused = async {
        loop {
            let mut call = Call::new("cidery.echo", input.clone());
            call.timeout = Some(PATIENCE);
            if let Err(error) = client.invoke_async(call).await {
                return error;
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert!(
        ["STORE_FULL", "STORE_FAILED"].contains(&refused.reason()),
        "{refused}"
    );
    client.invoke(Call::new("cidery.ping", ())).await.unwrap();
    assert!(server.child.try_wait().unwrap().is_none());
}
