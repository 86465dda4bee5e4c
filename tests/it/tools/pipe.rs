//! `cidery pipe`: rows in and out, and rows that fail.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};

/// Runs a pipe with this input.
pub(super) fn pipe(server: &Server, arguments: &[&str], input: &str) -> Output {
    let mut child = cidery()
        .arg("pipe")
        .args(arguments)
        .env("CIDERY_NODE", &server.address)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A pipe that refuses its arguments does not read.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_row_is_an_invocation_and_its_response_a_row() {
    let server = Server::start(&[]);
    let input = "\u{feff}note,cust_id\r\n\"a, b\",1\r\n\r\nc,2\n";
    let piped = pipe(&server, &["customer.get", "--keep", "note"], input);
    assert_eq!(piped.status.code(), Some(0), "{}", stderr(&piped));
    let expected = "note,cust_id,cust_name\r\n\"a, b\",1,Alexis Smith\r\nc,2,Alexis Smith\r\n";
    assert_eq!(stdout(&piped), expected);
    assert!(stderr(&piped).contains("2 rows in "), "{piped:?}");
    let lines = pipe(
        &server,
        &["customer.get", "--format", "jsonl", "--keep", "note", "-q"],
        "{\"cust_id\":1,\"note\":[1]}\n\n{\"cust_id\":2}",
    );
    let expected = "{\"note\":[1],\"cust_id\":1,\"cust_name\":\"Alexis Smith\"}\n\
                    {\"note\":null,\"cust_id\":2,\"cust_name\":\"Alexis Smith\"}\n";
    assert_eq!(stdout(&lines), expected);
    assert_eq!(stderr(&lines), "");
}

#[test]
fn json_lines_that_are_read_as_csv_are_told() {
    let server = Server::start(&[]);
    let input = "{\"cust_id\":1}\n{\"cust_id\":2}\n";
    let piped = pipe(&server, &["customer.get", "--output", "json"], input);
    assert_eq!(piped.status.code(), Some(1), "{piped:?}");
    let noted = stderr(&piped);
    assert!(noted.contains("--format jsonl"), "{noted}");
    let failure: Value = serde_json::from_str(noted.lines().last().unwrap()).unwrap();
    assert_eq!(failure["error"]["reason"], "ROWS_FAILED", "{noted}");
    // The rows would fail again.
    assert_eq!(failure["error"]["retryable"], false, "{noted}");
}

/// Lists and dicts in cells, another delimiter, and a service without a declaration.
#[test]
fn cells_are_texts_where_nothing_is_declared() {
    let server = Server::start(&[]);
    let arguments = ["cidery.echo", "--delimiter", ";", "--async"];
    let piped = pipe(&server, &arguments, "a;b\n[1];\n\"x;\"\"y\";2\n");
    assert_eq!(piped.status.code(), Some(0), "{}", stderr(&piped));
    let expected = "response\r\n\"{\"\"a\"\":\"\"[1]\"\",\"\"b\"\":\"\"\"\"}\"\r\n\
                    \"{\"\"a\"\":\"\"x;\\\"\"y\"\",\"\"b\"\":\"\"2\"\"}\"\r\n";
    assert_eq!(stdout(&piped), expected);
    // A service that takes a list gets one with the row.
    let input = "cust_id,cust_name\n7,New\n";
    let imported = pipe(&server, &["customer.import", "-o", "jsonl", "-q"], input);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let row: Value = serde_json::from_str(&stdout(&imported)).unwrap();
    assert_eq!(row["response"].as_array().map(Vec::len), Some(1), "{row}");
}

#[test]
fn rows_that_fail_are_in_a_file_that_can_be_piped_again() {
    let server = Server::start(&[]);
    let folder = Folder::new("pipe-failed");
    let failed = folder.path().join("failed.csv");
    let failed_path = failed.to_str().unwrap();
    let input = "cust_id,note\n1,a\nx,\"b\nc\"\n2,d\n3,e,f\n";
    for mode in [&[][..], &["--async"]] {
        let _ = std::fs::remove_file(&failed);
        let arguments = [&["customer.get", "--failed", failed_path], mode].concat();
        let piped = pipe(&server, &arguments, input);
        assert_eq!(piped.status.code(), Some(1), "{}", stderr(&piped));
        assert!(stderr(&piped).contains("ROWS_FAILED"), "{piped:?}");
        assert!(
            stderr(&piped).contains("2 rows have failed, such as row 2"),
            "{piped:?}"
        );
        assert_eq!(stdout(&piped).lines().count(), 3, "{}", stdout(&piped));
        let text = std::fs::read_to_string(&failed).unwrap();
        let rows: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(
            rows[0],
            "pipe_row,pipe_reason,pipe_message,pipe_cid,cust_id,note"
        );
        assert!(rows[1].starts_with("2,INPUT_INVALID,"), "{text}");
        assert!(rows[1].ends_with(",x,\"b\nc\""), "{text}");
        assert!(rows[2].starts_with("4,DOCUMENT_MALFORMED,"), "{text}");
        assert!(rows[2].ends_with(",3,e,f"), "{text}");
        assert_eq!(rows.len(), 4, "{text}");
    }
    // The two rows fail again, now as rows 1 and 2; the columns of the pipe are not sent.
    let text = std::fs::read_to_string(&failed)
        .unwrap()
        .replace(",x,", ",5,");
    let again = pipe(&server, &["customer.get"], &text);
    assert!(
        stderr(&again).contains("1 row has failed, such as row 2"),
        "{again:?}"
    );
    assert_eq!(stdout(&again).lines().count(), 2, "{again:?}");
}

#[test]
fn what_is_wrong_for_all_rows_stops_the_pipe() {
    let server = Server::start(&[]);
    let folder = Folder::new("pipe-refused");
    let taken = folder.path().join("taken.csv");
    std::fs::write(&taken, "data").unwrap();
    let taken = taken.to_str().unwrap();
    let cases: [(&[&str], &str, i32, &str); 7] = [
        (&["customer.gte"], "a\n1\n", 4, "SERVICE_UNKNOWN"),
        (
            &["customer.get", "--keep", "x"],
            "a\n1\n",
            2,
            "the columns of the input are `a`",
        ),
        (
            &["customer.get", "--keep", "cust_id"],
            "cust_id\n1\n",
            2,
            "two columns `cust_id`",
        ),
        (&["customer.get"], "", 2, "CSV begins with a header"),
        (&["customer.get"], "a,a\n1,2\n", 3, "two columns named `a`"),
        (
            &["customer.get"],
            "cust_id\n1\n\"2\n",
            3,
            "line 3, column 1",
        ),
        (
            &["customer.get", "--out", taken],
            "cust_id\n1\n",
            3,
            "FILE_EXISTS",
        ),
    ];
    for (arguments, input, code, message) in cases {
        let piped = pipe(&server, arguments, input);
        let text = stderr(&piped);
        assert_eq!(piped.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
    }
    // What came before is written.
    let piped = pipe(&server, &["customer.get"], "cust_id\n1\n\"2\n");
    assert_eq!(stdout(&piped), "cust_id,cust_name\r\n1,Alexis Smith\r\n");
    let long = format!("text\n{}\n", "x".repeat((1 << 20) + 1));
    let piped = pipe(&server, &["cidery.echo"], &long);
    assert!(stderr(&piped).contains("MESSAGE_TOO_LARGE"), "{piped:?}");
}

/// Slow rows first: in order they are written first, unordered last.
#[test]
fn responses_are_in_order_unless_that_is_not_asked_for() {
    let server = Server::start(&[]);
    let input = "seconds\n1\n0\n0\n";
    let kept = |arguments: &[&str]| {
        let all = [
            &["demo.sleep", "--format", "csv", "-o", "jsonl", "-q"],
            arguments,
        ]
        .concat();
        let piped = pipe(&server, &all, input);
        assert_eq!(piped.status.code(), Some(0), "{}", stderr(&piped));
        stdout(&piped)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (ordered, unordered) = (kept(&[]), kept(&["--unordered"]));
    assert_eq!(ordered.len(), 3);
    assert_ne!(ordered[0], ordered[1]);
    let reversed: Vec<&String> = unordered.iter().rev().collect();
    assert_eq!(reversed[0], &ordered[0], "{unordered:?}");
}
