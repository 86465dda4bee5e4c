//! Management of stored invocations from the command line: list, explain, cancel, retry, groups, forget.

use crate::support::binary::{Server, stderr, stdout};
use crate::support::{Folder, until};

#[test]
fn stored_invocations_are_listed_explained_retried_and_cancelled() {
    let folder = Folder::new("operators");
    let data = folder.path().join("data");
    let server = Server::start(&["--data-dir", data.to_str().unwrap()]);
    let line = |output| stdout(&output).trim().to_owned();
    let flaky = [
        "invoke",
        "demo.flaky",
        "failures=1",
        "--async",
        "--retry",
        "1",
        "--idempotency-key",
        "k",
    ];
    let cid = line(server.run(&flaky));
    assert_eq!(line(server.run(&flaky)), cid, "accepted once");
    server.run(&["result", &cid, "--wait", "10s"]);
    let listed = line(server.run(&["invocations", "--state", "failed"]));
    assert!(
        listed.contains(&cid) && listed.contains("DEMO_FLAKY"),
        "{listed}"
    );
    let history = line(server.run(&["explain", &cid]));
    for text in [
        "accepted",
        "attempt 1 started",
        "attempt 1 failed: attempt 1 fails, as requested",
        "failed",
        "input: {\"failures\":1}",
    ] {
        assert!(history.contains(text), "{text} is not in {history}");
    }
    let new = line(server.run(&["retry", &cid, "--output", "name"]));
    server.run(&["result", &new, "--wait", "10s"]);
    assert!(line(server.run(&["explain", &new])).contains(&format!("retry of: {cid}")));
    let later = line(server.run(&[
        "invoke",
        "customer.get",
        "cust_id=1",
        "--async",
        "--delay",
        "1h",
    ]));
    assert!(line(server.run(&["cancel", &later, "--dry-run"])).contains("PENDING"));
    assert!(line(server.run(&["cancel", &later])).contains("CANCELLED"));
    let output = server.run(&["cancel", &later]);
    assert_eq!(output.status.code(), Some(3));
    let input = ["--json", "{\"failures\": 0}", "-o", "name"];
    let edited = line(server.run(&[&["retry", &cid], input.as_slice()].concat()));
    let result = line(server.run(&["result", &edited, "--wait", "10s"]));
    assert!(result.contains("\"attempt\": 1"), "{result}");
    assert!(stderr(&output).contains("ENDED"), "{}", stderr(&output));
    let output = server.run(&["invoke", "customer.get", "cust_id=1", "--delay", "1h"]);
    assert!(stderr(&output).contains("--async"), "{}", stderr(&output));
}

/// A filter selects all invocations that match it.
#[tokio::test(flavor = "multi_thread")]
async fn invocations_are_selected_by_filter() {
    let server = Server::start(&[]);
    let line = |output: std::process::Output| {
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).trim().to_owned()
    };
    let invoke = |arguments: &[&str]| {
        let background = ["invoke", "--async"];
        line(server.run(&[background.as_slice(), arguments].concat()))
    };
    let later: Vec<_> = (0..3)
        .map(|_| invoke(&["customer.get", "cust_id=1", "--delay", "1h"]))
        .collect();
    let running = invoke(&["demo.sleep", "seconds=60"]);
    let failed = invoke(&["demo.fail", "code=NOT_FOUND"]);
    server.run(&["result", &failed, "--wait", "10s"]);
    let list = |arguments: &[&str]| {
        let listed = line(server.run(&[&["invocations", "--output", "jsonl"], arguments].concat()));
        let rows = listed.lines().map(|row| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            assert!(row["attempt"].is_number(), "{row}");
            row["cid"].as_str().unwrap().to_owned()
        });
        rows.collect::<Vec<_>>()
    };
    until("the handler runs", || {
        list(&["--state", "running"]) == [running.as_str()]
    })
    .await;
    let waiting = ["--service", "customer.get", "--pending", "due-later"];
    assert_eq!(list(&waiting).len(), 3);
    assert_eq!(list(&["--failure", "DEMO_FAILED"]), [failed.as_str()]);
    assert_eq!(
        list(&["--accepted-before", "2020-01-01T00:00:00Z"]),
        [] as [String; 0]
    );
    let neither = server.run(&["cancel"]);
    assert!(
        stderr(&neither).contains("give CIDs or filter options"),
        "{neither:?}"
    );
    let both = server.run(&["cancel", &failed, "--state", "failed"]);
    assert!(!both.status.success(), "{both:?}");
    let cancelled =
        line(server.run(&[&["cancel", "--yes", "-o", "jsonl"], waiting.as_slice()].concat()));
    assert!(cancelled.contains("\"changed\":3"), "{cancelled}");
    let mut cancelled = list(&["--state", "cancelled"]);
    cancelled.reverse();
    assert_eq!(cancelled, later);
    let retry = ["retry", "--state", "cancelled", "--dry-run", "-o", "jsonl"];
    let counted = line(server.run(&retry));
    assert!(counted.contains("\"count\":3"), "{counted}");
    line(server.run(&["cancel", &running]));
}

/// Held invocations are left out of a bulk retry, and a refusal says why.
#[tokio::test]
async fn a_change_says_what_it_leaves_out_and_what_state_it_found() {
    let server = Server::start(&[]);
    let fail = ["invoke", "demo.fail", "code=NOT_FOUND", "--async"];
    // Only what a retry may help is held.
    let down = ["invoke", "demo.fail", "code=UNAVAILABLE", "--async"];
    let hold = [&down[..], &["--hold", "--retry", "1"]].concat();
    let held = stdout(&server.run(&hold)).trim().to_owned();
    let failed = stdout(&server.run(&fail)).trim().to_owned();
    server.run(&["result", &failed, "--wait", "10s"]);
    until("it is held", || {
        let output = server.run(&["invocations", "--pending", "held,paused", "-o", "name"]);
        stdout(&output).trim() == held
    })
    .await;
    let output = server.run(&["retry", "--service", "demo.fail", "--dry-run"]);
    let note = "1 held invocation not included: `--pending held` selects held invocations";
    assert!(stderr(&output).contains(note), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(shown.contains(&failed) && !shown.contains(&held), "{shown}");
    let dry_run = ["retry", "--pending", "held", "--dry-run"];
    let output = stderr(&server.run(&dry_run));
    assert!(output.contains("1 would be released"), "{output}");
    let explicit = ["retry", "--pending", "held", "--yes"];
    let output = server.run(&explicit);
    assert!(
        !stderr(&output).contains("not included"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("1 released"),
        "{}",
        stderr(&output)
    );
    let refused = server.run(&["cancel", &failed]);
    let shown = stdout(&refused);
    assert!(shown.contains("FAILED  ENDED"), "{shown}");
    assert!(!shown.contains("NEW CID"), "{shown}");
    for states in ["failed,cancelled", "FAILED"] {
        let filter = ["--state", states, "--failure", "demo_failed", "--count"];
        let count = server.run(&[&["invocations"], &filter[..]].concat());
        assert_ne!(stdout(&count), "0\n", "{}", stderr(&count));
    }
}

/// JSON output: an array of changes, and an object.
#[test]
fn changes_and_histories_are_printed_as_json() {
    let server = Server::start(&[]);
    let invoke = |arguments: &[&str]| {
        let output = server.run(&[&["invoke", "--async"], arguments].concat());
        stdout(&output).trim().to_owned()
    };
    let running = invoke(&["demo.sleep", "seconds=60"]);
    let failed = invoke(&["demo.fail", "code=NOT_FOUND"]);
    server.run(&["result", &failed, "--wait", "10s"]);
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = server.run(&[&["--output", "json"], arguments].concat());
        serde_json::from_str(stdout(&output).trim()).unwrap()
    };
    let change = json(&["cancel", &running]);
    assert_eq!(
        (change[0]["cid"].as_str(), change[0]["error"].is_null()),
        (Some(&*running), true)
    );
    let refused = json(&["cancel", &failed]);
    assert_eq!(refused[0]["error"]["reason"], "ENDED", "{refused}");
    let history = json(&["explain", &failed]);
    assert_eq!(history["input"]["code"], "NOT_FOUND", "{history}");
    let attempt = &history["attempts"][0];
    assert_eq!(
        (&attempt["number"], &attempt["failure"]["reason"]),
        (&1.into(), &"DEMO_FAILED".into())
    );
    assert!(
        attempt["start_time"].is_string() && history["reason"] == "DEMO_FAILED",
        "{history}"
    );
    // Times have the same length, and nothing is due any more.
    assert!(history["start_time"].is_null(), "{history}");
    for time in [
        &history["accept_time"],
        &history["end_time"],
        &attempt["end_time"],
    ] {
        assert_eq!(
            time.as_str().unwrap().len(),
            "2026-01-31T08:30:00.123456Z".len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_explained_and_cancelled_by_cid() {
    use cidery::model::batch::Batch;
    use cidery::model::call::Call;
    let server = Server::start(&[]);
    let line = |arguments: &[&str]| stdout(&server.run(arguments)).trim().to_owned();
    let client = cidery::remote::client::ContractClient::connect(&server.address)
        .await
        .unwrap();
    let fail = Call::new("demo.fail", cidery::dict! { "code": "NOT_FOUND" });
    let sleep = Call::new("demo.sleep", cidery::dict! { "seconds": 60 });
    let batch = Batch::of([fail, sleep]).unwrap();
    let group = client.invoke_batch(batch).await.unwrap();
    let cid = group.cid.to_string();
    let failed = group.members[0];
    client
        .invocation(failed, crate::support::PATIENCE)
        .await
        .unwrap();
    let listed = line(&["invocations", "--state", "running"]);
    assert!(
        listed.contains(&cid) && listed.contains("(group)"),
        "{listed}"
    );
    let members = line(&["invocations", "--group", &cid, "--output", "jsonl"]);
    assert_eq!(members.lines().count(), 2, "{members}");
    let history = line(&["explain", &cid]);
    for text in [
        &format!("{cid}  (group)  RUNNING"),
        "members: 2, 1 ended: 1 RUNNING, 1 FAILED",
        &format!("1      demo.fail  FAILED  DEMO_FAILED  {failed}"),
        &format!("0  {failed}  demo.fail  FAILED"),
    ] {
        assert!(history.contains(text), "{text} is not in {history}");
    }
    let member = line(&["explain", &failed.to_string()]);
    assert!(member.contains(&format!("member of: {cid}")), "{member}");
    assert!(line(&["cancel", &cid]).contains(&cid));
    let ended = line(&["result", &cid, "--wait", "20s"]);
    assert!(ended.contains("\"cancelled\": 1"), "{ended}");
    let json = line(&["explain", &cid, "--output", "jsonl"]);
    assert!(json.contains("\"ended\":2"), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let counts = json["member_counts"].as_array().unwrap();
    assert_eq!(counts.len(), 2, "{json}");
    assert_eq!(counts[0]["count"], 1);
}

/// The full view and `explain` distinguish callbacks from the invocations that the handler made.
#[tokio::test(flavor = "multi_thread")]
async fn callbacks_are_listed_apart_from_children() {
    use cidery::model::call::Call;
    let server = Server::start(&[]);
    let client = cidery::remote::client::ContractClient::connect(&server.address)
        .await
        .unwrap();
    let mut call = Call::new("invoking.in-background", ());
    call.durable().callbacks = vec!["cidery.echo".to_owned()];
    let cid = client.invoke_async(call).await.unwrap().cid;
    crate::support::ended(&client, cid).await;
    let invocation = client.explain(cid).await.unwrap();
    let [child] = invocation.child_cids.as_slice() else {
        panic!("{:?}", invocation.child_cids);
    };
    let [callback] = invocation.callback_cids.as_slice() else {
        panic!("{:?}", invocation.callback_cids);
    };
    let history = stdout(&server.run(&["explain", &cid.to_string()]));
    let (_, lists) = history.split_once("\nchildren:\n").unwrap();
    let (children, callbacks) = lists.split_once("\ncallbacks:\n").unwrap();
    assert!(
        children.contains(child) && !children.contains(callback),
        "{history}"
    );
    assert!(
        callbacks.contains(callback) && !callbacks.contains(child),
        "{history}"
    );
}

/// A service without workers is remembered, across restarts too, until it is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_remembered_until_it_is_forgotten() {
    let folder = Folder::new("forgetting");
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    let mut server = Server::start(&options);
    let builder = cidery::Worker::builder().service("a.gone", async || {});
    let worker = builder.connect(&server.address).await.unwrap();
    let output = server.run(&["service", "forget", "a.gone"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("SERVICE_IN_USE"),
        "{}",
        stderr(&output)
    );
    worker.stop().await;
    let reason = |server: &Server| {
        let output = server.run(&["invoke", "a.gone"]);
        stderr(&output)
    };
    assert!(reason(&server).contains("NO_WORKER"), "{}", reason(&server));
    let output = server.run(&["service", "forget", "a.gone"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        reason(&server).contains("SERVICE_UNKNOWN"),
        "{}",
        reason(&server)
    );
    assert!(!stdout(&server.run(&["services"])).contains("a.gone"));
    server.signal("TERM");
    server.child.wait().unwrap();
    let server = Server::start(&options);
    assert!(
        reason(&server).contains("SERVICE_UNKNOWN"),
        "{}",
        reason(&server)
    );
    let output = server.run(&["service", "forget", "a.gone"]);
    assert_eq!(output.status.code(), Some(4));
}

/// What a key with a wide pattern left behind is removed with one command.
#[tokio::test(flavor = "multi_thread")]
async fn services_are_forgotten_by_a_pattern() {
    let server = Server::start(&[]);
    let names = ["crm.a", "crm.b", "crm.task", "crm.c", "other.a"];
    let mut gone = cidery::Worker::builder();
    for name in names {
        gone = gone.service(name, async || {});
    }
    gone.connect(&server.address).await.unwrap().stop().await;
    let serving = cidery::Worker::builder().service("crm.b", async || {});
    let worker = serving.connect(&server.address).await.unwrap();
    let pending = server.run(&["invoke", "crm.task", "--async"]);
    assert!(pending.status.success(), "{}", stderr(&pending));
    let known = || {
        let listed = stdout(&server.run(&["services", "-o", "jsonl"]));
        names.map(|name| listed.contains(&format!("\"{name}\"")))
    };
    assert_eq!(known(), [true; 5]);
    // One has pending work: it stays, and is the error of the command. One is served.
    let output = server.run(&["service", "forget", "crm.*", "-o", "jsonl"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let refusal = stderr(&output);
    assert!(
        refusal.contains("SERVICE_IN_USE") && refusal.contains("crm.task"),
        "{refusal}"
    );
    let forgotten = stdout(&output);
    let lines: Vec<&str> = forgotten.lines().collect();
    assert_eq!(lines, [r#"{"name":"crm.a"}"#, r#"{"name":"crm.c"}"#]);
    assert_eq!(known(), [false, true, true, false, true]);
    let output = server.run(&["service", "forget", "*.a"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("1 service is forgotten"),
        "{}",
        stderr(&output)
    );
    let output = server.run(&["service", "forget", "*.a"]);
    assert!(
        stderr(&output).contains("no service that matches"),
        "{}",
        stderr(&output)
    );
    worker.stop().await;
}
