//! How copies of a store begin and end, and when they are removed.

use std::fs::File;
use std::io::Write as _;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::backup::{BackupPhase, NewBackup};
use cidery::engine::clock::{Clock, ManualClock};
use cidery::engine::store::Store as _;
use cidery::store::SqliteStore;
use cidery::{Kind, Node};
use futures_util::poll;

use super::{admin, back_up, files, filled, filled_with, listed, new};
use crate::support::stored::NOW;
use crate::support::{Folder, PATIENCE, TestNode, error_of};

#[tokio::test]
async fn one_copy_is_written_at_a_time_and_it_ends_with_its_caller() {
    let folder = Folder::new("backup");
    let store = filled(&folder).await;
    let backups = store.backups().unwrap();
    let name = |name: &str| new(name).name;
    {
        let mut first = pin!(backups.write(new("first")));
        assert!(poll!(&mut first).is_pending());
        let second = backups.write(new("second")).await.unwrap_err();
        assert_eq!(
            (second.kind(), second.reason()),
            (Kind::FailedPrecondition, "BACKUP_RUNNING")
        );
        let running = backups.list(9).await.unwrap();
        assert_eq!(running.len(), 1);
        assert_eq!(running[0].name, name("first"));
        assert_eq!(running[0].progress.unwrap().phase, BackupPhase::Copying);
    }
    // Its caller is gone: it ends, and nothing of it is left.
    let wait = async { while !backups.list(9).await.unwrap().is_empty() {} };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
    assert_eq!(files(&folder), [] as [&str; 0]);
    // A removal ends one, too.
    let mut third = pin!(backups.write(new("third")));
    assert!(poll!(&mut third).is_pending());
    backups.delete(name("third")).await.unwrap();
    assert_eq!(third.await.unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(files(&folder), [] as [&str; 0]);
    let written = backups.write(new("first")).await.unwrap();
    assert_eq!((written.invocations, written.create_time), (12, NOW));
}

/// A caller that is gone leaves nothing behind, however it went.
#[tokio::test]
async fn a_temporary_copy_is_removed_once_nobody_reads_it() {
    let (folder, clock) = (Folder::new("backup"), ManualClock::new());
    let store = SqliteStore::open(folder.path()).unwrap();
    let builder = Node::builder().store(store);
    let node = TestNode::start(builder.clock(Clock::Manual(clock.clone()))).await;
    let mut admin = admin(&node).await;
    back_up(&mut admin, "kept").await.unwrap();
    let request = v1::BackupStoreRequest {
        name: "temporary".to_owned(),
        temporary: true,
    };
    let written = admin.backup_store(request).await.unwrap().into_inner();
    assert!(written.backup.unwrap().temporary);
    let read = v1::ReadBackupRequest {
        name: "temporary".to_owned(),
        offset: 0,
    };
    // As long as somebody reads it, it stays: an hour.
    for _ in 0..10 {
        clock.advance(Duration::from_secs(360));
        let parts = admin.read_backup(read.clone()).await.unwrap();
        parts.into_inner().message().await.unwrap().unwrap();
    }
    let is_gone = async {
        while files(&folder) != [".kept.info", "kept"] {
            clock.advance(Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_gone).await.unwrap();
    let gone = admin.read_backup(read).await.unwrap_err();
    assert_eq!(error_of(&gone).reason(), "BACKUP_UNKNOWN");
    assert!(!listed(&mut admin).await[0].temporary);
}

/// Also where it is complete a moment before: whatever happens first, nothing has the name of a copy that was removed.
#[tokio::test]
async fn a_copy_that_is_removed_as_it_is_completed_is_gone() {
    let folder = Folder::new("backup");
    let store = SqliteStore::open(folder.path()).unwrap();
    let backups = store.backups().unwrap();
    let info = folder.path().join("backups/.a.info");
    let mut completed = 0;
    for _ in 0..10 {
        let (mut write, mut written) = (pin!(backups.write(new("a"))), None);
        // What is known of a copy is written just before it gets its name.
        while written.is_none() && !info.exists() {
            if let Poll::Ready(done) = poll!(&mut write) {
                written = Some(done);
            }
        }
        backups.delete(new("a").name).await.unwrap();
        assert_eq!(files(&folder), [] as [&str; 0]);
        let written = match written {
            Some(written) => written,
            None => write.await,
        };
        completed += usize::from(written.is_ok());
    }
    assert!(completed > 0, "no copy was completed before it was removed");
}

#[tokio::test]
async fn a_file_that_another_program_put_into_the_folder_is_not_replaced() {
    let folder = Folder::new("backup");
    let store = SqliteStore::open(folder.path()).unwrap();
    let backups = store.backups().unwrap();
    let path = folder.path().join("backups/a");
    let partial = path.with_file_name(".a.partial");
    // A copy that has its name before the other file is there does not count.
    for _ in 0..100 {
        let mut write = pin!(backups.write(new("a")));
        while !partial.exists() && poll!(&mut write).is_pending() {}
        match File::create_new(&path) {
            Ok(mut file) => file.write_all(b"mine").unwrap(),
            Err(_) => {
                backups.delete(new("a").name).await.unwrap();
                continue;
            }
        }
        let error = write.await.unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (Kind::AlreadyExists, "BACKUP_EXISTS")
        );
        assert_eq!(std::fs::read(path).unwrap(), b"mine");
        assert_eq!(files(&folder), ["a"]);
        return;
    }
    panic!("each copy had its name first");
}

const PHASES: [BackupPhase; 3] = [
    BackupPhase::Copying,
    BackupPhase::Verifying,
    BackupPhase::Hashing,
];

/// Who waits for a large copy sees what the node does.
#[tokio::test]
async fn a_copy_shows_what_is_done_with_it() {
    let folder = Folder::new("backup");
    let store = filled_with(&folder, 4).await;
    let backups = store.backups().unwrap();
    let mut seen = Vec::new();
    // A phase that is over before it is seen is seen with another copy.
    for attempt in 0..20 {
        let mut write = pin!(backups.write(new(&attempt.to_string())));
        let (mut phase, mut last) = (0, 0.0);
        while poll!(&mut write).is_pending() {
            let listed = backups.list(1).await.unwrap();
            let Some(progress) = listed.first().and_then(|backup| backup.progress) else {
                continue;
            };
            let place = PHASES
                .iter()
                .position(|one| *one == progress.phase)
                .unwrap();
            assert!(progress.fraction >= last, "{progress:?} after {last}");
            assert!(place >= phase, "{progress:?} after {:?}", PHASES[phase]);
            (phase, last) = (place, progress.fraction);
            if !seen.contains(&progress.phase) {
                seen.push(progress.phase);
            }
        }
        if seen.len() == PHASES.len() {
            return;
        }
    }
    panic!("only {seen:?} were seen");
}

#[tokio::test]
async fn what_a_crash_left_of_a_copy_is_removed_when_the_store_is_opened() {
    let folder = Folder::new("backup");
    let store = SqliteStore::open(folder.path()).unwrap();
    let backups = store.backups().unwrap();
    backups.write(new("kept")).await.unwrap();
    let temporary = NewBackup {
        is_temporary: true,
        ..new("temporary")
    };
    backups.write(temporary).await.unwrap();
    let listed = backups.list(9).await.unwrap();
    let are_temporary = listed
        .iter()
        .map(|one| (one.name.as_str(), one.is_temporary));
    assert_eq!(
        are_temporary.collect::<Vec<_>>(),
        [("kept", false), ("temporary", true)]
    );
    drop(store);
    let path = folder.path().join("backups");
    for left in [
        ".a.partial",
        ".a.partial-wal",
        ".a.partial-journal",
        ".gone.info",
    ] {
        std::fs::write(path.join(left), "x").unwrap();
    }
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(files(&folder), [".kept.info", "kept"]);
    let kept = store.backups().unwrap().list(9).await.unwrap();
    assert_eq!((kept.len(), kept[0].create_time), (1, NOW));
}
