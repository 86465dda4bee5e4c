//! `cidery service pause`, `resume`, `disable` and `enable`, and `cidery resume`.

use std::process::Output;

use serde_json::Value;

use crate::support::binary::{Server, stderr, stdout};
use crate::support::schema::validate;

/// Runs a command, and returns its notes.
#[track_caller]
fn notes(server: &Server, command: &[&str]) -> String {
    let output = server.run(command);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    assert_eq!(stdout(&output), "");
    stderr(&output)
}

#[track_caller]
fn objects(definition: &str, output: &Output) -> Vec<Value> {
    let schema = serde_json::from_str(include_str!("../../../docs/cli.schema.json")).unwrap();
    let text = stdout(output);
    let objects: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for object in &objects {
        validate(&schema, definition, object).unwrap();
    }
    objects
}

fn accept(server: &Server) -> String {
    let accept = [
        "invoke",
        "customer.get",
        "cust_id=1",
        "--async",
        "-o",
        "name",
    ];
    stdout(&server.run(&accept)).trim().to_owned()
}

#[test]
fn each_command_says_what_happens_now() {
    let server = Server::start(&[]);
    let pause = [
        "service",
        "pause",
        "customer.get",
        "demo.count",
        "--reason",
        "wrong prices",
    ];
    assert_eq!(
        notes(&server, &pause),
        "customer.get is paused: synchronous calls are refused, background work waits\n\
         demo.count is paused: synchronous calls are refused, background work waits\n"
    );
    let cid = accept(&server);
    let explained = stdout(&server.run(&["explain", &cid]));
    assert!(explained.contains("PENDING (PAUSED)"), "{explained}");
    let why = "waits: `customer.get` is paused since ";
    assert!(explained.contains(why), "{explained}");
    let why = " by 127.0.0.1: wrong prices (`cidery service resume customer.get` lets it go on)";
    assert!(explained.contains(why), "{explained}");
    let services = stdout(&server.run(&["services", "customer.get"]));
    assert!(services.contains("PAUSED"), "{services}");
    let described = stdout(&server.run(&["describe", "customer.get"]));
    assert!(described.contains("wrong prices"), "{described}");
    let refused = server.run(&["invoke", "customer.get", "cust_id=1"]);
    assert_eq!(refused.status.code(), Some(6));
    assert!(stderr(&refused).contains("hint: `cidery service resume customer.get`"));

    let again = ["service", "pause", "customer.get", "--background-only"];
    assert_eq!(
        notes(&server, &again),
        "customer.get is paused: synchronous calls go on, 1 pending invocation waits\n"
    );
    assert_eq!(
        notes(&server, &["service", "disable", "customer.get"]),
        "customer.get is disabled: every new call is refused, 1 pending invocation waits\n"
    );
    let refused = server.run(&["invoke", "customer.get", "cust_id=1", "--async"]);
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(
        notes(&server, &["service", "resume", "customer.get"]),
        "customer.get is still disabled: `cidery service enable customer.get`\n"
    );
    let enabled = notes(&server, &["service", "enable", "customer.get"]);
    assert!(enabled.starts_with("customer.get is enabled"), "{enabled}");
    let result = server.run(&["result", &cid, "--wait", "30s"]);
    assert!(result.status.success(), "{}", stderr(&result));
    assert_eq!(
        notes(&server, &["service", "resume", "customer.get"]),
        "customer.get was not paused\n"
    );
    assert_eq!(notes(&server, &["resume"]), "the node was not held\n");
}

#[test]
fn services_are_changed_each_independently() {
    let server = Server::start(&[]);
    let pause = [
        "service",
        "pause",
        "customer.gte",
        "demo.count",
        "demo.cuont",
        "-o",
        "jsonl",
    ];
    let output = server.run(&pause);
    assert_eq!(output.status.code(), Some(4));
    let errors = stderr(&output);
    assert!(
        errors.contains("customer.gte") && errors.contains("demo.cuont"),
        "{errors}"
    );
    let objects = objects("controlled_service", &output);
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["name"], "demo.count");
    assert_eq!(objects[0]["paused"], true);
    assert_eq!(objects[0]["reason"], Value::Null);
}

#[test]
fn outputs_match_their_schemas() {
    let server = Server::start(&["--hold"]);
    for verb in ["disable", "pause", "resume", "enable"] {
        let output = server.run(&["service", verb, "customer.get", "-o", "jsonl"]);
        let [object] = &objects("controlled_service", &output)[..] else {
            panic!("{output:?}");
        };
        assert_eq!(object["disabled"], verb != "enable");
        assert_eq!(object["paused"], verb == "pause");
        let described = server.run(&["describe", "customer.get", "-o", "jsonl"]);
        let described = &objects("service_description", &described)[0];
        assert_eq!(described["control"] == Value::Null, verb == "enable");
        let name = server.run(&["service", verb, "customer.get", "-o", "name"]);
        assert_eq!(stdout(&name), "customer.get\n");
    }
    let cid = accept(&server);
    let held = server.run(&["service", "resume", "customer.get"]);
    assert!(held.status.success());
    for was_held in [true, false] {
        let resumed = server.run(&["resume", "-o", "jsonl"]);
        assert_eq!(objects("resumed", &resumed)[0]["was_held"], was_held);
    }
    let result = server.run(&["result", &cid, "--wait", "30s"]);
    assert!(result.status.success(), "{}", stderr(&result));
}
