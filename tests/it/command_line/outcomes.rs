//! Outcomes of invocations: exit codes, how long commands wait for them, and the last one.

use std::process::Output;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};

/// The CID that `--follow` has noted. `last` is that of whichever test was the last one.
fn followed_cid(output: &Output) -> String {
    let noted = stderr(output);
    let first = noted.lines().next().unwrap();
    first.strip_prefix("following ").unwrap().to_owned()
}

/// A service that says `UNAVAILABLE` is not a node that cannot be reached.
#[test]
fn the_unavailable_of_a_service_is_a_failure() {
    let server = Server::start(&[]);
    for code in ["code=UNAVAILABLE", "code=RESOURCE_EXHAUSTED"] {
        let fail = ["invoke", "demo.fail", code];
        let followed = ["--follow", "--retry", "1"];
        assert_eq!(server.run(&fail).status.code(), Some(1), "{code}");
        let followed = server.run(&[&fail[..], &followed].concat());
        assert_eq!(followed.status.code(), Some(1), "{code}");
        let result = server.run(&["result", &followed_cid(&followed)]);
        assert_eq!(result.status.code(), Some(1));
    }
    let unreachable = server.run(&["invoke", "cidery.ping", "-n", "127.0.0.1:1"]);
    assert_eq!(unreachable.status.code(), Some(6));
}

/// The stored outcome of an invocation whose worker was lost is no reason to try later.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_outcome_of_the_platform_is_a_failure() {
    let server = Server::start(&[]);
    let (sender, mut dispatched) = tokio::sync::mpsc::channel::<()>(1);
    let hangs = move || {
        let sender = sender.clone();
        async move {
            let _ = sender.send(()).await;
            Err::<(), _>(cidery::Error::unavailable("NO_WORKER", "gone"))
        }
    };
    let worker = cidery::Worker::builder().service("a.task", hangs);
    let worker = worker.connect(&server.address).await.unwrap();
    let output = server.run(&["invoke", "a.task", "--follow", "--retry", "1"]);
    dispatched.recv().await.unwrap();
    assert!(stderr(&output).contains("NO_WORKER"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
    worker.stop().await;
}

#[test]
fn the_timeout_of_a_followed_invocation_limits_the_wait() {
    let server = Server::start(&[]);
    let sleep = ["invoke", "demo.sleep", "seconds=600"];
    let still_running = |output: &Output| {
        let shown = stderr(output);
        assert_eq!(output.status.code(), Some(8), "{shown}");
        assert!(shown.contains("STILL_RUNNING"), "{shown}");
        assert!(shown.contains("--follow` waits for its outcome"), "{shown}");
    };
    let followed = server.run(&[&sleep[..], &["--follow", "--timeout", "50ms"]].concat());
    still_running(&followed);
    let cid = followed_cid(&followed);
    still_running(&server.run(&["result", &cid, "--follow", "--wait", "50ms"]));
    still_running(&server.run(&["result", &cid]));
    // What has ended by its timeout is told apart.
    let timed_out = server.run(&[&sleep[..], &["--timeout", "50ms"]].concat());
    assert_eq!(timed_out.status.code(), Some(5));
    let never = server.run(&[&sleep[..], &["--timeout", "0s"]].concat());
    assert_eq!(never.status.code(), Some(2), "{}", stderr(&never));
    let running = server.run(&["invocations", "--state", "running", "--count"]);
    assert_eq!(stdout(&running), "1\n");
    let attempt = ["--follow", "--attempt-timeout", "50ms", "--retry", "1"];
    let failed = server.run(&[&sleep[..], &attempt].concat());
    assert!(
        stderr(&failed).contains("no progress for 50 ms"),
        "{}",
        stderr(&failed)
    );
    let neither = server.run(&[&sleep[..], &["--async", "--timeout", "5s"]].concat());
    assert_eq!(neither.status.code(), Some(2), "{}", stderr(&neither));
    assert!(stderr(&neither).contains("use `--attempt-timeout`"));
    let misplaced = server.run(&[&sleep[..], &["--attempt-timeout", "5s"]].concat());
    assert!(stderr(&misplaced).contains("requires `--async` or `--follow`"));
}

#[test]
fn without_a_last_invocation_there_is_none_to_find() {
    let server = Server::start(&[]);
    let state = Folder::new("no-last");
    let mut command = cidery();
    command
        .args(["result", "last", "-n", &server.address])
        .env("XDG_STATE_HOME", state.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("NO_LAST_INVOCATION"));
}

/// Also one that the command has waited for, and whose CID it chose.
#[test]
fn the_last_invocation_is_the_last_one_that_is_stored() {
    let server = Server::start(&[]);
    let state = Folder::new("last-stored");
    let run = |arguments: &[&str]| {
        cidery()
            .args(arguments)
            .env("CIDERY_NODE", &server.address)
            .env("XDG_STATE_HOME", state.path())
            .output()
            .unwrap()
    };
    let echo = |n: &str, options: &[&str]| {
        run(&[&["invoke", "cidery.echo", n, "-o", "jsonl"], options].concat())
    };
    let last = || stdout(&run(&["result", "last", "-o", "jsonl"]));
    echo("n=1", &["--idempotency-key", "k"]);
    assert_eq!(last(), "{\"n\":1}\n");
    echo("n=2", &["--continue"]);
    assert_eq!(last(), "{\"n\":2}\n");
    // The new one of a retry.
    let failed = run(&["invoke", "demo.fail", "code=NOT_FOUND", "--follow"]);
    assert_eq!(failed.status.code(), Some(4));
    let failed = stdout(&run(&["explain", "last", "-o", "name"]));
    let retried = stdout(&run(&["retry", "last", "-o", "name"]));
    let last_cid = || stdout(&run(&["explain", "last", "-o", "name"]));
    assert!(
        failed != retried && last_cid() == retried,
        "{failed}{retried}"
    );
    let two = [failed.trim(), retried.trim()];
    let explained = stdout(&run(&["explain", two[0], two[1], "-o", "name"]));
    assert_eq!(explained, failed + &retried);
    echo("n=2", &["--continue"]);
    // Neither a call that is not stored nor one that is refused.
    echo("n=3", &[]);
    let refused = echo("n=4", &["--idempotency-key", "k"]);
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(last(), "{\"n\":2}\n");
}

#[test]
fn an_unknown_service_of_a_filter_is_a_note() {
    let server = Server::start(&[]);
    let note = "no service `no.such` is known";
    for command in [&["invocations"][..], &["invocations", "--count"]] {
        let output = server.run(&[command, &["--service", "no.such"]].concat());
        assert!(output.status.success(), "{command:?}");
        assert!(stderr(&output).contains(note), "{}", stderr(&output));
        let output = server.run(&[command, &["--service", "cidery.ping"]].concat());
        assert!(!stderr(&output).contains("known"), "{}", stderr(&output));
    }
    for command in ["cancel", "retry", "purge"] {
        let output = server.run(&[command, "--yes", "--service", "no.such"]);
        assert_eq!(output.status.code(), Some(4), "{command}");
        assert!(stderr(&output).contains(note), "{}", stderr(&output));
        let output = server.run(&[command, "--yes", "--service", "cidery.ping"]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let json = server.run(&["invocations", "--service", "no.such", "-o", "json"]);
    assert_eq!(stdout(&json), "[]\n");
    let warning = format!("{{\"warning\":{{\"message\":\"{note}\"}}}}\n");
    assert_eq!(stderr(&json), warning);
}
