//! `docs/reference/commands.md`: every command with its arguments and options, made of the help of the program.

use std::fmt::Write as _;

use super::help_text::{Entry, Help, Section};
use super::proto::escaped;
use crate::support::page::{assert_page, wrapped};

const HEAD: &str = "\
<!-- Made from the help of the program by tests/it/reference: scripts/docs --update. -->

# Commands

Every command of the program `cidery`, as `cidery help COMMAND` explains it. [The command line](../cli.md)
says how commands work together: output for programs, bulk changes, exit codes. Options of `cidery serve`
are also options of [a file and the environment](../configuration.md).
";

/// Adds a bullet with an option, an argument or a command.
fn add_entry(page: &mut String, entry: &Entry) {
    let mut text = format!("* `{}`", entry.name);
    if !entry.text.is_empty() {
        let end = ["", "."][usize::from(!entry.text.ends_with('.'))];
        write!(text, ": {}{end}", escaped(&entry.text)).unwrap();
    }
    for (name, value) in &entry.facts {
        let name = match name.as_str() {
            "env" => "Environment variable",
            "default" => "Default",
            "possible values" => "Values",
            other => other,
        };
        write!(text, " {name}: `{value}`.").unwrap();
    }
    page.push_str(&indented(&text, ""));
    for (value, meaning) in &entry.values {
        let colon = ["", ": "][usize::from(!meaning.is_empty())];
        let text = format!("* `{value}`{colon}{}", escaped(meaning));
        page.push_str(&indented(&text, "  "));
    }
}

/// A bullet after some spaces, whose further lines are indented below its text.
fn indented(bullet: &str, spaces: &str) -> String {
    let lines = wrapped(bullet);
    let lines = lines.lines().enumerate().map(|(at, line)| {
        let below = ["", "  "][usize::from(at > 0)];
        format!("{spaces}{below}{line}\n")
    });
    lines.collect()
}

fn add_section(page: &mut String, section: &Section, left_out: &[&Entry]) {
    let entries: Vec<_> = section
        .entries
        .iter()
        .filter(|entry| !left_out.contains(entry) && entry.name != "help")
        .collect();
    if entries.is_empty() {
        return;
    }
    write!(page, "\n{}:\n\n", section.title).unwrap();
    for entry in entries {
        add_entry(page, entry);
    }
}

/// Adds a command, and then those that are nested in it.
fn add_command(page: &mut String, path: &[String], common: &[&Entry]) {
    let help = Help::of(path);
    let level = "#".repeat(path.len() + 1);
    let name = path.join(" ");
    write!(page, "\n{level} cidery {name}\n\n").unwrap();
    let end = ["", "."][usize::from(!help.about.ends_with(['.', ';']))];
    for paragraph in format!("{}{end}", escaped(&help.about)).split("\n\n") {
        page.push_str(&wrapped(paragraph));
        page.push('\n');
    }
    writeln!(page, "```text\n{}\n```", help.usage).unwrap();
    for section in &help.sections {
        add_section(page, section, common);
    }
    for note in help
        .notes
        .iter()
        .filter(|note| !note.starts_with("Global options"))
    {
        page.push('\n');
        page.push_str(&wrapped(&escaped(note)));
    }
    for nested in help.commands() {
        add_command(page, &[path, &[nested]].concat(), common);
    }
}

fn page() -> String {
    let root = Help::of(&[]);
    let (options, groups): (Vec<_>, Vec<_>) = root
        .sections
        .iter()
        .partition(|section| section.title == "Options");
    let [options] = options[..] else {
        panic!("the program has one list of options");
    };
    let common: Vec<_> = options.entries.iter().collect();
    let mut page = HEAD.to_owned();
    page.push_str("\n| command | what it does |\n|---|---|\n");
    for group in &groups {
        for entry in group.entries.iter().filter(|entry| entry.name != "help") {
            let (name, text) = (&entry.name, escaped(&entry.text));
            writeln!(page, "| [`{name}`](#cidery-{name}) | {text} |").unwrap();
        }
    }
    page.push_str("\n## Options of all commands\n\n");
    page.push_str(&wrapped(
        "Those from `--node` on are for commands that connect to a node. The sections below do not repeat them.",
    ));
    page.push('\n');
    for entry in &common {
        add_entry(&mut page, entry);
    }
    for command in root.commands() {
        add_command(&mut page, &[command], &common);
    }
    page
}

#[test]
fn the_page_of_commands_is_made_from_their_help() {
    let page = page();
    for line in [
        "\n## cidery serve\n",
        "\n### cidery config show\n",
        "\n#### cidery store key new\n",
        "\n* `--listen <HOST:PORT>`: Address to listen on.",
        " Environment variable: `CIDERY_LISTEN`.",
    ] {
        assert!(page.contains(line), "{line:?} is missing");
    }
    assert_eq!(page.matches("\n* `-n, --node <HOST:PORT>`").count(), 1);
    assert_page("reference/commands.md", &page);
}
