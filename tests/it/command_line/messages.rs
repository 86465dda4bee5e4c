//! The messages of frequent mistakes, as committed in `tests/fixtures/messages.txt`.

use std::fmt::Write as _;

use crate::support::binary::{Server, stderr, stdout};
use crate::support::snapshot::assert_snapshot;

/// Replaces what differs from run to run: CIDs and the address of the node.
fn normalized(text: &str, server: &Server) -> String {
    let text = text.replace(&server.address, "NODE");
    let mut words = Vec::new();
    for line in text.lines() {
        let parts = line.split_inclusive([' ', ')', '`']);
        let parts = parts.map(|part| {
            let word = part
                .trim_end_matches([' ', ')', '`', ':'])
                .trim_start_matches('(');
            match cidery::Cid::parse(word) {
                Ok(_) => part.replace(word, "CID"),
                Err(_) => part.to_owned(),
            }
        });
        words.push(parts.collect::<String>());
    }
    words.join("\n")
}

#[test]
fn messages_are_as_committed() {
    let server = Server::start(&[]);
    let (unknown, key) = ("0190f5a2-7b3c-7def-8123-456789abcdef", "key \u{1b}1");
    let mut text = String::new();
    for arguments in [
        &["invoke", "customer.gte"][..],
        &["invoke", "customer.get", "--json", "{cust_id: 1}"],
        &["invoke", "customer.get", "--json", "{\"cust_id\": 1"],
        &["invoke", "customer.get", "--json", "[1,]"],
        &["invoke", "customer.get", "cust_id"],
        &["invoke", "cidery.echo", "2"],
        &["invoke", "cidery.echo", "--async", "--follow"],
        &["invoke", "customer.get", "cust_id=x"],
        &["invoke", "customer.get"],
        &[
            "invoke",
            "customer.get",
            "cust_id=1",
            "--file",
            "missing.json",
        ],
        &["invoke", "customer.get", "--file", "missing.json"],
        &["invoke", "customer.get", "--delay", "1s"],
        &["invoke", "customer.get", "--delay", "soon", "--async"],
        &["invoke", "customer.get", "--metadata", "x"],
        &["invoke", "customer.get", "--cid", "7", "cust_id=1"],
        &["invoke", "demo.fail", "code=NOT_FOUND"],
        &["invoke", "demo.fail", "code=INTERNAL"],
        &["invoke", "demo.sleep", "seconds=60", "--timeout", "10ms"],
        &["invoke", "cidery.echo", "a=1", "--idempotency-key", key],
        &["invoke", "cidery.echo", "a=2", "--idempotency-key", key],
        &["invoke", "cidery.echo", "a=1", "--cid", unknown, "--async"],
        &["invoke", "cidery.echo", "a=2", "--cid", unknown, "--async"],
        &["result", "0190f5a2-7b3c-7def-8123-456789abcdee"],
        &["describe", "customer.gte"],
        &["services", "--node", "127.0.0.1:1"],
        &["services", "--node", "https://127.0.0.1:1"],
        &["services", "--node", "a b"],
        &["serve", "--in-memory", "--listen", "0.0.0.0:0"],
        &["serve", "--in-memory", "--listen", "http://a"],
        &["serve", "--in-memory", "--listen", &server.address],
        &["serve", "--drain", "5"],
        &["serve", "--log", "a=b=c"],
        &["serve", "--port", "5"],
        &["call", "customer.get"],
        &["invoke", "customer.get", "--cust_id", "1"],
        &["invoke", "customer.get", "--timeout", "-5s"],
        &["result", "abc"],
    ] {
        let output = server.run(arguments);
        let command = arguments.join(" ").replace('\u{1b}', "\\u{1b}");
        let code = output.status.code().unwrap();
        let _ = writeln!(
            text,
            "$ cidery {command}\n{}{}[exit {code}]\n",
            stdout(&output),
            stderr(&output)
        );
    }
    assert_snapshot("messages", &(normalized(&text, &server) + "\n"));
    // Without a terminal there are no colors.
    assert!(!text.contains('\u{1b}'));
}
