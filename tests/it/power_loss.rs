//! Power loss: answered writes survive it. Unlike SIGKILL, it loses what the operating system has cached.
//!
//! A second process of this binary writes to a store while a preloaded library (`support/recorder.c`) records each
//! write, each sync and each answer. Then a power loss is simulated after each of these operations: writes that were
//! not synced are dropped, all of them or some. The store must open, and contain everything that had been answered.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use cidery::engine::store::{Acceptance, Record, Store as _, Stored};
use cidery::model::invocation::{Invocation, Request, State};
use cidery::store::SqliteStore;
use cidery::{Cid, dict};
use tokio::task::JoinSet;

use crate::support::stored::{NOW, group, invocation, succeeded};
use crate::support::{Folder, recorder};

/// The operations and files of the recorder.
const WRITE: u8 = 1;
const SYNC: u8 = 2;
const TRUNCATE: u8 = 3;
const DATABASE: usize = 1;
const ANSWERS: usize = 3;

/// A recorded operation.
#[derive(Debug)]
struct Operation {
    kind: u8,
    file: usize,
    offset: usize,
    length: usize,
    content: Vec<u8>,
}

fn operations(log: &Path) -> Vec<Operation> {
    let bytes = std::fs::read(log).unwrap();
    let number = |at: usize| {
        usize::try_from(u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
    };
    let mut operations = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (kind, length) = (bytes[at], number(at + 10));
        let content = if kind == WRITE { length } else { 0 };
        operations.push(Operation {
            kind,
            file: bytes[at + 1].into(),
            offset: number(at + 2),
            length,
            content: bytes[at + 18..at + 18 + content].to_vec(),
        });
        at += 18 + content;
    }
    operations
}

/// A disk: the synced content of each file, and the operations that are not synced.
#[derive(Clone, Default)]
struct Disk {
    synced: [Vec<u8>; 4],
    unsynced: [Vec<usize>; 4],
}

impl Disk {
    fn apply(image: &mut Vec<u8>, operation: &Operation) {
        match operation.kind {
            WRITE => {
                let end = operation.offset + operation.content.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[operation.offset..end].copy_from_slice(&operation.content);
            }
            TRUNCATE => image.resize(operation.length, 0),
            _ => {}
        }
    }

    fn step(&mut self, all: &[Operation], index: usize) {
        let operation = &all[index];
        let file = operation.file;
        if operation.kind == SYNC {
            for done in std::mem::take(&mut self.unsynced[file]) {
                Self::apply(&mut self.synced[file], &all[done]);
            }
        } else {
            self.unsynced[file].push(index);
        }
    }

    /// Writes the files as they are after a power loss. `kept` decides for each operation that was not synced.
    fn cut(&self, all: &[Operation], folder: &Path, mut kept: impl FnMut() -> bool) {
        for (file, name) in [(1, "cidery.db"), (2, "cidery.db-wal")] {
            let mut image = self.synced[file].clone();
            for index in &self.unsynced[file] {
                if kept() {
                    Self::apply(&mut image, &all[*index]);
                }
            }
            std::fs::write(folder.join(name), image).unwrap();
        }
    }

    /// The last answer for each CID.
    fn answered(&self, all: &[Operation]) -> HashMap<Cid, u8> {
        let mut bytes = Vec::new();
        for index in &self.unsynced[ANSWERS] {
            bytes.extend_from_slice(&all[*index].content);
        }
        let answers = bytes.chunks_exact(17);
        let answers = answers.map(|answer| {
            let cid = Cid::from_bytes(answer[1..].try_into().unwrap());
            (cid, answer[0])
        });
        answers.collect()
    }
}

// The answers.
const ACCEPTED: u8 = 0;
const ENDED: u8 = 1;
const CANCEL_REQUESTED: u8 = 2;
const GROUP_ACCEPTED: u8 = 3;
const ACCEPTED_TO_BE_REMOVED: u8 = 4;
const ENDED_TO_BE_REMOVED: u8 = 5;
const REMOVED: u8 = 6;

/// How many callers there are in the recorded process, and how many operations each has.
const CALLERS: usize = 6;
const ROUNDS: usize = 4;
/// The number of members of a group.
const MEMBERS: u32 = 3;

fn next() -> Invocation {
    next_of("a.service")
}

fn next_of(service: &str) -> Invocation {
    let text = "x".repeat(fastrand::usize(0..3_000));
    invocation(service, NOW, dict! { "text": text })
}

/// The recorded process. It does nothing unless the test below starts it with a directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_run() {
    let Some(folder) = std::env::var_os("CIDERY_RECORDED_STORE") else {
        return;
    };
    let folder = Path::new(&folder);
    let store = Arc::new(SqliteStore::open(folder).unwrap());
    let answers = Arc::new(Mutex::new(
        std::fs::File::create(folder.join("answers")).unwrap(),
    ));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (store, answers) = (Arc::clone(&store), Arc::clone(&answers));
        callers.spawn(async move {
            let answer = |what: u8, cid: Cid| {
                let answer = [&[what][..], cid.as_bytes()].concat();
                answers.lock().unwrap().write_all(&answer).unwrap();
            };
            for n in 0..ROUNDS {
                work(&store, n, answer).await;
            }
        });
    }
    callers.join_all().await;
}

/// One operation of a caller; together they cover each kind of write.
async fn work(store: &SqliteStore, n: usize, answer: impl Fn(u8, Cid)) {
    let next = match n % 4 {
        0 => next_of("a.ends"),
        _ => next(),
    };
    let cid = next.request.cid;
    match n % 4 {
        // An outcome with a callback.
        0 => {
            store.accept(next).await.unwrap();
            answer(ACCEPTED, cid);
            let mut callback = invocation("a.callback", NOW, dict! {});
            let mut request = Request::clone(&callback.request);
            (request.parent, request.root) = (Some(cid), cid);
            callback.request = Arc::new(request);
            let record = Record {
                followed_by: vec![callback],
                ..succeeded(cid)
            };
            store.record(record).await.unwrap();
            answer(ENDED, cid);
        }
        1 => {
            store.accept(next).await.unwrap();
            answer(ACCEPTED, cid);
            store.request_cancel(cid, None).await.unwrap();
            answer(CANCEL_REQUESTED, cid);
        }
        2 => {
            let (group, members) = group(MEMBERS);
            let cid = group.request.cid;
            store.accept_group(group, members).await.unwrap();
            answer(GROUP_ACCEPTED, cid);
        }
        _ => {
            store.accept(next).await.unwrap();
            answer(ACCEPTED_TO_BE_REMOVED, cid);
            store.record(succeeded(cid)).await.unwrap();
            answer(ENDED_TO_BE_REMOVED, cid);
            assert!(store.remove(cid).await.unwrap());
            answer(REMOVED, cid);
        }
    }
}

/// Opens what a power loss left, and checks that everything that had been answered is there.
async fn check(folder: &Folder, answered: &HashMap<Cid, u8>, place: &str) {
    let store =
        SqliteStore::open(folder.path()).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    for (cid, what) in answered {
        let stored = store.get(*cid).await.unwrap();
        let found = match &stored {
            Stored::Found(found) => found,
            Stored::Removed(_) if *what >= ACCEPTED_TO_BE_REMOVED => continue,
            other => panic!("{place}: {cid} was answered and is {other:?}"),
        };
        assert_ne!(*what, REMOVED, "{place}: {cid} was removed and is there");
        let has_ended = found.state == State::Succeeded;
        assert!(
            has_ended || ![ENDED, ENDED_TO_BE_REMOVED].contains(what),
            "{place}: the end of {cid} is lost"
        );
        assert!(
            *what != CANCEL_REQUESTED || found.cancel_requested,
            "{place}: {cid} was to be cancelled"
        );
        let events = if has_ended { 3 } else { 1 };
        assert_eq!(found.events.len(), events, "{place}: {found:?}");
    }
    check_consistency(folder.path(), place);
    // The store still accepts invocations.
    let accepted = store.accept(next()).await.unwrap();
    assert!(matches!(accepted, Acceptance::Stored), "{place}");
}

/// Checks that what is written together is there together or not at all, whether or not it was answered.
fn check_consistency(folder: &Path, place: &str) {
    let database = rusqlite::Connection::open(folder.join("cidery.db")).unwrap();
    let count = |select: &str| -> i64 {
        let counted = database.query_row(select, [], |row| row.get(0));
        counted.unwrap()
    };
    // The store was opened since, so that the indexes contain all invocations.
    let (all, ended) = (
        "SELECT count(*) FROM invocation",
        "SELECT count(*) FROM outcome",
    );
    for (others, expected) in [
        ("SELECT count(*) FROM pending", count(all) - count(ended)),
        (
            "SELECT count(*) FROM cid_index JOIN invocation USING (id) WHERE cid_index.cid = invocation.cid",
            count(all),
        ),
        (
            "SELECT count(*) FROM service_index JOIN invocation USING (service, id)",
            count(all),
        ),
        (
            "SELECT count(*) FROM purge_queue JOIN outcome USING (id, purge_time) WHERE held = 0",
            count("SELECT count(*) FROM outcome WHERE held = 0"),
        ),
        ("SELECT count(*) FROM cid_index", count(all)),
        ("SELECT count(*) FROM service_index", count(all)),
        (
            "SELECT count(*) FROM outcome LEFT JOIN invocation USING (id) WHERE cid IS NULL",
            0,
        ),
        (
            "SELECT count(*) FROM pending LEFT JOIN invocation USING (id) WHERE cid IS NULL",
            0,
        ),
    ] {
        assert_eq!(count(others), expected, "{place}: {others}");
    }
    let (ends, callbacks) = (
        "SELECT count(*) FROM invocation JOIN service ON service.id = service JOIN outcome USING (id)
         WHERE name = 'a.ends' AND state = 2",
        "SELECT count(*) FROM invocation WHERE parent IS NOT NULL",
    );
    assert_eq!(
        count(callbacks),
        count(ends),
        "{place}: outcomes and callbacks"
    );
    let (groups, members) = (
        "SELECT count(*) FROM invocation LEFT JOIN pending USING (id) LEFT JOIN outcome USING (id)
         WHERE coalesce(pending.open_members, outcome.open_members) IS NOT NULL",
        "SELECT count(*) FROM invocation WHERE group_cid IS NOT NULL",
    );
    assert_eq!(
        count(members),
        count(groups) * i64::from(MEMBERS),
        "{place}: groups and members"
    );
    let integrity: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok", "{place}");
}

#[tokio::test]
async fn answered_writes_survive_a_power_loss() {
    let folder = Folder::new("power");
    let library = recorder::compile(folder.path());
    let (store, log) = (folder.path().join("store"), folder.path().join("log"));
    let mut recorded = Command::new(std::env::current_exe().unwrap());
    recorded.args(["power_loss::recorded_run", "--exact"]);
    recorded
        .env("LD_PRELOAD", &library)
        .env("CIDERY_RECORD", &log)
        .env("CIDERY_RECORDED_STORE", &store);
    assert!(recorded.output().unwrap().status.success());

    let all = operations(&log);
    let count = |is: fn(&Operation) -> bool| all.iter().filter(|one| is(one)).count();
    let syncs = count(|one| one.kind == SYNC);
    let answers = count(|one| one.file == ANSWERS);
    let checkpoints = count(|one| one.kind == SYNC && one.file == DATABASE);
    assert!(
        syncs > 3 && checkpoints > 0 && answers == CALLERS * (ROUNDS / 4) * (2 + 2 + 1 + 3),
        "{syncs} syncs, {checkpoints} checkpoints, {answers} answers"
    );
    let mut random = fastrand::Rng::with_seed(7);
    let mut disk = Disk::default();
    let mut created = false;
    let mut cuts = 0;
    for index in 0..all.len() {
        disk.step(&all, index);
        // Before the store is created there is nothing to lose.
        created |= all[index].file == ANSWERS;
        if !created {
            continue;
        }
        let answered = disk.answered(&all);
        // Of the operations that are not synced, none, half or all are kept: all three after a sync, else in turn.
        let portions = [0, 128, 255];
        let one = &portions[index % 3..][..1];
        for &kept in if all[index].kind == SYNC {
            &portions
        } else {
            one
        } {
            let after = Folder::new("power");
            disk.cut(&all, after.path(), || kept > 0 && random.u8(..) <= kept);
            check(
                &after,
                &answered,
                &format!("cut {index}, {kept} of 255 kept"),
            )
            .await;
            cuts += 1;
        }
    }
    assert!(cuts >= all.len() / 2, "{cuts} cuts");
}
