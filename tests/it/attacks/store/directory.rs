//! The data directory: who may use it, and what happens when it vanishes under a running node.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use cidery::codec::proto::health::HealthCheckRequest;
use cidery::codec::proto::health::health_check_response::ServingStatus;
use cidery::codec::proto::health::health_client::HealthClient;
use cidery::engine::store::Store as _;
use cidery::store::SqliteStore;
use cidery::{Error, Node, dict};

use crate::support::stored::{NOW, accepted, found, invocation};
use crate::support::{Folder, PATIENCE, TestNode, until};

/// Accepts until the store refuses; answers with the refusal.
async fn refused(store: &SqliteStore) -> Error {
    let refused = async {
        loop {
            if let Err(error) = store.accept(invocation("a", NOW, dict! {})).await {
                return error;
            }
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap()
}

async fn fails_after(change: impl FnOnce(&Path)) {
    let folder = Folder::new("lost");
    let data = folder.path().join("data");
    let store = SqliteStore::open(&data).unwrap();
    let cid = accepted(&store, "a", NOW).await;
    change(&data);
    let error = refused(&store).await;
    assert_eq!(error.reason(), "STORE_FAILED", "{error}");
    assert_eq!(store.health().unwrap_err().reason(), "STORE_FAILED");
    let error = store.request_cancel(cid, None).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_FAILED", "all writes end");
    assert_eq!(found(&store, cid).await.request.cid, cid, "reads go on");
    // Closing it leaves the files of others alone.
    let before = names(&data);
    drop(store);
    assert_eq!(names(&data), before);
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_store_whose_directory_is_removed_accepts_no_more_writes() {
    fails_after(|data| fs::remove_dir_all(data).unwrap()).await;
}

#[tokio::test]
async fn a_store_whose_directory_is_replaced_accepts_no_more_writes() {
    fails_after(|data| {
        fs::rename(data, data.with_extension("old")).unwrap();
        drop(SqliteStore::open(data).unwrap());
        // As after a crash of the second node.
        fs::write(data.join("cidery.db-wal"), "theirs").unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_store_whose_files_are_removed_accepts_no_more_writes() {
    for name in ["lock", "cidery.db", "cidery.db-wal", "cidery.db-shm"] {
        fails_after(|data| fs::remove_file(data.join(name)).unwrap()).await;
    }
}

/// What was written before is in the file: closing a store that has failed does not lose it.
#[tokio::test]
async fn a_store_that_has_failed_keeps_its_log_when_it_is_closed() {
    let folder = Folder::new("lost");
    let store = SqliteStore::open(folder.path()).unwrap();
    let cid = accepted(&store, "a", NOW).await;
    fs::remove_file(folder.path().join("lock")).unwrap();
    refused(&store).await;
    drop(store);
    assert!(folder.path().join("cidery.db-wal").exists());
    let store = SqliteStore::open(folder.path()).unwrap();
    found(&store, cid).await;
}

#[tokio::test]
async fn an_idle_node_notices_that_its_store_is_gone() {
    let folder = Folder::new("lost");
    let data = folder.path().join("data");
    let store = SqliteStore::open(&data).unwrap();
    let node = TestNode::start(Node::builder().store(store)).await;
    let mut health = HealthClient::connect(format!("http://{}", node.address()))
        .await
        .unwrap();
    let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    let mut next = async || {
        let next = tokio::time::timeout(PATIENCE, watched.message()).await;
        next.unwrap().unwrap().unwrap().status()
    };
    assert_eq!(next().await, ServingStatus::Serving);
    fs::rename(&data, folder.path().join("old")).unwrap();
    assert_eq!(next().await, ServingStatus::NotServing);
}

#[tokio::test]
async fn a_second_node_is_refused_also_without_the_lock_file() {
    let folder = Folder::new("lock");
    let first = SqliteStore::open(folder.path()).unwrap();
    fs::remove_file(folder.path().join("lock")).unwrap();
    let error = SqliteStore::open(folder.path()).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE", "{error}");
    assert!(error.message().contains("another process"), "{error}");
    drop(first);
    SqliteStore::open(folder.path()).unwrap();
}

/// Backups, and operators who look into a store, open its file while a node runs.
#[tokio::test]
async fn other_programs_may_read_the_file_and_do_not_unlock_it() {
    let folder = Folder::new("read");
    let store = SqliteStore::open(folder.path()).unwrap();
    let cid = accepted(&store, "a", NOW).await;
    let database = folder.path().join("cidery.db");
    let other = rusqlite::Connection::open(&database).unwrap();
    let count = "SELECT count(*) FROM invocation";
    let count: i64 = other.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let backup = format!("VACUUM INTO '{}'", copy.join("cidery.db").display());
    other.execute_batch(&backup).unwrap();
    drop(other);
    drop(fs::File::open(&database).unwrap());
    assert!(SqliteStore::open(folder.path()).is_err());
    accepted(&store, "a", NOW).await;
    found(&SqliteStore::open(&copy).unwrap(), cid).await;
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn new_directories_and_files_are_readable_by_their_owner_alone() {
    let folder = Folder::new("mode");
    let data = folder.path().join("new/data");
    let _store = SqliteStore::open(&data).unwrap();
    assert_eq!(mode(&data), 0o700);
    for name in names(&data) {
        assert_eq!(mode(&data.join(&name)), 0o600, "{name:?}");
    }
    assert_eq!(names(&data).len(), 4);
}

#[test]
fn an_existing_directory_is_made_private() {
    for before in [0o777, 0o755, 0o750, 0o1777] {
        let folder = Folder::new("mode");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(before)).unwrap();
        drop(SqliteStore::open(folder.path()).unwrap());
        assert_eq!(mode(folder.path()), before & 0o7700);
    }
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let folder = Folder::new("owner");
    let owned = fs::metadata(folder.path()).unwrap().uid();
    // Only root may give a directory away; for others there are directories of root.
    let data = match chown(folder.path(), Some(owned + 1), None) {
        Ok(()) => folder.path(),
        Err(_) => Path::new("/usr"),
    };
    let before = names(data);
    let error = SqliteStore::open(data).unwrap_err();
    assert_eq!(error.reason(), "STORE_UNUSABLE", "{error}");
    assert!(error.message().contains("belongs to user"), "{error}");
    assert_eq!(names(data), before, "nothing is created there");
}

/// The cause of a failure is for the operator, in the log.
#[tokio::test]
async fn no_answer_carries_the_text_of_sqlite() {
    let folder = Folder::new("sql");
    let store = SqliteStore::open(folder.path()).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap();
    // Each statement of the store names a table that is gone.
    other
        .execute_batch(
            "ALTER TABLE invocation RENAME TO gone; ALTER TABLE tombstone RENAME TO gone2",
        )
        .unwrap();
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    let cid = cidery::Cid::new();
    let errors = [
        node.client
            .invoke_async(cidery::model::call::Call::new("cidery.echo", ()))
            .await
            .unwrap_err(),
        node.client
            .invocation(cid, std::time::Duration::ZERO)
            .await
            .unwrap_err(),
        node.client
            .invocations(cidery::codec::proto::v1::InvocationFilter::default(), 10)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.reason(), "STORE_FAILED", "{error:?}");
        let text = format!("{} {:?}", error.message(), error.info()).to_lowercase();
        for leak in ["select", "insert", "sqlite", "table", "column"] {
            assert!(!text.contains(leak), "{text}");
        }
    }
    until("the node still answers", || node.handle.address().is_some()).await;
}

/// To open a named pipe waits for its other end: a node would hang at its start.
#[test]
fn files_that_are_not_regular_are_refused() {
    for name in ["lock", "cidery.db", "cidery.db-wal", "cidery.db-shm"] {
        let folder = Folder::new("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(folder.path().join(name))
            .status();
        assert!(made.unwrap().success());
        let path = folder.path().to_owned();
        let (opened, opening) = std::sync::mpsc::channel();
        std::thread::spawn(move || opened.send(SqliteStore::open(&path).map(drop)));
        let error = opening.recv_timeout(PATIENCE).expect("it hangs");
        let error = error.unwrap_err();
        assert_eq!(error.reason(), "STORE_UNUSABLE", "{name}: {error}");
        assert!(error.message().contains(name), "{error}");
    }
}
