//! What people see of the command line: tables that fit the terminal, notes, errors, prefixes of CIDs, bulk changes.

use std::process::Output;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::snapshot::assert_snapshot;

/// CIDs whose first difference is behind the time.
const CIDS: [&str; 3] = [
    "0190f5a2-7b3c-7def-8123-000000000001",
    "0190f5a2-7b3c-7d00-8123-000000000002",
    "0190f5a2-7b3c-7aaa-8123-000000000003",
];

/// A node with one invocation that succeeded, one that failed, and one that starts tomorrow.
fn server() -> Server {
    let server = Server::start(&[]);
    let [succeeded, failed, later] = CIDS;
    run(
        &server,
        &[
            "invoke",
            "demo.count",
            "to=1",
            "--follow",
            "--cid",
            succeeded,
        ],
    );
    let fail = ["invoke", "demo.fail", "code=NOT_FOUND", "--cid", failed];
    assert_eq!(
        server
            .run(&[&fail[..], &["--follow"]].concat())
            .status
            .code(),
        Some(4)
    );
    let later = [
        "invoke",
        "demo.count",
        "to=1",
        "--cid",
        later,
        "--async",
        "--delay",
        "1d",
    ];
    run(&server, &later);
    server
}

/// The output of a command that succeeds.
#[track_caller]
fn run(server: &Server, arguments: &[&str]) -> Output {
    let output = server.run(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    output
}

/// Standard output in a terminal of this width. Ages, which depend on the speed of the machine, are one second.
#[track_caller]
fn shown(server: &Server, width: usize, arguments: &[&str]) -> String {
    let output = cidery()
        .args(arguments)
        .env("CIDERY_NODE", &server.address)
        .env("COLUMNS", width.to_string())
        .output()
        .unwrap();
    let text = stdout(&output);
    let wide = text.lines().find(|line| line.chars().count() > width);
    assert_eq!(wide, None, "wider than {width}");
    let age = text.lines().next().and_then(|line| line.find("AGE"));
    let rows = text.lines().enumerate().map(|(index, line)| match age {
        Some(at) if index > 0 => {
            let (start, rest) = line.split_at(at);
            let rest = rest
                .split_once(' ')
                .map_or("", |(_, rest)| rest.trim_start());
            format!("{start}1s   {rest}").trim_end().to_owned()
        }
        _ => line.to_owned(),
    });
    rows.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn tables_fit_the_terminal() {
    let server = server();
    for width in [80, 160] {
        let table = |name: &str, arguments: &[&str]| {
            let text = shown(&server, width, arguments);
            assert_snapshot(&format!("cli/{name}-{width}"), &text);
        };
        table("invocations", &["invocations"]);
        table("services", &["services"]);
        table("retry", &["retry", CIDS[0], CIDS[1], "--dry-run"]);
    }
    // Without a terminal, nothing is cut.
    let piped = stdout(&run(&server, &["invocations"]));
    assert!(CIDS.iter().all(|cid| piped.contains(cid)), "{piped}");
    for width in [1, 20, 40] {
        let output = cidery()
            .args(["invocations", "--node", &server.address])
            .env("COLUMNS", width.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{width}: {}", stderr(&output));
    }
}

#[test]
fn a_followed_invocation_shows_times_and_the_next_attempt() {
    let server = Server::start(&[]);
    let call = [
        "invoke",
        "demo.flaky",
        "failures=1",
        "--follow",
        "--cid",
        CIDS[0],
    ];
    let output = run(&server, &call);
    let notes = stderr(&output);
    let lines: Vec<&str> = notes.lines().collect();
    assert_eq!(lines[0], format!("following {}", CIDS[0]));
    assert_eq!(notes.matches(CIDS[0]).count(), 1, "{notes}");
    let expected = [
        "accepted   demo.flaky",
        "started    attempt 1 on the node",
        "failed     attempt 1: attempt 1 fails, as requested (DEMO_FLAKY); next attempt at ",
        "started    attempt 2 on the node",
        "succeeded",
    ];
    assert_eq!(lines.len(), 1 + expected.len(), "{notes}");
    for (line, expected) in lines[1..].iter().zip(expected) {
        let (time, text) = line.split_once("  ").unwrap();
        assert!(
            time.parse::<jiff::civil::Time>().is_ok() && time.len() == 12,
            "{line}"
        );
        assert!(text.starts_with(expected), "{line}");
    }
    let (_, delay) = lines[3].rsplit_once(" (in ").unwrap();
    assert!(delay.ends_with("ms)") || delay.ends_with("s)"), "{delay}");
}

#[test]
fn lists_say_that_they_stop_or_are_empty() {
    let server = server();
    let list = |arguments: &[&str]| {
        let output = run(&server, &[&["invocations"], arguments].concat());
        (stdout(&output), stderr(&output))
    };
    let (table, note) = list(&["--limit", "2"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(
        note,
        "showing the newest 2, there are more: `--limit NUMBER` or `--all` shows them, `--count` \
         counts them\n"
    );
    for arguments in [&["--limit", "3"][..], &["--all"], &[]] {
        let (table, note) = list(arguments);
        assert_eq!(
            (table.lines().count(), note.as_str()),
            (4, ""),
            "{arguments:?}"
        );
    }
    assert_eq!(list(&["--count"]), ("3\n".to_owned(), String::new()));
    assert_eq!(list(&["--count", "--state", "failed"]).0, "1\n");
    let none = (String::new(), "no invocations match\n".to_owned());
    assert_eq!(list(&["--state", "expired"]), none);
    let output = run(&server, &["services", "nothing."]);
    assert_eq!(stderr(&output), "no service name starts with this prefix\n");
    assert_eq!(
        stderr(&run(&server, &["workers"])),
        "no workers are connected\n"
    );
}

#[test]
fn states_have_any_case_and_times_are_ages_dates_or_local() {
    let server = server();
    let count = |arguments: &[&str]| {
        let output = run(&server, &[&["invocations", "--count"], arguments].concat());
        stdout(&output).trim().to_owned()
    };
    for state in ["FAILED", "failed", "Failed"] {
        assert_eq!(count(&["--state", state]), "1", "{state}");
    }
    for reason in ["due-later", "DUE_LATER", "due_later"] {
        assert_eq!(count(&["--pending", reason]), "1", "{reason}");
    }
    for (option, time, expected) in [
        ("--accepted-after", "1h", "3"),
        ("--accepted-before", "1d", "0"),
        ("--accepted-after", "2026-01-31", "3"),
        ("--accepted-before", "2026-01-31T08:30", "0"),
        ("--ended-after", "2w", "2"),
        ("--ended-before", "2026-01-31T08:30:00Z", "0"),
    ] {
        assert_eq!(count(&[option, time]), expected, "{option} {time}");
    }
    let wrong = server.run(&["invocations", "--accepted-after", "yesterday"]);
    assert!(
        stderr(&wrong).contains("use `2026-01-31`"),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn cids_are_found_by_unique_prefixes_and_as_the_last_one() {
    let server = server();
    let shared = server.run(&["explain", "0190f5a2-7b3c-7d"]);
    assert_eq!(shared.status.code(), Some(3));
    assert!(
        CIDS[..2].iter().all(|cid| stderr(&shared).contains(cid))
            && stderr(&shared).contains("CID_AMBIGUOUS"),
        "{}",
        stderr(&shared)
    );
    let name = |cid: &str| {
        let output = run(&server, &["explain", cid, "-o", "name"]);
        stdout(&output).trim().to_owned()
    };
    assert_eq!(name("0190f5a2-7b3c-7aaa"), CIDS[2]);
    assert_eq!(name(&CIDS[0][..18]), CIDS[0]);
    let missing = server.run(&["explain", "ffff"]);
    assert_eq!(missing.status.code(), Some(4));
    let malformed = server.run(&["explain", "0190F5A2"]);
    assert_eq!(malformed.status.code(), Some(2));
    let state = Folder::new("last");
    let with_state = |arguments: &[&str]| {
        let output = cidery()
            .args(arguments)
            .env("CIDERY_NODE", &server.address)
            .env("XDG_STATE_HOME", state.path())
            .output()
            .unwrap();
        (stdout(&output).trim().to_owned(), stderr(&output))
    };
    let none = with_state(&["result", "last"]);
    assert!(none.1.contains("NO_LAST_INVOCATION"), "{none:?}");
    let (cid, _) = with_state(&["invoke", "demo.count", "to=2", "--async"]);
    assert_eq!(with_state(&["explain", "last", "-o", "name"]).0, cid);
    let result = with_state(&["result", "last", "--wait", "30s", "-o", "jsonl"]);
    assert_eq!(result.0, "{\"total\":2}");
}

#[test]
fn bulk_changes_are_confirmed_and_select_what_can_be_changed() {
    let server = server();
    let done = |arguments: &[&str]| {
        let output = run(&server, &[arguments, &["--yes"]].concat());
        stderr(&output)
    };
    let all = ["--service", "demo.count", "--service", "demo.fail"];
    for verb in ["cancel", "retry", "purge"] {
        let unconfirmed = server.run(&[&[verb], &all[..]].concat());
        assert_eq!(unconfirmed.status.code(), Some(2), "{verb}");
        assert!(stderr(&unconfirmed).contains("--yes"), "{verb}");
    }
    for (verb, state) in [
        ("cancel", "failed"),
        ("retry", "running"),
        ("purge", "pending"),
    ] {
        let wrong = server.run(&[verb, "--state", state, "--yes"]);
        assert_eq!(wrong.status.code(), Some(2), "{verb}");
        assert!(stderr(&wrong).contains("only "), "{}", stderr(&wrong));
    }
    let dry = run(&server, &[&["retry", "--dry-run"], &all[..]].concat());
    assert_eq!(stderr(&dry), "1 would be retried\n");
    assert!(
        stdout(&dry).contains("demo.fail  FAILED"),
        "{}",
        stdout(&dry)
    );
    let reason = ["--reason", "not needed"];
    let cancelled = done(&[&["cancel"], &all[..], &reason[..]].concat());
    assert_eq!(cancelled, "1 cancelled\n");
    assert!(stdout(&run(&server, &["explain", CIDS[2]])).contains("not needed"));
    assert_eq!(done(&[&["purge"], &all[..]].concat()), "3 purged\n");
    let left = run(&server, &[&["invocations", "--count"], &all[..]].concat());
    assert_eq!(stdout(&left), "0\n");
    let nothing = run(&server, &["purge", "--yes", "--service", "demo.count"]);
    assert_eq!(stderr(&nothing), "no invocations match\n");
}

/// The text of errors, with their hints and exit codes.
#[test]
fn errors_are_as_in_their_snapshot() {
    let server = server();
    let commands: [&[&str]; 8] = [
        &["explain", "0190f5a2-7b3c-7d"],
        &["explain", "ffff"],
        &["cancel"],
        &["cancel", CIDS[0], "--state", "pending"],
        &["cancel", "--state", "failed", "--yes"],
        &["retry", CIDS[0]],
        &["invocations", "--accepted-after", "yesterday"],
        &["result", CIDS[2]],
    ];
    let mut text = String::new();
    for command in commands {
        let output = server.run(command);
        let code = output.status.code().unwrap();
        let (line, out, err) = (command.join(" "), stdout(&output), stderr(&output));
        text.push_str(&format!("$ cidery {line}\n{out}{err}exit code {code}\n\n"));
    }
    assert_snapshot("cli/errors", &text);
}

#[test]
fn colors_are_as_asked_for() {
    let server = Server::start(&[]);
    let colored = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = cidery();
        command.args(["invoke", "customer.gte"]).args(arguments);
        command.env("CIDERY_NODE", &server.address);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        stderr(&output).contains('\u{1b}')
    };
    assert!(!colored(&[], &[]), "standard error is no terminal");
    assert!(colored(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(colored(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}
