//! Bytes on disk of invocations that are accepted and run: those written for each (`/proc/PID/io`, `write_bytes`, with
//! what checkpoints write), and those kept of each once it has ended. The baseline is the log of [`crate::accept_run`].

use std::fs;

use rusqlite::{Connection, OpenFlags};

use crate::accept_run::{ByHand, Subject};
use crate::durable::{folder, remove_folders};
use crate::record::{Figure, Goal, Sheet};
use crate::server::Server;
use crate::settings::settings;

/// Measures at 1 and 64 callers.
pub(crate) fn measure() {
    for (callers, calls, most) in [(1, 2_000, 25_000.0), (64, 20_000, 2_500.0)] {
        at(callers, settings().part_of(calls), most);
    }
}

/// A number of bytes for each of some calls.
#[expect(clippy::cast_precision_loss, reason = "these are small numbers")]
fn each(bytes: u64, calls: usize) -> f64 {
    bytes as f64 / calls as f64
}

fn at(callers: usize, calls: usize, most: f64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, baseline) = (Server::start("durable"), Server::start("log-accept-run"));
    let (mut written, mut by_hand) = (Vec::new(), Vec::new());
    let rounds = settings().rounds();
    let kept = runtime.block_on(async {
        let subject = Subject::connect(&ours, callers).await;
        let hand = ByHand::connect(&baseline, callers).await;
        subject.round(calls / 4).await;
        hand.round(calls / 4).await;
        let (mut before, mut before_by_hand) = (ours.written(), baseline.written());
        let used = used(&ours);
        for _ in 0..rounds {
            subject.round(calls).await;
            // With what a checkpoint wrote while the baseline had its turn.
            written.push(each(ours.written() - before, calls));
            before = ours.written();
            hand.round(calls).await;
            by_hand.push(each(baseline.written() - before_by_hand, calls));
            before_by_hand = baseline.written();
        }
        each(self::used(&ours) - used, rounds * calls)
    });
    let log = fs::metadata(folder("log", baseline.id()).join("log")).unwrap();
    let kept_by_hand = each(log.len(), calls / 4 + rounds * calls);
    let sheet = Sheet {
        row: "bytes",
        title: "Accepted and run: bytes of disk for each".to_owned(),
        x: "callers",
        at: if callers == 1 { 1.0 } else { 64.0 },
        who: "cidery",
        against: Some("two appends"),
    };
    sheet.head();
    // The goals are of the bytes, not of their ratios.
    let alone = Sheet {
        against: None,
        ..sheet.clone()
    };
    sheet.figure(&Figure {
        figure: "bytes written",
        values: written.clone(),
        baseline: Some(by_hand),
        goal: None,
    });
    alone.figure(&Figure {
        figure: "bytes written, goal",
        values: written,
        baseline: None,
        goal: Some(Goal::AtMost(most)),
    });
    sheet.figure(&Figure {
        figure: "bytes kept",
        values: vec![kept],
        baseline: Some(vec![kept_by_hand]),
        goal: None,
    });
    alone.figure(&Figure {
        figure: "bytes kept, goal",
        values: vec![kept],
        baseline: None,
        goal: Some(Goal::AtMost(450.0)),
    });
    remove_folders([("durable", &ours), ("log", &baseline)]);
}

/// The bytes of the pages in use, as far as they are committed.
fn used(server: &Server) -> u64 {
    let file = folder("durable", server.id()).join("cidery.db");
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let number = |name: &str| -> u64 {
        let value: i64 = database
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap();
        value.try_into().unwrap()
    };
    (number("page_count") - number("freelist_count")) * number("page_size")
}
