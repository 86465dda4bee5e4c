//! What is answered survives the loss of power: SIGKILL keeps what the system has cached, a power cut does not.
//!
//! A second run of this binary works with a store while a preloaded recorder (`support/recorder.c`) notes every write
//! and sync, and every answer. Then power is cut after each of these: what was written and not synced is dropped,
//! or a part of it, in any order. The store must open, and hold all that had been answered.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use cidery::engine::store::{Store as _, Stored};
use cidery::model::invocation::{Invocation, State};
use cidery::store::SqliteStore;
use cidery::{Cid, dict};
use tokio::task::JoinSet;

use crate::support::stored::{NOW, invocation, succeeded};
use crate::support::{Folder, recorder};

/// What the recorder writes.
const WRITE: u8 = 1;
const SYNC: u8 = 2;
const TRUNCATE: u8 = 3;
const DATABASE: usize = 1;
const ANSWERS: usize = 3;

/// One operation, as it was recorded.
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

/// A disk: what is safe of each file, and what is on its way.
#[derive(Clone, Default)]
struct Disk {
    safe: [Vec<u8>; 4],
    underway: [Vec<usize>; 4],
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
            for done in std::mem::take(&mut self.underway[file]) {
                Self::apply(&mut self.safe[file], &all[done]);
            }
        } else {
            self.underway[file].push(index);
        }
    }

    /// The files after a power cut: of what was on its way, what `kept` lets through.
    fn cut(&self, all: &[Operation], folder: &Path, mut kept: impl FnMut() -> bool) {
        for (file, name) in [(1, "cidery.db"), (2, "cidery.db-wal")] {
            let mut image = self.safe[file].clone();
            for index in &self.underway[file] {
                if kept() {
                    Self::apply(&mut image, &all[*index]);
                }
            }
            std::fs::write(folder.join(name), image).unwrap();
        }
    }

    /// What had been answered: CIDs, and whether their end had been.
    fn answered(&self, all: &[Operation]) -> HashMap<Cid, bool> {
        let mut bytes = Vec::new();
        for index in &self.underway[ANSWERS] {
            bytes.extend_from_slice(&all[*index].content);
        }
        let answers = bytes.chunks_exact(17);
        answers
            .map(|answer| {
                (
                    Cid::from_bytes(answer[1..].try_into().unwrap()),
                    answer[0] == 1,
                )
            })
            .collect()
    }
}

fn next() -> Invocation {
    let text = "x".repeat(fastrand::usize(0..3_000));
    invocation("a.service", NOW, dict! { "text": text })
}

/// The run that is recorded. It does nothing unless it is told where: the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_that_is_recorded() {
    let Some(folder) = std::env::var_os("CIDERY_RECORDED_STORE") else {
        return;
    };
    let folder = Path::new(&folder);
    let store = std::sync::Arc::new(SqliteStore::open(folder).unwrap());
    let answers = std::sync::Arc::new(Mutex::new(
        std::fs::File::create(folder.join("answers")).unwrap(),
    ));
    let mut callers = JoinSet::new();
    for _ in 0..6 {
        let (store, answers) = (
            std::sync::Arc::clone(&store),
            std::sync::Arc::clone(&answers),
        );
        callers.spawn(async move {
            let answer = |ended: u8, cid: Cid| {
                let answer = [&[ended][..], cid.as_bytes()].concat();
                answers.lock().unwrap().write_all(&answer).unwrap();
            };
            for n in 0..12 {
                let next = next();
                let cid = next.request.cid;
                store.accept(next).await.unwrap();
                answer(0, cid);
                if n % 2 == 0 {
                    store.record(succeeded(cid)).await.unwrap();
                    answer(1, cid);
                }
            }
        });
    }
    callers.join_all().await;
}

/// Opens what a power cut left and looks for what had been answered.
async fn check(folder: &Folder, answered: &HashMap<Cid, bool>, place: &str) {
    let store =
        SqliteStore::open(folder.path()).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    for (cid, has_ended) in answered {
        match store.get(*cid).await.unwrap() {
            Stored::Found(found) => {
                assert!(
                    !has_ended || found.state == State::Succeeded,
                    "{place}: the end of {cid} is lost"
                );
                let events = if found.state.is_terminal() { 3 } else { 1 };
                assert_eq!(found.events.len(), events, "{place}: {found:?}");
            }
            other => panic!("{place}: {cid} was answered and is {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_answered_survives_the_loss_of_power() {
    let folder = Folder::new("power");
    let library = recorder::compile(folder.path());
    let (store, log) = (folder.path().join("store"), folder.path().join("log"));
    let mut recorded = Command::new(std::env::current_exe().unwrap());
    recorded.args(["power_loss::the_run_that_is_recorded", "--exact"]);
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
        syncs > 3 && checkpoints > 0 && answers == 6 * (12 + 6),
        "{syncs} syncs, {checkpoints} checkpoints, {answers} answers"
    );
    let mut random = fastrand::Rng::with_seed(7);
    let mut disk = Disk::default();
    let mut created = false;
    let mut cuts = 0;
    for index in 0..all.len() {
        disk.step(&all, index);
        // Before the store is made there is nothing to lose.
        created |= all[index].file == ANSWERS;
        if !created {
            continue;
        }
        let answered = disk.answered(&all);
        // Of what is on its way all is dropped, some or nothing: after a sync each of them, else one after another.
        let all_three = [0, 128, 255];
        let one = &all_three[index % 3..][..1];
        for &kept in if all[index].kind == SYNC {
            &all_three
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
