//! What programs rely on in the output of the command line: the schemas of `docs/cli.schema.json`, and exit codes.

use std::process::Output;

use serde_json::Value;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::schema::validate;

const CID: &str = "0190f5a2-7b3c-7def-8123-000000000001";
const FAILED: &str = "0190f5a2-7b3c-7def-8123-000000000002";

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/cli.schema.json")).unwrap()
}

/// Asserts that each of the values matches a schema.
#[track_caller]
fn assert_valid(definition: &str, values: &[Value]) {
    assert!(!values.is_empty(), "{definition}: no output");
    for value in values {
        if let Err(fault) = validate(&schema(), definition, value) {
            panic!("{fault}");
        }
    }
}

/// The values of `jsonl` output.
#[track_caller]
fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect(text)
}

/// A node with invocations: one that succeeded, one that failed, and one that starts tomorrow.
fn server() -> Server {
    let server = Server::start(&[]);
    let invoke = |arguments: &[&str]| {
        let output = server.run(&[&["invoke", "--follow", "-q"], arguments].concat());
        assert!(!stderr(&output).contains("USAGE"), "{output:?}");
    };
    invoke(&["demo.count", "to=1", "--cid", CID]);
    invoke(&["demo.fail", "code=NOT_FOUND", "--cid", FAILED]);
    let later = ["invoke", "demo.count", "to=1", "--async", "--delay", "1d"];
    assert!(server.run(&later).status.success());
    server
}

#[test]
fn outputs_match_their_schemas() {
    let server = server();
    let commands: [(&str, &[&str]); 16] = [
        ("invocation", &["invocations"]),
        ("count", &["invocations", "--count"]),
        ("summary", &["invocations", "--summary"]),
        ("explanation", &["explain", CID]),
        ("explanation", &["explain", FAILED]),
        ("service", &["services"]),
        ("service_description", &["describe", "customer.get"]),
        ("service_description", &["describe", "customer.import"]),
        ("service_description", &["describe", "cidery.echo"]),
        ("accepted", &["invoke", "demo.count", "to=1", "--async"]),
        ("event", &["result", CID, "--follow"]),
        ("event", &["invoke", "demo.flaky", "failures=1", "--follow"]),
        ("change", &["retry", FAILED]),
        (
            "summary",
            &["cancel", "--pending", "due-later", "--dry-run"],
        ),
        ("operation", &["cancel", "--pending", "due-later", "--yes"]),
        ("operation", &["operations"]),
    ];
    for (definition, command) in commands {
        let output = server.run(&[command, &["-o", "jsonl"]].concat());
        assert!(output.status.success(), "{command:?}: {}", stderr(&output));
        assert_valid(definition, &lines(&stdout(&output)));
    }
    let caller = server.run(&["whoami", "-o", "json"]);
    assert_valid("caller", &lines(&stdout(&caller).replace('\n', "")));
    let worker = cidery::Worker::builder().service("a.b", async || {});
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let worker = runtime.block_on(worker.connect(&server.address)).unwrap();
    assert_valid(
        "worker",
        &lines(&stdout(&server.run(&["workers", "-o", "jsonl"]))),
    );
    runtime.block_on(worker.stop());
    let forgotten = server.run(&["service", "forget", "a.b", "-o", "jsonl"]);
    assert_valid("forgotten", &lines(&stdout(&forgotten)));
    let folder = Folder::new("contract");
    let out = folder.path().to_str().unwrap();
    let exported = server.run(&["export", "proto", "--builtins", "--out", out, "-o", "jsonl"]);
    assert_valid("file", &lines(&stdout(&exported)));
    let changed = server.run(&["purge", CID, CID, "-o", "jsonl"]);
    let changes = lines(&stdout(&changed));
    assert_valid("change", &changes);
    let reasons = changes.iter().map(|change| &change["error"]["reason"]);
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [&Value::Null, &"RESULT_EXPIRED".into()]
    );
}

#[test]
fn the_formats_print_the_same_values() {
    let server = server();
    let run = |format: &str, arguments: &[&str]| {
        let output = server.run(&[arguments, &["--output", format]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let list = ["invocations", "--state", "succeeded"];
    let array: Value = serde_json::from_str(&run("json", &list)).unwrap();
    assert_eq!(array, Value::Array(lines(&run("jsonl", &list))));
    assert_eq!(run("name", &list), format!("{CID}\n"));
    let yaml = run("yaml", &list);
    let start = format!("- cid: \"{CID}\"\n  service: demo.count\n  state: SUCCEEDED\n");
    assert!(yaml.starts_with(&start), "{yaml}");
    let none = ["invocations", "--state", "expired"];
    assert_eq!(
        (run("json", &none), run("jsonl", &none)),
        ("[]\n".to_owned(), String::new())
    );
    assert_eq!(run("name", &["result", CID]), format!("{CID}\n"));
    assert_eq!(run("yaml", &["result", CID]), "total: 1\n");
    let follow = ["result", CID, "--follow"];
    assert_eq!(run("name", &follow), format!("{CID}\n"));
    let events = lines(&run("json", &follow));
    assert_eq!(events, lines(&run("jsonl", &follow)));
    assert_eq!(
        run("yaml", &follow).matches("---\nevent: ").count(),
        events.len()
    );
    let kinds = events.iter().map(|event| event["event"].as_str().unwrap());
    let kinds: Vec<_> = kinds.filter(|kind| *kind != "progress").collect();
    assert_eq!(kinds, ["accepted", "started", "item", "succeeded"]);
}

#[test]
fn listening_is_an_event() {
    let mut child = cidery()
        .args([
            "serve",
            "--in-memory",
            "--listen",
            "127.0.0.1:0",
            "-q",
            "-o",
            "jsonl",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_valid("listening", &lines(&first));
}

/// The codes of `docs/cli.md`. Standard error has one object, standard output nothing.
#[test]
fn failures_are_objects_and_exit_codes_tell_them_apart() {
    let server = server();
    let unknown = "0190f5a2-7b3c-7def-8123-456789abcdef";
    let cases: [(&[&str], i32, &str); 12] = [
        (&["invoke", "demo.fail", "code=INTERNAL"], 1, "DEMO_FAILED"),
        (&["cancel"], 2, "USAGE_INVALID"),
        (&["invoke"], 2, "USAGE_INVALID"),
        (&["invocations", "--limit", "x"], 2, "USAGE_INVALID"),
        (&["invoke", "customer.get", "cust_id=x"], 3, "INPUT_INVALID"),
        (&["invoke", "customer.gte"], 4, "SERVICE_UNKNOWN"),
        (&["result", unknown], 4, "CID_UNKNOWN"),
        (&["result", FAILED], 4, "DEMO_FAILED"),
        (
            &["invoke", "demo.sleep", "seconds=60", "--timeout", "50ms"],
            5,
            "DEADLINE_EXCEEDED",
        ),
        (&["services", "-n", "127.0.0.1:1"], 6, "CONNECT_FAILED"),
        (
            &["invoke", "demo.fail", "code=RESOURCE_EXHAUSTED"],
            1,
            "DEMO_FAILED",
        ),
        (&["invoke", "demo.fail", "code=CANCELLED"], 7, "DEMO_FAILED"),
    ];
    for (command, code, reason) in cases {
        for format in ["json", "yaml"] {
            let output = server.run(&[command, &["-o", format]].concat());
            assert_failed(&output, code, reason);
        }
    }
}

#[track_caller]
fn assert_failed(output: &Output, code: i32, reason: &str) {
    assert_eq!(output.status.code(), Some(code), "{reason}: {output:?}");
    assert_eq!(stdout(output), "", "{reason}");
    let errors = lines(&stderr(output));
    assert_eq!(errors.len(), 1, "{reason}: {errors:?}");
    assert_valid("failed_command", &errors);
    assert_eq!(errors[0]["error"]["reason"], reason);
}

#[test]
fn warnings_are_objects_and_notes_are_left_out() {
    let server = server();
    let call = ["invoke", "customer.get", "cust_id=1", "extra=2"];
    let output = server.run(&[&call[..], &["-o", "json"]].concat());
    assert_valid("warning", &lines(&stderr(&output)));
    for arguments in [&["-o", "json", "-q"][..], &["-q"]] {
        assert_eq!(stderr(&server.run(&[&call[..], arguments].concat())), "");
    }
    let listed = server.run(&["invocations", "--limit", "1", "-o", "json"]);
    assert_eq!(stderr(&listed), "");
}

/// Every schema is that of an output, and the document names it.
#[test]
fn every_schema_is_documented() {
    let document = include_str!("../../docs/cli.md");
    let schema = schema();
    let parts = [
        "time",
        "optional_time",
        "optional_text",
        "seconds",
        "texts",
        "state",
        "error",
        "group",
        "location",
        "descendant",
        "service_control",
        "optional_control_cause",
        "rights",
        "optional_quota",
    ];
    for name in schema["$defs"].as_object().unwrap().keys() {
        let is_named = document.contains(&format!("`{name}`"));
        assert!(is_named || parts.contains(&name.as_str()), "`{name}`");
    }
    for kind in cidery::Kind::ALL {
        let start = format!("| {} |", kind.exit_code());
        let row = document.lines().find(|line| line.starts_with(&start));
        let name = format!("`{}`", kind.name());
        assert!(row.is_some_and(|row| row.contains(&name)), "{name}");
    }
}
