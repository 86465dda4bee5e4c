//! What users type: input on standard input, addresses, and options that belong together.

use std::io::Write as _;
use std::process::{Output, Stdio};

use crate::support::binary::{Server, cidery, stderr, stdout};

/// Invokes `cidery.echo` with a pipe as standard input.
fn echo_piped(server: &Server, input: &str, options: &[&str]) -> Output {
    let mut child = cidery()
        .args(["invoke", "cidery.echo", "--node", &server.address])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The command may end without having read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_pipe_on_standard_input_is_the_input() {
    let server = Server::start(&[]);
    for (input, options, expected) in [
        ("{\"a\": 1}", &[][..], "{\n  \"a\": 1\n}\n"),
        ("[1, 2]\n", &[], "[\n  1,\n  2\n]\n"),
        ("", &[], "{}\n"),
        (" \n", &[], "{}\n"),
        ("{\"a\": 1}", &["b=2"], "{\n  \"b\": 2\n}\n"),
        ("{\"a\": 1}", &["--json", "[]"], "[]\n"),
        ("x,y\n1,2\n", &["--format", "csv"], "x,y\r\n1,2\r\n"),
        ("a: b", &["--format", "text"], "a: b\n"),
    ] {
        let output = echo_piped(&server, input, options);
        let shown = (stdout(&output), stderr(&output));
        assert_eq!(shown.0, expected, "{input:?} {options:?}: {}", shown.1);
    }
    let malformed = echo_piped(&server, "{a: 1}", &[]);
    assert!(stderr(&malformed).contains("expected a double-quoted key"));
}

/// As with cron: nothing to read is no input.
#[test]
fn no_standard_input_is_an_empty_input() {
    let server = Server::start(&[]);
    let output = server.run(&["invoke", "cidery.echo", "--output", "jsonl"]);
    assert_eq!(stdout(&output), "{}\n", "/dev/null");
    let closed = std::process::Command::new("sh")
        .args(["-c", "exec \"$0\" invoke cidery.echo --output jsonl <&-"])
        .arg(env!("CARGO_BIN_EXE_cidery"))
        .env("CIDERY_NODE", &server.address)
        .output()
        .unwrap();
    assert_eq!(stdout(&closed), "{}\n", "closed: {}", stderr(&closed));
}

#[test]
fn an_open_pipe_is_waited_for_and_the_user_is_told() {
    use std::io::{BufRead as _, BufReader};
    let server = Server::start(&[]);
    let mut child = cidery()
        .args(["invoke", "cidery.echo", "--node", &server.address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut note = String::new();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    err.read_line(&mut note).unwrap();
    assert!(note.contains("from standard input"), "{note}");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"late\":1}")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(stdout(&output), "{\n  \"late\": 1\n}\n");
}

#[test]
fn a_node_is_given_in_all_usual_forms() {
    let server = Server::start(&["--listen", "localhost:0"]);
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    assert_eq!(server.address, format!("127.0.0.1:{port}"));
    for node in [
        format!("localhost:{port}"),
        format!(":{port}"),
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}/"),
    ] {
        let output = server.run(&["invoke", "cidery.ping", "--node", &node]);
        assert!(output.status.success(), "{node}: {}", stderr(&output));
    }
    let server = Server::start(&["--listen", ":0"]);
    assert!(
        server.address.starts_with("127.0.0.1:"),
        "{}",
        server.address
    );
}

#[test]
fn options_of_asynchronous_invocations_are_named_where_they_do_not_apply() {
    let server = Server::start(&[]);
    for (options, expected) in [
        (
            &["--delay", "1s"][..],
            "`--delay` requires `--async` or `--follow`",
        ),
        (
            &["--retry", "2", "--hold"],
            "`--retry`, `--hold` require `--async` or `--follow`",
        ),
    ] {
        let output = server.run(&[&["invoke", "cidery.echo"], options].concat());
        let shown = stderr(&output);
        assert!(
            !output.status.success() && shown.contains(expected),
            "{shown}"
        );
    }
    let accepted = server.run(&["invoke", "cidery.echo", "--async", "--delay", "1h"]);
    assert!(accepted.status.success(), "{}", stderr(&accepted));
}
