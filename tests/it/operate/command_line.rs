//! `cidery status` and `cidery events`.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use serde_json::Value;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::schema::validate;

fn object(definition: &str, text: &str) -> Value {
    let schema = serde_json::from_str(include_str!("../../../docs/cli.schema.json")).unwrap();
    let value = serde_json::from_str(text).expect(text);
    if let Err(fault) = validate(&schema, definition, &value) {
        panic!("{fault}: {text}");
    }
    value
}

/// `cidery events`, killed when dropped.
struct Watching {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Watching {
    /// Returns once it watches: it says so.
    fn start(address: &str, arguments: &[&str]) -> Self {
        let mut child = cidery()
            .arg("events")
            .args(arguments)
            .env("CIDERY_NODE", address)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, out, err }
    }

    fn line(&mut self) -> String {
        self.out.next().expect("it ended").unwrap()
    }

    fn note(&mut self) -> String {
        self.err.next().expect("it ended").unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_status_is_a_page_and_an_exit_code() {
    let server = Server::start(&[]);
    let healthy = server.run(&["status"]);
    assert_eq!(healthy.status.code(), Some(0), "{}", stderr(&healthy));
    let page = stdout(&healthy);
    assert!(
        page.starts_with(&format!("SERVING  {}, version ", server.address)),
        "{page}"
    );
    for text in ["running", "services", "memory: ", "Limits used most"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let found = object("status", &stdout(&server.run(&["status", "-o", "json"])));
    assert_eq!(
        (&found["health"], &found["reasons"]),
        (&"SERVING".into(), &Value::Array(vec![]))
    );
    // A service that no worker serves any more, with work.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let worker = cidery::Worker::builder().service("a.b", async || {});
    let worker = runtime.block_on(worker.connect(&server.address)).unwrap();
    runtime.block_on(worker.stop());
    assert!(server.run(&["invoke", "a.b", "--async"]).status.success());
    let degraded = server.run(&["status"]);
    assert_eq!(degraded.status.code(), Some(1), "{}", stderr(&degraded));
    let page = stdout(&degraded);
    for text in [
        "DEGRADED  ",
        "SERVICE_UNSERVED",
        "Due longest",
        "NO_WORKER",
        "Served by no worker",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let output = server.run(&["status", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found = object("status", &stdout(&output));
    assert_eq!(found["oldest_due"][0]["service"], "a.b");
    assert_eq!(found["unserved_services"][0]["pending"], 1);
    assert_eq!(stdout(&server.run(&["status", "-o", "name"])), "DEGRADED\n");
    // A narrow terminal wraps the page.
    let narrow = cidery()
        .args(["status", "--node", &server.address])
        .env("COLUMNS", "60")
        .output()
        .unwrap();
    assert!(stdout(&narrow).contains("SERVICE_UNSERVED"), "{narrow:?}");
    let address = server.address.clone();
    drop(server);
    let gone = cidery()
        .args(["status", "--node", &address])
        .output()
        .unwrap();
    assert_eq!(gone.status.code(), Some(6), "{}", stderr(&gone));
}

#[test]
fn a_list_that_is_cut_says_how_many_more_there_are() {
    let server = Server::start(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let services = (0..112).map(|n| format!("a.s{n:03}"));
    let worker = services.fold(cidery::Worker::builder(), |worker, name| {
        worker.service(&name, async || {})
    });
    let worker = runtime.block_on(worker.connect(&server.address)).unwrap();
    runtime.block_on(worker.stop());
    let page = stdout(&server.run(&["status"]));
    assert!(page.contains("a.s009"), "{page}");
    assert!(!page.contains("a.s010"), "{page}");
    assert!(
        page.contains("\nand 102 more: `cidery status --all`\n"),
        "{page}"
    );
    // The response has a limit as well.
    let page = stdout(&server.run(&["status", "--all"]));
    assert!(
        page.contains("a.s099") && !page.contains("a.s100"),
        "{page}"
    );
    assert!(
        page.contains("\nand 12 more: `cidery services`\n"),
        "{page}"
    );
    let found = object("status", &stdout(&server.run(&["status", "-o", "json"])));
    assert_eq!(found["totals"]["unserved_services"], 112);
}

#[test]
fn who_paused_and_who_disabled_a_service_are_shown_apart() {
    let server = Server::start(&[]);
    for (verb, reason) in [("pause", "wrong prices"), ("disable", "replaced")] {
        let change = ["service", verb, "customer.get", "--reason", reason];
        assert!(server.run(&change).status.success());
    }
    let page = stdout(&server.run(&["status"]));
    for (state, reason) in [("DISABLED", "replaced"), ("PAUSED", "wrong prices")] {
        let row = page
            .lines()
            .find(|line| line.contains(state) && line.contains(reason));
        let row = row.unwrap_or_else(|| panic!("{state}: {page}"));
        assert!(row.contains("127.0.0.1"), "{row}");
    }
    for undo in [
        "cidery service resume customer.get",
        "cidery service enable customer.get",
    ] {
        assert!(page.contains(undo), "{page}");
    }
    let found = object("status", &stdout(&server.run(&["status", "-o", "json"])));
    let control = &found["controls"][0];
    assert_eq!(control["pause"]["reason"], "wrong prices");
    assert_eq!(control["disable"]["reason"], "replaced");
    // That of the last change.
    assert_eq!(control["reason"], "replaced");
    let described = stdout(&server.run(&["describe", "customer.get"]));
    for text in [
        "disabled since",
        ": replaced; and paused since",
        ": wrong prices",
    ] {
        assert!(described.contains(text), "{text}: {described}");
    }
}

#[test]
fn events_say_which_operator_did_it() {
    let folder = Folder::new("events-operators");
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["--data-dir", data, "--hold"]);
    let kinds = "service-paused,service-resumed,service-disabled,service-enabled,node-resumed,operation-started,\
                 operation-ended,backup-written,backup-deleted";
    let mut watching = Watching::start(&server.address, &["--kind", kinds]);
    assert_eq!(watching.note(), format!("watching {}", server.address));
    let mut line_after = |command: &[&str], expected: &str| {
        let output = server.run(command);
        assert!(output.status.success(), "{command:?}: {}", stderr(&output));
        let line = watching.line();
        let (_, what) = line.split_once("  ").unwrap();
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(what.starts_with(expected), "{what}");
        line
    };
    let by = "service customer.get by 127.0.0.1";
    for verb in ["pause", "resume", "disable", "enable"] {
        let change = ["service", verb, "customer.get"];
        line_after(&change, &format!("{verb}d {by}"));
    }
    line_after(&["resume"], "resumed the node by 127.0.0.1: ");
    let later = ["invoke", "demo.count", "to=1", "--async", "--delay", "1h"];
    assert!(server.run(&later).status.success());
    let cancel = [
        "cancel",
        "--service",
        "demo.count",
        "--pending",
        "due-later",
        "--yes",
    ];
    let started = line_after(&cancel, "started operation ");
    let text = " by 127.0.0.1: cancel of 1 invocation: service = demo.count AND ";
    assert!(started.contains(text), "{started}");
    let ended = watching.line();
    let text = " by 127.0.0.1: cancel succeeded: 1 of 1 changed; service = demo.count AND ";
    assert!(ended.contains(text), "{ended}");
    // The command fetches the copy, and deletes it on the node.
    let copy = folder.path().join("copy.db");
    let backup = ["store", "backup", copy.to_str().unwrap()];
    assert!(server.run(&backup).status.success());
    for what in ["written", "deleted"] {
        let line = watching.line();
        assert!(
            line.contains(what) && line.ends_with(" by 127.0.0.1"),
            "{line}"
        );
    }
}

#[test]
fn events_of_operators_are_objects() {
    let folder = Folder::new("operator-objects");
    let server = Server::start(&["--data-dir", folder.path().to_str().unwrap()]);
    let kinds = "service-resumed,operation-ended,backup-deleted";
    let mut watching = Watching::start(&server.address, &["--kind", kinds, "-o", "json"]);
    // It does not say when it watches.
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| watching.line());
        while !first.is_finished() {
            for verb in ["pause", "resume"] {
                assert!(
                    server
                        .run(&["service", verb, "demo.count"])
                        .status
                        .success()
                );
            }
        }
        first.join().unwrap()
    });
    let resumed = object("node_event", &first);
    assert_eq!(resumed["event"], "service_resumed");
    assert_eq!(resumed["principal"], "127.0.0.1");
    assert_eq!(resumed["service"]["paused"], false);
    let cancel = [
        "cancel",
        "--service",
        "demo.count",
        "--pending",
        "held",
        "--yes",
    ];
    assert!(server.run(&cancel).status.success());
    let copy = folder.path().join("copy.db");
    let backup = ["store", "backup", copy.to_str().unwrap()];
    assert!(server.run(&backup).status.success());
    let mut after = |name: &str| loop {
        let event = object("node_event", &watching.line());
        if event["event"] == name {
            assert_eq!(event["principal"], "127.0.0.1");
            return event;
        }
    };
    let deleted = after("backup_deleted");
    assert!(deleted["backup"].is_string() && deleted["operation"].is_null());
}

#[test]
fn events_are_lines_for_people_and_objects_for_programs() {
    let server = Server::start(&[]);
    let mut people = Watching::start(&server.address, &["--service", "demo.fail"]);
    assert_eq!(people.note(), format!("watching {}", server.address));
    let kinds = "invocation-ended,worker-connected";
    let mut programs = Watching::start(&server.address, &["--kind", kinds, "-o", "json"]);
    // It does not say when it watches: until it does, this invocation is no event of it.
    let succeeded = ["invoke", "demo.count", "to=1", "--async"];
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| programs.line());
        while !first.is_finished() {
            assert!(server.run(&succeeded).status.success());
        }
        first.join().unwrap()
    });
    let event = object("node_event", &first);
    assert_eq!(
        (&event["event"], &event["missed"]),
        (&"invocation_ended".into(), &0.into())
    );
    assert_eq!(event["invocation"]["service"], "demo.count");
    assert_eq!(event["invocation"]["state"], "SUCCEEDED");
    let fail = [
        "invoke",
        "demo.fail",
        "code=NOT_FOUND",
        "message=gone",
        "--async",
    ];
    let cid = stdout(&server.run(&fail)).trim().to_owned();
    let line = people.line();
    let parts: Vec<&str> = line
        .split("  ")
        .filter(|part| !part.is_empty())
        .map(str::trim)
        .collect();
    let (service, text) = ("demo.fail", line.as_str());
    assert_eq!(
        (parts[1], parts[2], parts[3]),
        ("failed", service, cid.as_str()),
        "{text}"
    );
    assert!(line.ends_with(": gone"), "{line}");
    let failed = loop {
        let event = object("node_event", &programs.line());
        if event["invocation"]["service"] == "demo.fail" {
            break event;
        }
    };
    assert_eq!(failed["failure"]["message"], "gone");
    assert_eq!(failed["invocation"]["cid"], cid.as_str());
}

#[test]
fn a_node_that_restarts_is_watched_again() {
    let folder = Folder::new("events-restart");
    let data = folder.path().to_str().unwrap();
    let mut server = Server::start(&["--data-dir", data]);
    let address = server.address.clone();
    let mut watching = Watching::start(&address, &[]);
    assert_eq!(watching.note(), format!("watching {address}"));
    server.terminate();
    assert!(
        watching
            .line()
            .ends_with("draining      the node: the node takes no more work, and stops")
    );
    let lost = watching.note();
    assert!(
        lost.starts_with(&format!("lost the node {address}: ")),
        "{lost}"
    );
    let server = Server::start(&["--data-dir", data, "--listen", &address]);
    let again = watching.note();
    assert!(
        again.starts_with(&format!("watching {address} again")),
        "{again}"
    );
    assert!(
        server
            .run(&["invoke", "demo.count", "to=1", "--async"])
            .status
            .success()
    );
    assert!(
        watching.line().contains("succeeded     demo.count"),
        "{again}"
    );
}

#[test]
fn a_kind_that_there_is_not_is_a_usage_error() {
    let output = cidery()
        .args(["events", "--kind", "nothing"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("invocation-ended"),
        "{}",
        stderr(&output)
    );
}
