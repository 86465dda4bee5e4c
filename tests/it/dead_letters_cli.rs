//! `cidery dead-letters`: what it shows, and its bulk commands.

use serde_json::Value;

use crate::support::binary::{Server, stderr, stdout};
use crate::support::schema::validate;
use crate::support::until;

/// Runs a command that succeeds; returns its output.
fn run(server: &Server, arguments: &[&str]) -> String {
    let output = server.run(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output).trim().to_owned()
}

fn objects(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let text = run(server, &[arguments, &["-o", "jsonl"]].concat());
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect(&text)
}

/// What is in the queue: service, state, reason and count.
fn letters(server: &Server, options: &[&str]) -> Vec<(String, String, String, u64)> {
    let schema = include_str!("../../docs/cli.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let found = objects(server, &[&["dead-letters"], options].concat());
    let mut letters: Vec<_> = found
        .iter()
        .map(|found| {
            validate(&schema, "dead_letters", found).unwrap();
            let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
            (
                text("service"),
                text("state"),
                text("failure_reason"),
                found["count"].as_u64().unwrap(),
            )
        })
        .collect();
    letters.sort();
    letters
}

fn invoke(server: &Server, arguments: &[&str]) -> String {
    run(server, &[&["invoke", "--async"], arguments].concat())
}

const HELD: [&str; 6] = ["demo.flaky", "failures=9", "--retry", "1", "--hold", "-q"];

fn flaky(count: u64) -> (String, String, String, u64) {
    let [service, state, reason] = ["demo.flaky", "PENDING", "DEMO_FLAKY"].map(str::to_owned);
    (service, state, reason, count)
}

fn fail(count: u64) -> (String, String, String, u64) {
    let [service, state, reason] = ["demo.fail", "FAILED", "DEMO_FAILED"].map(str::to_owned);
    (service, state, reason, count)
}

/// Two invocations that are held, and three that failed; returns their CIDs.
async fn filled(server: &Server) -> ([String; 2], [String; 3]) {
    assert_eq!(letters(server, &[]), []);
    let held = [(); 2].map(|()| invoke(server, &HELD));
    let failed = [(); 3].map(|()| invoke(server, &["demo.fail", "code=NOT_FOUND"]));
    invoke(server, &["demo.count", "to=1"]);
    until("all have failed", || {
        letters(server, &[]) == [fail(3), flaky(2)]
    })
    .await;
    (held, failed)
}

#[tokio::test]
async fn the_queue_has_what_is_held_and_what_failed_and_was_not_retried() {
    let server = Server::start(&[]);
    let (held, failed) = filled(&server).await;
    assert_eq!(letters(&server, &["--service", "demo.flaky"]), [flaky(2)]);
    let shown = server.run(&["dead-letters"]);
    let (table, notes) = (stdout(&shown), stderr(&shown));
    for text in ["demo.flaky  HELD", "attempt 1 fails, as requested"] {
        assert!(table.contains(text), "{table}");
    }
    let mut examples = held.iter().filter(|cid| table.contains(cid.as_str()));
    assert!(examples.next().is_some(), "{table}");
    for text in [
        "2 held: `cidery dead-letters release`",
        "3 failed: `cidery dead-letters retry`",
    ] {
        assert!(notes.contains(text), "{notes}");
    }
    // One that was retried is no dead letter; its retry is, once it has failed as well.
    run(&server, &["retry", &failed[0]]);
    let of_fail = ["dead-letters", "--service", "demo.fail", "-o", "name"];
    until("the retry has failed", || {
        !failed.contains(&run(&server, &of_fail))
    })
    .await;
    assert_eq!(letters(&server, &["--service", "demo.fail"]), [fail(3)]);
}

#[tokio::test]
async fn the_queue_is_released_cancelled_and_purged() {
    let server = Server::start(&[]);
    filled(&server).await;
    // A released one that fails is held again.
    let release = [
        "dead-letters",
        "release",
        "--service",
        "demo.flaky",
        "--yes",
    ];
    run(&server, &release);
    until("they are held again", || {
        letters(&server, &[]).contains(&flaky(2))
    })
    .await;
    run(&server, &["dead-letters", "cancel", "--yes"]);
    assert_eq!(letters(&server, &[]), [fail(3)]);
    run(&server, &["dead-letters", "purge", "--yes"]);
    assert_eq!(letters(&server, &[]), []);
    let empty = stderr(&server.run(&["dead-letters"]));
    assert!(empty.contains("the dead-letter queue is empty"), "{empty}");
}

#[tokio::test]
async fn a_retry_of_the_queue_releases_and_retries() {
    let server = Server::start(&[]);
    let held = invoke(&server, &HELD);
    let failed = invoke(&server, &["demo.fail", "code=NOT_FOUND"]);
    until("both have failed", || letters(&server, &[]).len() == 2).await;
    let dry_run = run(&server, &["dead-letters", "retry", "--dry-run"]);
    assert!(
        dry_run.contains(&held) && dry_run.contains(&failed),
        "{dry_run}"
    );
    run(&server, &["dead-letters", "retry", "--yes"]);
    until("the held one ran again", || {
        objects(&server, &["explain", &held])[0]["attempt"] == 2
    })
    .await;
    let retried = objects(&server, &["explain", &failed]);
    assert!(retried[0]["retried_as"].is_string(), "{retried:?}");
    // By its CID, a held one is released, and the output says so.
    until("both have failed again", || {
        letters(&server, &[]).len() == 2
    })
    .await;
    for (options, said) in [
        (vec!["retry", &held, "--dry-run"], "would be released"),
        (vec!["retry", &held], "released"),
    ] {
        let output = server.run(&options);
        let (rows, total) = (stdout(&output), stderr(&output));
        assert!(rows.trim_end().ends_with(said), "{rows}");
        assert!(total.contains(&format!("1 {said}")), "{total}");
    }
}

/// `--service` before the verb would be lost, and all services changed.
#[test]
fn options_of_the_list_do_not_stand_before_a_verb() {
    let server = Server::start(&[]);
    let output = server.run(&["dead-letters", "--service", "demo.fail", "retry", "--yes"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("`--service` stands after the verb"), "{said}");
}
