//! What an operator does with the store of a node: backups, restores, checks.

mod backups;
mod check;
mod commands;
mod copies;
mod under_load;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::admin_service_client::AdminServiceClient;
use cidery::engine::backup::{BackupName, NewBackup};
use cidery::engine::store::Store as _;
use cidery::store::SqliteStore;
use cidery::{Node, dict};
use tonic::transport::Channel;

use crate::support::stored::{NOW, invocation};
use crate::support::{Folder, TestNode};

/// A node with the demo services on a store in a folder.
async fn node(folder: &Folder) -> TestNode {
    let store = SqliteStore::open(folder.path()).unwrap();
    TestNode::start(Node::builder().demo().store(store)).await
}

async fn admin(node: &TestNode) -> AdminServiceClient<Channel> {
    let address = format!("http://{}", node.address());
    AdminServiceClient::connect(address).await.unwrap()
}

/// A copy with a name, which is kept.
fn new(name: &str) -> NewBackup {
    NewBackup {
        name: BackupName::parse(name).unwrap(),
        create_time: NOW,
        is_temporary: false,
    }
}

/// Fills a store until a copy of it takes 200 ms of pauses alone.
async fn filled(folder: &Folder) -> SqliteStore {
    filled_with(folder, 12).await
}

/// Fills a store with 4 MiB so many times.
async fn filled_with(folder: &Folder, times: usize) -> SqliteStore {
    let store = SqliteStore::open(folder.path()).unwrap();
    for _ in 0..times {
        let large = invocation("a", NOW, dict! { "text": "x".repeat(4 << 20) });
        store.accept(large).await.unwrap();
    }
    store
}

/// Writes a copy with a name.
async fn back_up(
    admin: &mut AdminServiceClient<Channel>,
    name: &str,
) -> Result<v1::BackupStoreResponse, tonic::Status> {
    let request = v1::BackupStoreRequest {
        name: name.to_owned(),
        temporary: false,
    };
    let response = admin.backup_store(request).await?;
    Ok(response.into_inner())
}

/// The copies that a node lists.
async fn listed(admin: &mut AdminServiceClient<Channel>) -> Vec<v1::Backup> {
    let response = admin.list_backups(v1::ListBackupsRequest {}).await;
    response.unwrap().into_inner().backups
}

/// The names of all files of copies, hidden ones included.
fn files(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path().join("backups"));
    let names = entries.into_iter().flatten().map(|entry| {
        let name = entry.unwrap().file_name();
        name.into_string().unwrap()
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Asserts that output for programs matches its schema.
#[track_caller]
fn assert_valid(definition: &str, value: &serde_json::Value) {
    let schema = include_str!("../../../docs/cli.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    if let Err(fault) = crate::support::schema::validate(&schema, definition, value) {
        panic!("{fault}");
    }
}
