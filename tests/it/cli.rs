//! The command line: the real binary, its output and exit codes.

use std::process::{Child, Stdio};

use cidery::Value;
use cidery::codec::json;

use crate::support::binary::{Server, cidery, stderr, stdout};

#[test]
fn services_are_invoked_with_all_kinds_of_input() {
    let server = Server::start(&[]);
    let cases: [(&[&str], &str); 4] = [
        (
            &["invoke", "customer.get", "cust_id=1", "--output", "jsonl"],
            "{\"cust_id\":1,\"cust_name\":\"Alexis Smith\"}\n",
        ),
        (
            &[
                "invoke",
                "cidery.echo",
                "--json",
                "[1,0.1234567890123456789]",
                "--output",
                "jsonl",
            ],
            "[1,0.1234567890123456789]\n",
        ),
        (
            &[
                "invoke",
                "cidery.echo",
                "text=a b",
                "n='1'",
                "--output",
                "jsonl",
            ],
            "{\"text\":\"a b\",\"n\":\"'1'\"}\n",
        ),
        (&["invoke", "cidery.ping"], "{\n  \"pong\": \"cidery\"\n}\n"),
    ];
    for (arguments, expected) in cases {
        let output = server.run(arguments);
        assert_eq!(
            (stdout(&output).as_str(), output.status.code()),
            (expected, Some(0)),
            "{arguments:?}"
        );
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn asynchronous_invocations_are_followed_and_fetched_by_cid() {
    let server = Server::start(&[]);
    let accepted = server.run(&["invoke", "demo.count", "to=2", "--async"]);
    let cid = stdout(&accepted).trim().to_owned();
    cidery::Cid::parse(&cid).unwrap();
    let fetched = server.run(&["result", &cid, "--wait", "30s", "--output", "jsonl"]);
    assert_eq!(stdout(&fetched), "{\"total\":2}\n");
    let followed = server.run(&["result", &cid, "--follow"]);
    let shown = "{\"n\":1}\n{\"n\":2}\n{\n  \"total\": 2\n}\n";
    assert_eq!(stdout(&followed), shown);
    assert!(stderr(&followed).contains("accepted"));
    let at_once = server.run(&["invoke", "demo.count", "to=1", "--follow"]);
    assert_eq!(stdout(&at_once), "{\"n\":1}\n{\n  \"total\": 1\n}\n");
}

#[test]
fn failures_have_hints_and_exit_codes() {
    let server = Server::start(&[]);
    let cases: [(&[&str], i32, &[&str]); 8] = [
        (
            &["invoke", "customer.gte"],
            4,
            &["SERVICE_UNKNOWN", "customer.get", "hint:", "cid:"],
        ),
        (
            &["invoke", "customer.get", "cust_id=x"],
            3,
            &["INPUT_INVALID", "/cust_id"],
        ),
        (&["invoke", "customer.get", "--json", "{"], 3, &["line 1"]),
        (&["invoke", "customer.get", "cust_id"], 2, &["KEY=VALUE"]),
        (
            &["invoke", "demo.fail", "code=INTERNAL"],
            1,
            &["DEMO_FAILED"],
        ),
        (
            &["invoke", "demo.sleep", "seconds=60", "--timeout", "50ms"],
            5,
            &["DEADLINE_EXCEEDED", "--timeout"],
        ),
        (
            &["result", "0190f5a2-7b3c-7def-8123-456789abcdef"],
            4,
            &["CID_UNKNOWN", "hint:"],
        ),
        (
            &["services", "--node", "127.0.0.1:1"],
            6,
            &["CONNECT_FAILED", "cidery serve"],
        ),
    ];
    for (arguments, code, expected) in cases {
        let output = server.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
        for text in expected {
            assert!(
                stderr(&output).contains(text),
                "{text} is not in {}",
                stderr(&output)
            );
        }
        assert!(
            !stderr(&output).contains('\x1b'),
            "colors without a terminal"
        );
    }
    for arguments in [
        &["nothing"][..],
        &["serve", "--log", "a=b=c"],
        &["serve", "--drain", "5"],
    ] {
        assert_eq!(
            server.run(arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
}

#[test]
fn services_are_listed_and_described() {
    let server = Server::start(&[]);
    let table = stdout(&server.run(&["services", "demo."]));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("NAME"), "{table}");
    assert_eq!(lines.len(), 5, "{table}");
    let json = stdout(&server.run(&["services", "demo.", "--output", "jsonl"]));
    assert_eq!(json.lines().count(), 4);
    for line in json.lines() {
        json::read(line.as_bytes()).unwrap();
    }
    let described = stdout(&server.run(&["describe", "customer.get"]));
    for text in [
        "customer.get",
        "30s",
        "cidery invoke customer.get",
        "grpcurl",
    ] {
        assert!(described.contains(text), "{text} is not in {described}");
    }
}

#[test]
fn input_comes_from_files_and_from_standard_input() {
    use std::io::Write as _;
    let server = Server::start(&[]);
    let file = std::env::temp_dir().join(format!("cidery-{}.json", cidery::Cid::new()));
    std::fs::write(&file, "{\"cust_id\": 1}").unwrap();
    let output = server.run(&["invoke", "customer.get", "--file", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    assert!(stdout(&output).contains("Alexis"));
    let mut child = cidery()
        .args([
            "invoke",
            "cidery.echo",
            "--file",
            "-",
            "--output",
            "jsonl",
            "--node",
            &server.address,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"[true]").unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), "[true]\n");
}

#[test]
fn help_and_completions_need_no_node() {
    let help = stdout(&cidery().arg("--help").output().unwrap());
    for verb in [
        "serve",
        "demo",
        "invoke",
        "result",
        "services",
        "describe",
        "completions",
    ] {
        assert!(help.contains(verb), "{verb}");
        let own = cidery().args([verb, "--help"]).output().unwrap();
        assert!(own.status.success() && stdout(&own).len() > 100, "{verb}");
    }
    let script = stdout(&cidery().args(["completions", "bash"]).output().unwrap());
    assert!(script.contains("_cidery"));
}

#[test]
fn a_closed_standard_output_is_not_a_failure() {
    let mut child = cidery()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn the_demo_prints_all_its_steps_and_exits() {
    let output = cidery()
        .args(["demo", "--exit", "--listen", "127.0.0.1:0"])
        .args(["--log", "info"])
        .output()
        .unwrap();
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", stderr(&output));
    for text in [
        "listening on 127.0.0.1:",
        "{\"cust_id\":1,\"cust_name\":\"Alexis Smith\"}",
        "\"names\":[\"anonymous\"]",
        "invoking.as-json",
        "invoking.inline-parameters",
        "invoking.in-background",
        "\"by_index\":\"Alexis Smith\",\"by_path\":\"Alexis Smith\"",
        "retry_scheduled",
        "did you mean `customer.get`?",
    ] {
        assert!(shown.contains(text), "{text} is not in {shown}");
    }
    // The asynchronously invoked service logs the CID that its caller received.
    let cid = shown
        .split("{\"cid\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let logged = stderr(&output);
    // Events, with CID and service, are printed there too, before or after this line.
    let parts = [
        "service.name=\"invoking.my-service2\"",
        "customer_id=123",
        cid,
    ];
    let is_log_line = |line: &str| parts.iter().all(|part| line.contains(part));
    assert!(logged.lines().any(is_log_line), "{logged}");
}

#[test]
fn log_lines_carry_cid_and_service() {
    let mut server = Server::start(&["--log-format", "json"]);
    let output = server.run(&["invoke", "invoking.my-service2", "customer_id=7"]);
    assert!(output.status.success());
    server.signal("TERM");
    let mut logged = String::new();
    std::io::Read::read_to_string(server.child.stderr.as_mut().unwrap(), &mut logged).unwrap();
    let line = logged
        .lines()
        .find(|line| line.contains("\"invoked\""))
        .unwrap();
    let line = json::read(line.as_bytes()).unwrap();
    assert_eq!(line["customer_id"].as_int(), Some(7));
    assert_eq!(line["service"].as_text(), Some("invoking.my-service2"));
    cidery::Cid::parse(line["cid"].as_text().unwrap()).unwrap();
    // Each is said once.
    let names: Vec<&str> = line.as_dict().unwrap().keys().collect();
    let expected = [
        "timestamp",
        "level",
        "message",
        "customer_id",
        "cid",
        "service",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_signal_drains_the_node_and_a_second_one_stops_it_at_once() {
    let mut server = Server::start(&[]);
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let mut busy = Server::start(&[]);
    let accepted = busy.run(&["invoke", "cidery.ping"]);
    assert!(accepted.status.success());
    let mut sleeping = cidery()
        .args([
            "invoke",
            "demo.sleep",
            "seconds=600",
            "--timeout",
            "20m",
            "--node",
            &busy.address,
        ])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Wait until the handler runs.
    while !stdout(&busy.run(&["services", "demo.sleep", "--output", "jsonl"]))
        .contains("\"running\":1")
    {}
    busy.signal("INT");
    while busy.run(&["invoke", "cidery.ping"]).status.success() {}
    assert_eq!(busy.child.try_wait().unwrap(), None);
    busy.signal("TERM");
    let forced = busy.child.wait().unwrap();
    assert_eq!(forced.code(), Some(128 + 15), "{forced}");
    let _ = sleeping.kill();
    let _ = sleeping.wait();
}

/// The log of a node that has stopped.
fn log_of(child: &mut Child) -> String {
    let mut log = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut log).unwrap();
    log
}

#[test]
fn a_hang_up_that_is_ignored_stays_ignored() {
    // As `nohup` does.
    let ignoring = "trap '' HUP; exec \"$0\" serve --in-memory --listen 127.0.0.1:0";
    let mut child = std::process::Command::new("sh")
        .args(["-c", ignoring, env!("CARGO_BIN_EXE_cidery")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = std::io::BufReader::new(child.stdout.as_mut().unwrap());
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    let address = first
        .trim()
        .strip_prefix("listening on ")
        .unwrap()
        .to_owned();
    let mut server = Server { child, address };
    server.signal("HUP");
    let pinged = server.run(&["invoke", "cidery.ping"]);
    assert!(pinged.status.success(), "{}", stderr(&pinged));
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let log = log_of(&mut server.child);
    assert!(log.contains("SIGTERM") && !log.contains("reload"), "{log}");
}

#[test]
fn insecure_logs_what_it_means() {
    let mut server = Server::start(&["--insecure", "--listen", "0.0.0.0:0"]);
    server.signal("TERM");
    server.child.wait().unwrap();
    let log = log_of(&mut server.child);
    let warning = log.lines().find(|line| line.contains(" WARN ")).unwrap();
    assert!(warning.contains("there is no authentication"), "{log}");
}

#[test]
fn a_public_address_requires_insecure() {
    let output = cidery()
        .args(["serve", "--in-memory", "--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("--insecure"));
}

#[test]
fn descriptions_show_input_and_output() {
    let server = Server::start(&[]);
    let text = stdout(&server.run(&["describe", "customer.import"]));
    for line in [
        "typed method       customer.Service/Import",
        "in background      customer.Service/ImportAsync",
        "cidery export proto --api --node ",
        "served by          the node, declaration ",
        "Input: a list of dicts of",
        "since      Date     no                 Since when they are a customer.",
        "credit     Decimal  no        \"0\"      A decimal with all its digits.",
        "Output: a list of dicts of",
        "Try it:",
        "customer.Service/Import",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.lines().any(|line| line.len() > 80), "{text}");
    let mut narrow = cidery();
    narrow.args(["describe", "customer.import", "--node", &server.address]);
    let narrow = stdout(&narrow.env("COLUMNS", "80").output().unwrap());
    let (facts, samples) = narrow.split_once("Try it:").unwrap();
    assert!(facts.lines().all(|line| line.len() <= 80), "{narrow}");
    // The simplest sample first.
    let headings = samples.lines().filter(|line| line.starts_with("# "));
    assert_eq!(
        headings.collect::<Vec<_>>(),
        [
            "# cidery",
            "# cidery, in the background, with the result afterwards",
            "# python, with the SDK",
            "# grpcurl",
            "# curl",
            "# types for clients in Go, Node, Java and others: docs/typed-clients.md",
        ]
    );
    let text = stdout(&server.run(&["describe", "cidery.echo"]));
    for line in [
        "typed method       none: neither its input nor its",
        "Input: any value",
        "Output: any value",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let description = json::read(
        &server
            .run(&["describe", "customer.get", "--output", "jsonl"])
            .stdout,
    )
    .unwrap();
    assert_eq!(
        description["input_schema"]["properties"]["cust_id"]["type"],
        Value::from("integer")
    );
    assert_eq!(
        description["output_schema"]["required"],
        vec!["cust_id", "cust_name"].into()
    );
}

#[test]
fn files_are_read_in_their_format_and_responses_written_in_the_requested_one() {
    let server = Server::start(&[]);
    let folder = std::env::temp_dir().join(format!("cidery-cli-{}", cidery::Cid::new()));
    std::fs::create_dir_all(&folder).unwrap();
    let csv = folder.join("customer.csv");
    std::fs::write(&csv, "cust_id,extra\n7,x\n").unwrap();
    let path = csv.to_str().unwrap();
    let output = server.run(&["invoke", "customer.get", "--file", path]);
    assert_eq!(stdout(&output), "cust_id,cust_name\r\n7,Alexis Smith\r\n");
    assert!(
        stderr(&output).contains("undeclared keys ignored: extra"),
        "{}",
        stderr(&output)
    );
    let output = server.run(&[
        "invoke",
        "customer.get",
        "--file",
        path,
        "--response-format",
        "json",
    ]);
    assert_eq!(
        json::read(&output.stdout).unwrap()["cust_id"],
        Value::Int(7)
    );
    let text = folder.join("customer");
    std::fs::write(&text, "8").unwrap();
    let path = text.to_str().unwrap();
    let output = server.run(&["invoke", "customer.get", "--file", path, "--format", "text"]);
    // Text cannot represent two elements: the response is JSON.
    assert_eq!(
        json::read(&output.stdout).unwrap()["cust_id"],
        Value::Int(8)
    );
    let output = server.run(&["invoke", "customer.get", "cust_id=1", "extra=2", "--async"]);
    assert!(
        stderr(&output).contains("ignored: extra"),
        "{}",
        stderr(&output)
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn exports_print_the_files_they_wrote_or_why_they_failed() {
    let server = Server::start(&[]);
    let folder = std::env::temp_dir().join(format!("cidery-export-{}", cidery::Cid::new()));
    let out = folder.to_str().unwrap();
    let export =
        |options: &[&str]| server.run(&[&["export", "proto", "--out", out], options].concat());
    let output = export(&["--service", "customer.get"]);
    let files = [
        "google/api/annotations",
        "google/api/http",
        "customer/customer",
    ];
    let files = files.map(|name| format!("{out}/{name}.proto\n")).concat();
    assert_eq!(stdout(&output), files);
    let text = std::fs::read_to_string(folder.join("customer/customer.proto")).unwrap();
    assert!(
        text.contains("rpc GetAsync(GetAsyncRequest)") && !text.contains("Import"),
        "{text}"
    );
    // Those of the node itself are not exported unless they are requested.
    let output = export(&[]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(stdout(&output), "");
    let message = stderr(&output);
    assert!(
        message.contains("NO_TYPED_METHOD") && message.contains("`--builtins`"),
        "{message}"
    );
    let all = stdout(&export(&["--builtins"]));
    for path in ["customer", "demo", "cidery", "invoking"] {
        assert!(all.contains(&format!("{out}/{path}/{path}.proto")), "{all}");
    }
    for (options, code, expected) in [
        (&["--service", "cidery.echo"][..], 3, "NO_TYPED_METHOD"),
        (
            &["--service", "customer.gte"],
            4,
            "did you mean `customer.get`?",
        ),
        (&["--node", "127.0.0.1:1"], 6, "CONNECT_FAILED"),
    ] {
        let output = export(options);
        assert_eq!(output.status.code(), Some(code), "{options:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
    // The .proto files of Cidery are in the binary: exporting them needs no node.
    let output = export(&["--api", "--node", "127.0.0.1:1"]);
    assert!(output.status.success());
    assert_eq!(stdout(&output).lines().count(), 9);
    std::fs::remove_dir_all(folder).unwrap();
}
