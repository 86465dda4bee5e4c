//! Attacks on terminals and logs: control characters, forged lines, log readers that are gone or do not read.

use std::io::Read as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use cidery::codec::convert::failure_to_proto;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::codec::struct_pb;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Error, Metadata, Violation, dict};

use crate::support::binary::{Server, stderr, stdout};
use crate::support::programs::rust;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{PATIENCE, ended, failure, until};

/// Text that clears the screen, colors, forges a line, and hides what it is.
const HOSTILE: &str =
    "red\u{1b}[31m\u{1b}[2J\n2026-01-01T00:00:00Z ERROR forged\r\u{9b}1m\u{7}\u{202e}\u{2028}end";

/// Invokes `demo.fail` in the background, and waits until all invocations have failed.
async fn fail_all(client: &ContractClient, count: usize) {
    let mut cids = Vec::new();
    for _ in 0..count {
        let call = Call::new("demo.fail", dict! { "retryable": false });
        cids.push(client.invoke_async(call).await.unwrap().cid);
    }
    for cid in cids {
        let ended = ended(client, cid).await;
        assert_eq!(ended.state(), v1::State::Failed, "{ended:?}");
    }
}

/// Sends SIGTERM, and waits for the exit.
async fn terminate(server: &mut Server) -> ExitStatus {
    server.signal("TERM");
    let exit = async {
        loop {
            if let Some(status) = server.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let status = tokio::time::timeout(PATIENCE, exit).await;
    status.expect("the node does not exit")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_works_without_readers_of_its_output() {
    let mut server = Server::start(&[]);
    drop(server.child.stderr.take());
    drop(server.child.stdout.take());
    let client = ContractClient::connect(&server.address).await.unwrap();
    fail_all(&client, 300).await;
    let worker = rust().start(&server.address);
    let client = &client;
    let joined = async {
        while client
            .invoke(Call::new("rust.echo", dict! { "n": 1 }))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, joined).await.unwrap();
    worker.signal("TERM");
    let status = terminate(&mut server).await;
    assert_eq!(status.code(), Some(0), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_works_with_a_full_pipe_as_its_log() {
    let mut server = Server::start(&["--log", "trace"]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    // Several times what the pipe and the queue of lines hold.
    fail_all(&client, 300).await;
    let status = terminate(&mut server).await;
    assert_eq!(status.code(), Some(0), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_log_lines_are_counted() {
    let mut server = Server::start(&["--log", "trace"]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    fail_all(&client, 300).await;
    let mut log = server.child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    });
    terminate(&mut server).await;
    let log = reader.join().unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("log lines were dropped"));
    let line = line.expect("the dropped lines are not counted");
    assert!(
        line.contains(" WARN ") && line.contains("dropped="),
        "{line}"
    );
    assert!(log.contains("stopped"), "the last lines are written");
}

/// A failure whose text is hostile, that of its violations too.
fn hostile_failure() -> v1::Failure {
    let error = Error::internal("HOSTILE", HOSTILE).with_retryable(false);
    let violation = Violation::new(format!("/{HOSTILE}"), "HOSTILE", HOSTILE);
    failure_to_proto(&error.with_violation(violation))
}

/// A worker whose name, build and description are hostile, and an invocation with hostile metadata that has failed
/// there.
async fn hostile_invocation(server: &Server) -> (RawWorker, Cid) {
    let address = server.address.parse().unwrap();
    let mut hello = hello("hostile.run");
    hello.name = HOSTILE.to_owned();
    hello.build_id = HOSTILE.to_owned();
    hello.services[0].description = HOSTILE.to_owned();
    let mut worker = RawWorker::connect(address, hello).await;
    let client = ContractClient::connect(&server.address).await.unwrap();
    let mut call = Call::new("hostile.run", dict! { "text": HOSTILE });
    call.durable().idempotency_key = Some(HOSTILE.to_owned());
    let mut metadata = Metadata::new();
    metadata.insert("hostile", HOSTILE);
    call.metadata = Some(Arc::new(metadata));
    let cid = client.invoke_async(call).await.unwrap().cid;
    let dispatch = worker.dispatch().await;
    worker.send_result(v1::DispatchResult {
        token: dispatch.token,
        trace: HOSTILE.to_owned(),
        outcome: Some(v1::dispatch_result::Outcome::Failure(hostile_failure())),
        ..v1::DispatchResult::default()
    });
    let failed = failure(ended(&client, cid).await);
    assert_eq!(failed.message, HOSTILE);
    (worker, cid)
}

/// Answers calls of the service: with an item and progress, then with a failure, or with a response.
async fn answer_calls(mut worker: RawWorker) {
    loop {
        let dispatch = worker.dispatch().await;
        let (token, text) = (dispatch.token, dict! { "text": HOSTILE });
        let is_failure = dispatch.cid == FAILING;
        if !is_failure {
            worker.send_result(v1::DispatchResult {
                token,
                metadata: [("hostile".to_owned(), HOSTILE.to_owned())].into(),
                outcome: Some(v1::dispatch_result::Outcome::Payload(
                    struct_pb::encode_dict(&text).unwrap(),
                )),
                ..v1::DispatchResult::default()
            });
            continue;
        }
        worker.send(Message::Progress(v1::DispatchProgress {
            token: token.clone(),
            progress: Some(v1::Progress {
                message: HOSTILE.to_owned(),
                ..v1::Progress::default()
            }),
        }));
        worker.send_result(v1::DispatchResult {
            token,
            outcome: Some(v1::dispatch_result::Outcome::Failure(hostile_failure())),
            ..v1::DispatchResult::default()
        });
    }
}

const FAILING: &str = "018f0000-0000-7000-8000-000000000001";

fn assert_printable(what: &str, text: &str) {
    let hidden = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}' | '\u{2029}')
    };
    assert!(!text.contains(hidden), "{what}: {text:?}");
    let forged = text.lines().find(|line| line.starts_with("2026-01-01"));
    assert_eq!(forged, None, "{what}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_reach_neither_the_terminal_nor_the_log() {
    let mut server = Server::start(&["--log", "debug,h2=warn,hyper=warn"]);
    let (worker, cid) = hostile_invocation(&server).await;
    let answering = crate::support::raw::spawn(answer_calls(worker));
    let cid = cid.to_string();
    let commands: [&[&str]; 12] = [
        &["services"],
        &["describe", "hostile.run"],
        &["invocations"],
        &["explain", &cid],
        &["result", &cid],
        &["result", &cid, "--follow"],
        &["workers"],
        &["invoke", "hostile.run"],
        &["invoke", "hostile.run", "--cid", FAILING],
        &["invoke", "hostile.run", "--follow", "--metadata", "a=b"],
        &["cancel", &cid],
        &["retry", &cid],
    ];
    for command in commands {
        let output = server.run(command);
        assert_printable(&command.join(" "), &stdout(&output));
        assert_printable(&command.join(" "), &stderr(&output));
        let shown = stdout(&output) + &stderr(&output);
        let shows_none = matches!(command, ["invocations"] | ["cancel" | "retry", _]);
        assert!(shows_none || shown.contains("end"), "{command:?}: {shown}");
        assert!(!shown.contains("no worker"), "{command:?}: {shown}");
    }
    let listed = server.run(&["services", "--output", "json"]);
    assert!(stdout(&listed).contains("\\u001b[31m"), "JSON is untouched");
    answering.abort();
    let mut log = server.child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    });
    terminate(&mut server).await;
    let log = reader.join().unwrap();
    assert_printable("log", &log);
    assert!(log.contains("forged"), "the log shows failures: {log}");
    for line in log.lines() {
        let (time, rest) = line.split_at_checked(28).expect(line);
        assert!(time.starts_with("20") && time.contains('T'), "{line:?}");
        assert!(rest.contains(' '), "{line:?}");
    }
    until("aborted", || answering.is_finished()).await;
}
