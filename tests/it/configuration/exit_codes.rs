//! The exit codes of `cidery serve`, which supervisors act on (`docs/deploy.md`).

use std::collections::BTreeSet;

use super::Site;
use crate::support::Folder;
use crate::support::binary::{Server, stderr};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_way_to_end_has_its_code() {
    let folder = Folder::new("exit-codes");
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut server = Server::start(&["--data-dir", data]);
    let damaged = folder.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("cidery.db"), "no database".repeat(1_000)).unwrap();
    let damaged = damaged.to_str().unwrap();
    let site = Site::new("");
    for (code, reason, options) in [
        (2, "USAGE_INVALID", &["--drain", "5"][..]),
        (78, "CONFIG_INVALID", &["--config", "nowhere.toml"]),
        (
            3,
            "INSECURE_ADDRESS",
            &["--in-memory", "--listen", "0.0.0.0:0"],
        ),
        (
            3,
            "AUTHENTICATION_OFF",
            &[
                "--in-memory",
                "--insecure",
                "--listen",
                "0.0.0.0:0",
                "--authentication",
                "required",
            ],
        ),
        (
            3,
            "TLS_INVALID",
            &[
                "--in-memory",
                "--tls-cert",
                "nowhere.pem",
                "--tls-key",
                "nowhere.pem",
            ],
        ),
        (
            3,
            "STORE_KEY_INVALID",
            &["--in-memory=false", "--store-key-file", "nowhere.key"],
        ),
        (
            3,
            "ACCESS_INVALID",
            &[
                "--in-memory",
                "--jwt-jwks",
                "nowhere.json",
                "--jwt-issuer",
                "https://issuer.example",
                "--jwt-audience",
                "cidery",
            ],
        ),
        (
            2,
            "USAGE_INVALID",
            &["--in-memory", "--audit-log", "/nowhere/audit.jsonl"],
        ),
        (
            6,
            "BIND_FAILED",
            &["--in-memory", "--listen", &server.address],
        ),
        (3, "STORE_UNUSABLE", &["--listen", ":0", "--data-dir", data]),
        (
            3,
            "STORE_UNUSABLE",
            &["--listen", ":0", "--data-dir", damaged],
        ),
    ] {
        let output = site.run(&[&["serve"], options].concat(), &[]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(&format!("({reason})")), "{text}");
    }
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_damaged_store_and_a_second_signal_have_theirs() {
    let folder = Folder::new("damaged");
    let data = folder.path().to_str().unwrap();
    let mut server = Server::start(&["--data-dir", data]);
    server.signal("TERM");
    server.child.wait().unwrap();
    let file = folder.path().join("cidery.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // The first page tells what the file is; the tables are behind it.
    bytes[4_096..].fill(0xab);
    std::fs::write(&file, bytes).unwrap();
    let site = Site::new("");
    let output = site.run(&["serve", "--listen", ":0", "--data-dir", data], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("(STORE_DAMAGED)"),
        "{}",
        stderr(&output)
    );
}

const PAGE: &str = include_str!("../../../docs/deploy.md");
const UNIT: &str = include_str!("../../../deploy/cidery.service");

/// What the page says of each code and reason, the supervisor does, and the program answers.
#[test]
fn the_unit_restarts_what_the_page_says() {
    let (_, table) = PAGE.split_once("## Exit codes").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let (mut never, mut restarted) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.skip(1) {
        let [_, code, reason, _, restart, _] = row[..] else {
            panic!("{row:?}");
        };
        // 0 is no failure, and those of signals are clean to systemd.
        let Ok(code) = code.parse::<u8>() else {
            continue;
        };
        if code == 0 {
            continue;
        }
        match restart.starts_with("no") {
            true => never.insert(code),
            false => restarted.insert(code),
        };
        let reason = reason.trim_matches('`');
        assert!(
            cidery::model::error::reason::ALL.contains(&reason),
            "{reason}"
        );
    }
    assert!(never.is_disjoint(&restarted), "{never:?} {restarted:?}");
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
    let in_unit: BTreeSet<u8> = line
        .unwrap()
        .split_whitespace()
        .map(|code| code.parse().unwrap())
        .collect();
    assert_eq!(in_unit, never);
}
