//! `docs/typed-clients.md`: its commands print what it shows, its code is that of the examples, its options are all.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;

use crate::support::binary::{Server, stderr, stdout, tool};
use crate::support::console::{Shell, blocks, sessions};
use crate::support::dynamic::Dynamic;
use crate::support::error_of;
use crate::support::programs::root;

const PAGE: &str = include_str!("../../docs/typed-clients.md");

/// The languages of the page, with their programs.
const PROGRAMS: [(&str, &str); 4] = [
    ("go", include_str!("../../examples/typed/go/main.go")),
    ("js", include_str!("../../examples/typed/node/client.js")),
    (
        "java",
        include_str!("../../examples/typed/java/TypedClient.java"),
    ),
    (
        "python",
        include_str!("../../examples/typed/python/client.py"),
    ),
];

/// The tools of the commands.
const TOOLS: [&str; 5] = [
    "CIDERY_JAVA_PROTOC",
    "CIDERY_JAVA",
    "CIDERY_GO",
    "CIDERY_NODE_MODULES",
    "CIDERY_PYTHON",
];

#[test]
fn each_command_of_the_page_prints_what_it_shows() {
    if TOOLS
        .iter()
        .any(|name| tool(name, "typed clients").is_none())
    {
        return;
    }
    let server = Server::start(&[]);
    let mut shell = Shell::start(&server.address);
    let steps: Vec<_> = sessions(PAGE).into_iter().flatten().collect();
    for program in ["run .", "client.js", "TypedClient", "client.py"] {
        let command = format!("{program} ");
        assert!(steps.iter().any(|step| step.command.contains(&command)));
    }
    for step in &steps {
        shell.check(step);
    }
}

/// The code of the page is in the programs, which run, apart from its indentation.
#[test]
fn the_code_of_the_page_is_that_of_the_examples() {
    let unindented = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        format!("\n{}\n", lines.join("\n"))
    };
    for (language, program) in PROGRAMS {
        let shown = blocks(PAGE, language);
        assert!(shown.len() >= 3, "{language}");
        for block in shown {
            let is_there = unindented(program).contains(&unindented(block));
            assert!(is_there, "not in the example:\n{block}");
        }
    }
}

/// Without arguments, the programs print their usage, and so does the script that installs what they need.
#[test]
fn programs_print_their_usage() {
    let mut help = Command::new(root().join("scripts/tools"));
    let help = help.arg("--help").output().unwrap();
    assert!(help.status.success());
    assert!(stdout(&help).contains("eval \"$(scripts/tools)\""));
    assert_eq!(stderr(&help), "");
    let Some(modules) = tool("CIDERY_NODE_MODULES", "the usage of a typed client") else {
        return;
    };
    let mut command = Command::new("node");
    command.arg(root().join("examples/typed/node/client.js"));
    let usage = command.env("NODE_PATH", modules).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert_eq!(stderr(&usage), "usage: node client.js FOLDER ADDRESS\n");
}

/// The rows of the table with this heading, as cells.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, table) = PAGE.split_once(heading).expect(heading);
    let lines = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    lines.map(cells).collect()
}

fn code(cell: &'static str) -> &'static str {
    cell.trim_matches('`')
}

const OPTIONS: &str = "| key | value, for example | calls | meaning |";
const HEADERS: &str = "| key | meaning |";

/// Every metadata key of the sources is on the page.
#[test]
fn the_page_lists_all_metadata() {
    const DECLARATION: &str = "_KEY: &str = \"cidery-";
    let mut declared = BTreeSet::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let keys = text.split(DECLARATION).skip(1);
            let keys = keys.map(|rest| rest.split('"').next().unwrap());
            declared.extend(keys.map(|rest| format!("cidery-{rest}")));
        }
    }
    let listed = [rows(OPTIONS), rows(HEADERS)].concat();
    let listed = listed.iter().map(|row| code(row[0]).to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), declared);
}

/// Each option is accepted by the calls that its row names, and refused by the others.
#[tokio::test]
async fn the_options_of_the_page_are_those_of_the_node() {
    let server = Server::start(&[]);
    let address = server.address.parse().unwrap();
    let client = Dynamic::discover(address, "customer.Service").await;
    for row in rows(OPTIONS) {
        let [key, value, calls, _] = row[..] else {
            panic!("{row:?}");
        };
        // Only handlers have a token.
        if code(key) == "cidery-dispatch" {
            continue;
        }
        for (mode, method) in [
            ("synchronous", "customer.Service/Get"),
            ("background", "customer.Service/GetAsync"),
        ] {
            // The key of another call.
            let value = code(value).replace("4711", mode);
            let metadata = [(code(key), &*value)];
            let called = client.call_with(method, json!({ "cust_id": 1 }), &metadata);
            let refused = called.await.err().map(|status| error_of(&status));
            let refused = refused.map(|error| error.reason().to_owned());
            let is_option = calls == "both" || calls == mode;
            let expected = (!is_option).then(|| "REQUEST_INVALID".to_owned());
            assert_eq!(refused, expected, "{key} {mode}");
        }
    }
}
