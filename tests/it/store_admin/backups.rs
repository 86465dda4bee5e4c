//! Copies of the store of a running node, by RPC.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::engine::store::{Store as _, Stored};
use cidery::model::call::{Call, Start};
use cidery::store::{MemoryStore, SqliteOptions, SqliteStore};
use cidery::{Cid, Kind, dict};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use tonic::Code;

use super::{admin, back_up, files, filled, listed, new, node};
use crate::support::stored::{NOW, accepted};
use crate::support::{Folder, PATIENCE, TestNode, ended, error_of, paths};

const HOUR: Duration = Duration::from_secs(3_600);

/// An invocation that is due in an hour.
async fn accept_later(node: &TestNode) -> Cid {
    let mut call = Call::new("customer.get", dict! { "cust_id": 1 });
    call.durable().start = Some(Start::After(HOUR));
    node.client.invoke_async(call).await.unwrap().cid
}

#[tokio::test]
async fn a_backup_has_all_that_was_accepted_before() {
    let (folder, copy) = (Folder::new("backup"), Folder::new("backup"));
    let node = node(&folder).await;
    let mut cids = Vec::new();
    for _ in 0..20 {
        cids.push(accept_later(&node).await);
        let now = Call::new("customer.get", dict! { "cust_id": 1 });
        cids.push(node.client.invoke_async(now).await.unwrap().cid);
    }
    ended(&node.client, cids[39]).await;
    let mut admin = admin(&node).await;
    let written = back_up(&mut admin, "nightly-1.db").await.unwrap();
    let backup = written.backup.unwrap();
    let path = folder.path().join("backups/nightly-1.db");
    assert_eq!(written.path, path.to_str().unwrap());
    let bytes = std::fs::read(&path).unwrap();
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        (written.bytes, backup.bytes),
        (bytes.len() as u64, written.bytes)
    );
    assert_eq!((&backup.sha256, backup.invocations), (&hash, 40));
    assert_eq!(backup.fraction, None);
    assert_eq!(listed(&mut admin).await, [backup]);
    for (path, mode) in [(path.parent().unwrap(), 0o700), (&path, 0o600)] {
        let found = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path:?}");
    }
    // A file of its own, which any program reads without writing beside it.
    std::fs::copy(&path, copy.path().join("cidery.db")).unwrap();
    let restored = SqliteStore::open(copy.path()).unwrap();
    for cid in cids {
        let found = restored.get(cid).await.unwrap();
        assert!(matches!(found, Stored::Found(_)), "{cid}");
    }
}

#[tokio::test]
async fn a_backup_is_read_in_parts_from_any_offset() {
    let folder = Folder::new("backup");
    let node = node(&folder).await;
    let text = "x".repeat(700_000);
    let large = Call::new("cidery.echo", dict! { "text": text });
    node.client.invoke_async(large).await.unwrap();
    let mut admin = admin(&node).await;
    let written = back_up(&mut admin, "a").await.unwrap();
    let bytes = std::fs::read(&written.path).unwrap();
    for offset in [0, 300_000, bytes.len() - 1, bytes.len()] {
        let request = v1::ReadBackupRequest {
            name: "a".to_owned(),
            offset: offset as u64,
        };
        let mut parts = admin.read_backup(request).await.unwrap().into_inner();
        let mut read = Vec::new();
        while let Some(part) = parts.message().await.unwrap() {
            assert_eq!(part.offset as usize, offset + read.len());
            assert!((1..=256 << 10).contains(&part.data.len()));
            read.extend_from_slice(&part.data);
        }
        assert!(read == bytes[offset..], "from {offset}");
    }
    let beyond = v1::ReadBackupRequest {
        name: "a".to_owned(),
        offset: written.bytes + 1,
    };
    let error = error_of(&admin.read_backup(beyond).await.unwrap_err());
    assert_eq!(
        (error.reason(), paths(&error)),
        ("REQUEST_INVALID", vec!["/offset"])
    );
}

#[tokio::test]
async fn a_name_is_used_once_until_its_copy_is_deleted() {
    let folder = Folder::new("backup");
    let node = node(&folder).await;
    let mut admin = admin(&node).await;
    back_up(&mut admin, "a").await.unwrap();
    let twice = back_up(&mut admin, "a").await.unwrap_err();
    assert_eq!(
        (twice.code(), error_of(&twice).reason()),
        (Code::AlreadyExists, "BACKUP_EXISTS")
    );
    let unnamed = back_up(&mut admin, "").await.unwrap().backup.unwrap();
    assert_eq!(unnamed.name.len(), "20260131T083000.123456Z".len());
    let names = listed(&mut admin).await.into_iter().map(|one| one.name);
    assert_eq!(names.collect::<Vec<_>>(), [unnamed.name.as_str(), "a"]);
    let delete = |name: &str| v1::DeleteBackupRequest {
        name: name.to_owned(),
    };
    for name in ["a", &unnamed.name] {
        admin.delete_backup(delete(name)).await.unwrap();
        let gone = admin.delete_backup(delete(name)).await.unwrap_err();
        assert_eq!(
            (gone.code(), error_of(&gone).reason()),
            (Code::NotFound, "BACKUP_UNKNOWN")
        );
    }
    assert_eq!(files(&folder), [] as [&str; 0]);
    back_up(&mut admin, "a").await.unwrap();
}

/// Neither with a name nor with a link does a request reach a file elsewhere.
#[tokio::test]
async fn nothing_outside_of_the_folder_is_read_or_removed() {
    let (folder, elsewhere) = (Folder::new("backup"), Folder::new("backup"));
    let secret = elsewhere.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let node = node(&folder).await;
    let mut admin = admin(&node).await;
    for name in ["../lock", "..", "/etc/passwd", ".a.info", "a/b", "a b"] {
        let read = v1::ReadBackupRequest {
            name: name.to_owned(),
            offset: 0,
        };
        let delete = v1::DeleteBackupRequest {
            name: name.to_owned(),
        };
        for status in [
            back_up(&mut admin, name).await.unwrap_err(),
            admin.read_backup(read).await.unwrap_err(),
            admin.delete_backup(delete).await.unwrap_err(),
        ] {
            let error = error_of(&status);
            assert_eq!(
                (error.reason(), paths(&error)),
                ("REQUEST_INVALID", vec!["/name"]),
                "{name}"
            );
        }
    }
    std::fs::create_dir_all(folder.path().join("backups/folder")).unwrap();
    symlink(&secret, folder.path().join("backups/link")).unwrap();
    for name in ["link", "folder"] {
        let read = v1::ReadBackupRequest {
            name: name.to_owned(),
            offset: 0,
        };
        let delete = v1::DeleteBackupRequest {
            name: name.to_owned(),
        };
        for status in [
            admin.read_backup(read).await.unwrap_err(),
            admin.delete_backup(delete).await.unwrap_err(),
        ] {
            assert_eq!(error_of(&status).reason(), "BACKUP_UNKNOWN", "{name}");
        }
        let taken = back_up(&mut admin, name).await.unwrap_err();
        assert_eq!(error_of(&taken).reason(), "BACKUP_EXISTS", "{name}");
    }
    assert_eq!(listed(&mut admin).await, []);
    assert_eq!(std::fs::read(secret).unwrap(), b"secret");
}

#[tokio::test]
async fn a_store_in_memory_has_no_copies() {
    assert!(MemoryStore::new().backups().is_none());
    let node = TestNode::demo().await;
    let mut admin = admin(&node).await;
    let status = back_up(&mut admin, "a").await.unwrap_err();
    assert_eq!(
        (status.code(), error_of(&status).reason()),
        (Code::FailedPrecondition, "BACKUP_UNSUPPORTED")
    );
    assert!(status.message().contains("--data-dir"));
}

/// Also where that is a client whose connection ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_disconnects_ends_its_copy() {
    let folder = Folder::new("backup");
    drop(filled(&folder).await);
    let node = node(&folder).await;
    let mut watcher = admin(&node).await;
    // A copy that is complete before it is seen does not count.
    for attempt in 0.. {
        let name = format!("copy-{attempt}");
        let mut caller = admin(&node).await;
        let of_call = name.clone();
        let mut call = JoinSet::new();
        call.spawn(async move { back_up(&mut caller, &of_call).await });
        let is_running = |backups: &[v1::Backup]| {
            let own = backups.iter().find(|backup| backup.name == name);
            own.map(|backup| backup.fraction.is_some())
        };
        let seen = loop {
            if let Some(is_running) = is_running(&listed(&mut watcher).await) {
                break is_running;
            }
        };
        call.abort_all();
        let is_gone = async { while is_running(&listed(&mut watcher).await) == Some(true) {} };
        tokio::time::timeout(PATIENCE, is_gone).await.unwrap();
        let was_ended = call.join_next().await.unwrap().is_err();
        if seen && was_ended && !files(&folder).contains(&name) {
            break;
        }
        assert!(attempt < 10, "{:?}", files(&folder));
    }
    let hidden = |name: &String| name.contains("partial");
    assert!(!files(&folder).iter().any(hidden), "{:?}", files(&folder));
    node.assert_healthy().await;
}

/// A copy does not keep a node from stopping.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_ends_its_copy() {
    let folder = Folder::new("backup");
    drop(filled(&folder).await);
    let node = node(&folder).await;
    let (mut watcher, mut caller) = (admin(&node).await, admin(&node).await);
    let mut call = JoinSet::new();
    call.spawn(async move { back_up(&mut caller, "a").await });
    while listed(&mut watcher).await.is_empty() {}
    node.handle.stop().await;
    let ended = tokio::time::timeout(PATIENCE, call.join_next()).await;
    if let Err(status) = ended.unwrap().unwrap().unwrap() {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(files(&folder), [] as [&str; 0]);
    }
    SqliteStore::open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_copy_is_refused_where_the_disk_has_no_room_for_it() {
    let folder = Folder::new("backup");
    let options = SqliteOptions {
        min_free_bytes: 1 << 60,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(folder.path(), options).unwrap();
    let backups = store.backups().unwrap();
    let error = backups.write(new("a")).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_FULL");
    for fact in ["needed_bytes", "free_bytes", "keep_free_bytes"] {
        assert!(error.fact(fact).is_some(), "{error:?}");
    }
    assert_eq!(files(&folder), [] as [&str; 0]);
}

#[tokio::test]
async fn a_damaged_store_is_not_copied() {
    let folder = Folder::new("backup");
    let store = SqliteStore::open(folder.path()).unwrap();
    for _ in 0..300 {
        accepted(&store, "a", NOW).await;
    }
    drop(store);
    let path = folder.path().join("cidery.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    let leaf = "SELECT pageno FROM dbstat WHERE name = 'invocation' AND pagetype = 'leaf'
         ORDER BY path LIMIT 1 OFFSET 2";
    let page: u64 = database
        .query_row(leaf, [], |row| row.get::<_, i64>(0))
        .unwrap()
        .cast_unsigned();
    drop(database);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xa5; 4_096], (page - 1) * 4_096)
        .unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let error = store.backups().unwrap().write(new("a")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::DataLoss, "STORE_DAMAGED")
    );
    assert!(error.message().contains("cidery store check"), "{error}");
    assert_eq!(files(&folder), [] as [&str; 0]);
}

/// Opens a copy of a store.
fn opened(path: &std::path::Path, folder: &Folder) -> SqliteStore {
    std::fs::copy(path, folder.path().join("cidery.db")).unwrap();
    SqliteStore::open(folder.path()).unwrap()
}

#[tokio::test]
async fn a_copy_begins_in_a_generation_that_its_store_does_not_reach() {
    let (folder, copies) = (
        Folder::new("backup"),
        [Folder::new("backup"), Folder::new("backup")],
    );
    let store = SqliteStore::open(folder.path()).unwrap();
    let backup = store.backups().unwrap().write(new("a")).await.unwrap();
    let first = opened(&backup.path, &copies[0]);
    let second = opened(&backup.path, &copies[1]);
    assert!(first.first_generation() > store.first_generation() + 60_000);
    assert_ne!(first.first_generation(), second.first_generation());
    let undone = store.first_generation()..first.first_generation();
    assert_eq!(first.undone_generations(), undone);
    let last = first.first_generation();
    drop(first);
    let again = SqliteStore::open(copies[0].path()).unwrap();
    assert_eq!(again.first_generation(), last + 1);
    assert_eq!(again.undone_generations(), undone);
    assert_eq!(store.undone_generations(), 0..0);
}

/// What the store gave out after it was copied is not taken for what the copy gives out.
#[tokio::test]
async fn a_stream_does_not_continue_after_events_that_a_copy_never_had() {
    let (folder, copy) = (Folder::new("backup"), Folder::new("backup"));
    let before = node(&folder).await;
    let cid = accept_later(&before).await;
    let accepted = before
        .client
        .results(cid)
        .await
        .unwrap()
        .next()
        .await
        .unwrap();
    let accepted = accepted.unwrap().sequence;
    let mut of_before = admin(&before).await;
    let backup = back_up(&mut of_before, "a").await.unwrap();
    before.client.cancel(cid, false).await.unwrap();
    let last = before.events(crate::support::follow(cid)).await;
    let cancelled = last.last().unwrap().sequence;
    std::fs::copy(&backup.path, copy.path().join("cidery.db")).unwrap();
    let restored = node(&copy).await;
    let next = async |after: u64| {
        let mut request = crate::support::follow(cid);
        request.after_sequences.insert(cid.to_string(), after);
        let mut stream = restored.client.follow(request).await.unwrap();
        stream.next().await.unwrap().unwrap()
    };
    let assert_unknown = |event: &v1::StreamResultsResponse| match &event.event {
        Some(Event::NotFound(event)) => assert_eq!(event.reason, "SEQUENCE_UNKNOWN"),
        other => panic!("{other:?}"),
    };
    // Also of a store that was opened again meanwhile.
    for sequence in [cancelled, cancelled + (1 << 32), cancelled + (1_000 << 32)] {
        assert_unknown(&next(sequence).await);
    }
    restored.client.cancel(cid, false).await.unwrap();
    for sequence in [cancelled, cancelled + (1 << 32)] {
        assert_unknown(&next(sequence).await);
    }
    let event = next(accepted).await;
    assert!(
        matches!(event.event, Some(Event::Cancelled(_))),
        "{event:?}"
    );
    assert!(event.sequence > cancelled + (60_000 << 32));
}
