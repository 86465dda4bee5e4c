//! Bulk changes from the command line: counted, confirmed, followed, left to run.

use serde_json::Value;

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::pty::Terminal;

/// Invokes `cidery.echo` so often, due in an hour.
fn due_later(server: &Server, count: usize) {
    for _ in 0..count {
        let later = ["invoke", "cidery.echo", "a=1", "--async", "--delay", "1h"];
        assert!(server.run(&later).status.success());
    }
}

/// Runs a command that succeeds; answers with its standard output and standard error.
#[track_caller]
fn run(server: &Server, arguments: &[&str]) -> (String, String) {
    let output = server.run(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    (stdout(&output), stderr(&output))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_bulk_change_is_counted_made_and_kept_as_an_operation() {
    let server = Server::start(&[]);
    due_later(&server, 3);
    let cancel = ["cancel", "--service", "cidery.echo"];
    let (counted, note) = run(&server, &[&cancel[..], &["--dry-run"]].concat());
    assert!(counted.contains("cidery.echo  PENDING"), "{counted}");
    assert_eq!(note, "3 would be cancelled\n");
    let counted = run(
        &server,
        &[&cancel[..], &["--dry-run", "-o", "json"]].concat(),
    )
    .0;
    let counted = json(&counted);
    assert_eq!(
        (&counted[0]["count"], &counted[0]["state"]),
        (&3.into(), &"PENDING".into())
    );
    assert_eq!(run(&server, &["operations"]).1, "no operations match\n");
    let (out, note) = run(
        &server,
        &[&cancel[..], &["--yes", "--rate", "1000"]].concat(),
    );
    assert_eq!((out.as_str(), note.as_str()), ("", "3 cancelled\n"));
    let listed = json(&run(&server, &["operations", "-o", "json"]).0);
    let operation = &listed[0];
    assert_eq!(operation["action"], "cancel", "{operation}");
    assert_eq!(operation["state"], "SUCCEEDED", "{operation}");
    assert_eq!(operation["max_per_second"], 1_000, "{operation}");
    let id = operation["id"].as_str().unwrap();
    for verb in ["show", "follow", "cancel"] {
        assert_eq!(
            json(&run(&server, &["operations", verb, id, "-o", "json"]).0),
            *operation
        );
    }
    let shown = run(&server, &["operations", "show", id]).0;
    assert!(
        shown.contains("SUCCEEDED") && shown.contains("1000 per second"),
        "{shown}"
    );
    let none = run(
        &server,
        &["operations", "list", "--state", "running", "-o", "name"],
    )
    .0;
    assert_eq!(none, "");
    let unknown = server.run(&["operations", "show", "0190f5a2-7b3c-7def-8123-000000000001"]);
    assert_eq!(unknown.status.code(), Some(4), "{}", stderr(&unknown));
}

#[test]
fn what_cannot_be_changed_is_counted_with_its_reasons() {
    let server = Server::start(&[]);
    for _ in 0..2 {
        let invoke = ["invoke", "demo.fail", "code=NOT_FOUND", "--follow", "-q"];
        server.run(&invoke);
    }
    let fix = [
        "retry",
        "--service",
        "demo.fail",
        "--patch",
        "{\"code\": {\"no\": \"text\"}}",
        "--yes",
    ];
    let refused = server.run(&fix);
    let shown = stdout(&refused);
    assert!(
        shown.contains("REASON") && shown.contains("INPUT_INVALID"),
        "{shown}"
    );
    let said = stderr(&refused);
    assert!(said.starts_with("0 retried, 2 not\n"), "{said}");
    assert!(
        said.contains("2 invocations not retried, such as"),
        "{said}"
    );
    // What was refused fails the command, as it does by CID.
    assert_eq!(refused.status.code(), Some(3), "{said}");
    for (arguments, text) in [
        (
            &["retry", "--patch", "[1]", "--state", "failed", "--yes"][..],
            "must be a dict",
        ),
        (
            &["retry", "last", "--patch", "{}"],
            "requires filter options",
        ),
        (
            &["retry", "--json", "{}", "--state", "failed", "--yes"],
            "exactly one CID",
        ),
        (&["cancel", "last", "--rate", "1"], "require filter options"),
        (&["release", "--state", "failed", "--yes"], "only held"),
        (&["purge", "--pending", "held", "--yes"], "only ended"),
        (&["retry", "--pending", "queued", "--yes"], "only failed"),
        (
            &["purge", "--filter", "pending_reason = HELD", "--yes"],
            "only ended",
        ),
    ] {
        let refused = server.run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&refused).contains(text), "{}", stderr(&refused));
    }
}

/// The number that is asked about is the number that is changed.
#[test]
fn what_was_retried_is_neither_counted_nor_retried() {
    let server = Server::start(&[]);
    let fail = ["invoke", "demo.fail", "code=NOT_FOUND", "--follow", "-q"];
    for _ in 0..3 {
        server.run(&fail);
    }
    let first = run(&server, &["invocations", "--limit", "1", "-o", "name"]).0;
    let retried = run(&server, &["retry", first.trim(), "-o", "name"]).0;
    server.run(&["result", retried.trim(), "--wait", "10s"]);
    let retry = ["retry", "--service", "demo.fail"];
    let (counted, note) = run(
        &server,
        &[&retry[..], &["--dry-run", "-o", "jsonl"]].concat(),
    );
    assert_eq!(json(&counted)["count"], 3, "{counted}");
    assert!(
        note.contains("1 already retried, and not included"),
        "{note}"
    );
    let (_, note) = run(&server, &[&retry[..], &["--yes"]].concat());
    assert!(note.ends_with("3 retried\n"), "{note}");
}

#[tokio::test]
async fn held_invocations_are_released() {
    let server = Server::start(&[]);
    let hold = [
        "invoke",
        "demo.fail",
        "code=UNAVAILABLE",
        "--async",
        "--hold",
        "--retry",
        "1",
    ];
    let cid = run(&server, &hold).0.trim().to_owned();
    let attempt = || {
        let list = ["invocations", "--pending", "held", "-o", "jsonl"];
        let held = run(&server, &list).0;
        held.lines()
            .next()
            .map(|one| json(one)["attempt"].as_u64().unwrap())
    };
    crate::support::until("it is held", || attempt() == Some(1)).await;
    let (_, note) = run(&server, &["release", "--service", "demo.fail", "--yes"]);
    assert_eq!(note, "1 released\n");
    crate::support::until("it is held again", || attempt() == Some(2)).await;
    assert!(run(&server, &["release", &cid]).0.contains("released"));
    crate::support::until("it is held again", || attempt() == Some(3)).await;
    due_later(&server, 1);
    let pending = run(
        &server,
        &["invocations", "--service", "cidery.echo", "-o", "name"],
    )
    .0;
    let refused = server.run(&["release", pending.trim()]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        stderr(&refused).contains("NOT_HELD"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn an_operation_goes_on_when_its_command_ends() {
    let server = Server::start(&[]);
    // More than it changes, at one a second, before the command is there.
    due_later(&server, 30);
    let slow = ["cancel", "--service", "cidery.echo", "--yes", "--rate", "1"];
    let (detached, note) = run(&server, &[&slow[..], &["--detach"]].concat());
    let id = detached.trim();
    assert_eq!(
        note,
        format!("`cidery operations follow {id}` follows it\n")
    );
    let mut command = cidery();
    command
        .args(["operations", "follow", id])
        .env("CIDERY_NODE", &server.address);
    let mut following = Terminal::run(&command, 100);
    following.read_until(" of 30");
    following.type_keys("\u{3}");
    let shown = following.read_to_end().to_owned();
    assert_eq!(following.child.wait().unwrap().code(), Some(130), "{shown}");
    assert!(shown.contains("is still running"), "{shown}");
    assert!(
        shown.contains(&format!("cidery operations cancel {id}")),
        "{shown}"
    );
    let running = json(&run(&server, &["operations", "show", id, "-o", "json"]).0);
    assert_eq!(running["state"], "RUNNING", "{running}");
    let cancelled = json(&run(&server, &["operations", "cancel", id, "-o", "json"]).0);
    assert_eq!(cancelled["state"], "CANCELLED", "{cancelled}");
    let followed = server.run(&["operations", "follow", id]);
    assert_eq!(followed.status.code(), Some(7), "{}", stderr(&followed));
}
