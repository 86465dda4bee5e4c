//! Usage errors: what the tips say. The option `--node` before the command.

use std::path::Path;

use crate::support::binary::{Server, cidery, stderr, stdout};

/// The standard error of a command line that is used incorrectly.
#[track_caller]
fn usage_error(arguments: &[&str]) -> String {
    let output = cidery().args(arguments).output().unwrap();
    let shown = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {shown}");
    shown
}

#[test]
fn tips_name_what_is_meant() {
    for (arguments, tip) in [
        (&["call", "cidery.ping"][..], "subcommand exists: 'invoke'"),
        (&["ps"], "subcommand exists: 'invocations'"),
        (&["serve", "--port", "5"], "argument exists: '--listen'"),
        (&["serve", "127.0.0.1:5"], "argument exists: '--listen'"),
        (&["services", "--port", "5"], "argument exists: '--node'"),
        (
            &["services", "--outptu", "json"],
            "argument exists: '--output'",
        ),
        (
            &["invoke", "customer.get", "--cust_id", "1"],
            "elements of the input have no dashes: 'cust_id=1'",
        ),
        (
            &["invoke", "customer.get", "--cust_id=1"],
            "elements of the input have no dashes: 'cust_id=1'",
        ),
        (
            &["invoke", "customer.get", "--timeout", "-5s"],
            "to pass '-5s' as the value of '--timeout', use '--timeout=-5s'",
        ),
    ] {
        let shown = usage_error(arguments);
        assert!(shown.contains("  tip: "), "{shown}");
        assert!(shown.contains(tip), "{shown}");
        assert!(!shown.contains("use '-- "), "{shown}");
    }
}

/// Not the arguments that were given, nor those that environment variables give.
#[test]
fn the_usage_in_errors_is_that_of_the_help() {
    for arguments in [
        &["invoke"][..],
        &["invoke", "--foo", "cidery.ping"],
        &["invoke", "cidery.ping", "--async", "--follow"],
    ] {
        let shown = usage_error(arguments);
        let usage = "\nUsage: cidery invoke [OPTIONS] <NAME> [KEY=VALUE]...\n";
        assert!(shown.contains(usage), "{shown}");
    }
}

#[test]
fn the_node_may_stand_before_the_command() {
    let server = Server::start(&[]);
    let ping = |before: &[&str], after: &[&str]| {
        let command = [before, &["invoke", "cidery.ping"], after].concat();
        cidery()
            .args(&command)
            .env("CIDERY_NODE", "127.0.0.1:1")
            .output()
            .unwrap()
    };
    let node = ["-n", &server.address];
    for (before, after) in [
        (&node[..], &[][..]),
        (&[], &node),
        (&["--node", "127.0.0.1:1"], &node),
    ] {
        let output = ping(before, after);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(ping(&[], &[]).status.code(), Some(6));
    let forget = ["-n", &server.address, "service", "forget", "a.gone"];
    let forgotten = cidery().args(forget).output().unwrap();
    assert_eq!(forgotten.status.code(), Some(4), "{}", stderr(&forgotten));
    let global = ["-q", "-o", "jsonl", "--color", "never"];
    let output = ping(&[&node[..], &global].concat(), &[]);
    assert_eq!(stdout(&output), "{\"pong\":\"cidery\"}\n");
}

#[test]
fn commands_that_connect_to_no_node_refuse_the_option() {
    for command in ["serve", "demo", "check-worker"] {
        let shown = usage_error(&["-n", "127.0.0.1:1", command]);
        let message = format!("`cidery {command}` connects to no node");
        assert!(shown.contains(&message), "{shown}");
        let help = cidery().args([command, "--help"]).output().unwrap();
        assert!(!stdout(&help).contains("--node"), "{command}");
    }
}

#[test]
fn an_invocation_that_would_end_before_it_starts_is_refused() {
    for (options, message) in [
        (
            &["--delay", "1h", "--deadline", "5m"][..],
            "`--deadline` must be later than `--delay`",
        ),
        (
            &["--start-time", "1h", "--deadline", "5m"],
            "`--deadline` must be later than `--start-time`",
        ),
        (
            &["--delay", "1h", "--expiration", "5m"],
            "`--expiration` must be later than `--delay`",
        ),
        (
            &["--deadline", "2020-01-01"],
            "`--deadline` must be later than the present",
        ),
        (&["--retry", "0"], "invalid value '0' for '--retry"),
    ] {
        let shown = usage_error(&[&["invoke", "cidery.echo", "--async"], options].concat());
        assert!(shown.contains(message), "{shown}");
    }
}

#[test]
fn values_out_of_range_are_usage_errors() {
    for (arguments, message) in [
        (&["invocations", "--limit", "0"][..], "0 is not in 1.."),
        (&["services", "-n", "127.0.0.1:99999"], "use `HOST:PORT`"),
    ] {
        let shown = usage_error(arguments);
        assert!(shown.contains(message), "{shown}");
    }
}

/// What other programs call `--async`.
#[test]
fn background_is_another_name_of_async() {
    let server = Server::start(&[]);
    let output = server.run(&["invoke", "cidery.echo", "a=1", "--background"]);
    assert!(output.status.success(), "{}", stderr(&output));
    cidery::Cid::parse(stdout(&output).trim()).unwrap();
}

/// A node that cannot open its store says why, and what to do.
#[test]
fn an_unusable_data_directory_is_one_line() {
    let folder = crate::support::Folder::new("unusable");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("file"), "x").unwrap();
    std::fs::create_dir(path("other")).unwrap();
    std::fs::write(path("other/cidery.db"), [b'x'; 8192]).unwrap();
    let used = path("used");
    let _server = Server::start(&["--data-dir", used.to_str().unwrap()]);
    let serve = |data: &Path| {
        let mut command = cidery();
        command.args(["serve", "--log", "error", "--listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(data).output().unwrap()
    };
    for (name, message) in [
        ("file", "`DIR` is not a directory (STORE_UNUSABLE)"),
        (
            "other",
            "`DIR/cidery.db` is not a store: file is not a database (STORE_UNUSABLE)",
        ),
        (
            "used",
            "another process uses `DIR`: stop it, or choose another directory (STORE_UNUSABLE)",
        ),
    ] {
        let data = path(name);
        let output = serve(&data);
        let message = message.replace("DIR", data.to_str().unwrap());
        assert_eq!(stderr(&output), format!("error: {message}\n"));
        assert_eq!(output.status.code(), Some(3), "{name}");
    }
}
