//! The help of each command, as committed in `tests/fixtures/help/`.

use crate::support::binary::{cidery, stdout};
use crate::support::snapshot::assert_snapshot;

/// The names of the subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().filter(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    let section = |name: &&str| help.contains(&format!("\n  {name} "));
    let is_command = |name: &&str| *name != "help" && !name.contains(['.', ':', '`']);
    names
        .filter(section)
        .filter(is_command)
        .map(str::to_owned)
        .collect()
}

fn help_of(command: &[&str]) -> String {
    let output = cidery().args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    stdout(&output)
}

#[test]
fn the_help_of_every_command_is_as_committed() {
    let all = help_of(&[]);
    assert_snapshot("help/cidery", &all);
    let commands = subcommands(&all);
    assert!(commands.len() >= 15, "{commands:?}");
    for command in &commands {
        let help = help_of(&[command]);
        assert_snapshot(&format!("help/{command}"), &help);
        if !help.contains("<COMMAND>") {
            continue;
        }
        for nested in subcommands(&help) {
            let help = help_of(&[command, &nested]);
            assert_snapshot(&format!("help/{command}-{nested}"), &help);
        }
    }
}

/// Also without a terminal, as in a pager. `-h` is the shorter one.
#[test]
fn help_fits_a_terminal() {
    for command in subcommands(&help_of(&[])) {
        let output = cidery().args([&command, "-h"]).output().unwrap();
        let (short, help) = (stdout(&output), help_of(&[&command]));
        assert!(short.lines().count() < help.lines().count(), "{command}");
        let help = short + &help;
        let long = help.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{command}");
    }
}
