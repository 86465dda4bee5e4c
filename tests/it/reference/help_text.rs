//! The help of a command, read: its sections with their entries. [`super::commands`] makes a page of it.

use crate::support::binary::{cidery, stdout};

/// The help of a command.
pub(super) struct Help {
    /// What the command does.
    pub(super) about: String,
    pub(super) usage: String,
    pub(super) sections: Vec<Section>,
    /// Paragraphs after the sections.
    pub(super) notes: Vec<String>,
}

pub(super) struct Section {
    pub(super) title: String,
    pub(super) entries: Vec<Entry>,
}

/// An option, an argument, or a nested command.
#[derive(PartialEq, Eq)]
pub(super) struct Entry {
    /// How it is written, such as `-o, --output <FORMAT>`.
    pub(super) name: String,
    pub(super) text: String,
    /// The values that it takes, with what they mean.
    pub(super) values: Vec<(String, String)>,
    /// What is in brackets: `env`, `default` and the like.
    pub(super) facts: Vec<(String, String)>,
}

impl Help {
    pub(super) fn of(command: &[String]) -> Self {
        let output = cidery().args(command).arg("--help").output().unwrap();
        assert!(output.status.success(), "{command:?}");
        Self::parse(&stdout(&output))
    }

    fn parse(text: &str) -> Self {
        let (about, rest) = text.split_once("\nUsage: ").expect("help has a usage");
        let (usage, rest) = rest.split_once("\n\n").unwrap_or((rest, ""));
        let mut help = Self {
            about: paragraphs(about).join("\n\n"),
            usage: usage.lines().map(str::trim).collect::<Vec<_>>().join("\n"),
            sections: Vec::new(),
            notes: Vec::new(),
        };
        let mut blocks: Vec<Vec<&str>> = vec![Vec::new()];
        for line in rest.lines() {
            let is_title = line.ends_with(':') && !line.starts_with(' ');
            let ends_section = !line.starts_with(' ') && !line.is_empty();
            if is_title || (ends_section && blocks.last().is_some_and(|block| is_section(block))) {
                blocks.push(Vec::new());
            }
            blocks.last_mut().unwrap().push(line);
        }
        for block in blocks {
            match block.split_first() {
                Some((title, lines)) if is_section(&block) => help.sections.push(Section {
                    title: title.trim_end_matches(':').to_owned(),
                    entries: entries(lines),
                }),
                _ => help.notes.extend(paragraphs(&block.join("\n"))),
            }
        }
        help
    }

    /// The names of the nested commands, in the order of the help.
    pub(super) fn commands(&self) -> Vec<String> {
        let entries = self.sections.iter().flat_map(|section| &section.entries);
        let names = entries.map(|entry| &entry.name);
        let commands = names.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
        commands.filter(|name| *name != "help").cloned().collect()
    }
}

fn is_section(block: &[&str]) -> bool {
    block
        .first()
        .is_some_and(|title| title.ends_with(':') && !title.starts_with(' '))
}

/// The paragraphs of a text, one line each.
fn paragraphs(text: &str) -> Vec<String> {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let words = paragraph.split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    });
    paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .collect()
}

/// How far a line is indented.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn entries(lines: &[&str]) -> Vec<Entry> {
    let mut entries: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        // Options without a short name begin further right than others; the second column of commands further still.
        let begins =
            indent(line) == 2 || (indent(line) == 6 && line.trim_start().starts_with("--"));
        match entries.last_mut() {
            _ if begins && !line.trim().is_empty() => entries.push(vec![line]),
            Some(entry) => entry.push(line),
            None => {}
        }
    }
    entries.iter().map(|lines| entry(lines)).collect()
}

fn entry(lines: &[&str]) -> Entry {
    let (first, rest) = lines.split_first().expect("an entry has a line");
    let first = first.trim();
    let (name, beside) = first.split_once("  ").unwrap_or((first, ""));
    let mut entry = Entry {
        name: name.to_owned(),
        text: beside.trim().to_owned(),
        values: Vec::new(),
        facts: Vec::new(),
    };
    let mut in_values = false;
    for line in rest
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
    {
        let fact = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']')?.split_once(": "));
        if let Some((name, value)) = fact {
            in_values = false;
            let value = value.trim_end_matches('=');
            entry.facts.push((name.to_owned(), value.to_owned()));
        } else if line == "Possible values:" {
            in_values = true;
        } else if let Some((value, meaning)) = value_of(line).filter(|_| in_values) {
            entry
                .values
                .push((value.to_owned(), meaning.trim().to_owned()));
        } else {
            let last = entry.values.last_mut().filter(|_| in_values);
            let text = last.map_or(&mut entry.text, |(_, meaning)| meaning);
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    entry
}

/// A value with its meaning, if it has one.
fn value_of(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("- ")?;
    Some(line.split_once(':').unwrap_or((line, "")))
}

const HELP: &str = "\
Do it

More
words.

Usage: x do [OPTIONS]

Commands:
  new   Make one,
        or two
  help  Help

Options:
  -o, --output <F>
          Output
          format

          Possible values:
          - a: One
            line
          - b

          [env: X=]
          [default: a]

      --plain
          Plain

A note
of two lines.
";

#[test]
fn a_help_text_is_read_as_it_is_printed() {
    let help = Help::parse(HELP);
    assert_eq!(
        (help.about.as_str(), help.usage.as_str()),
        ("Do it\n\nMore words.", "x do [OPTIONS]")
    );
    assert_eq!(help.commands(), ["new"]);
    assert_eq!(help.sections[0].entries[0].text, "Make one, or two");
    let [output, plain] = &help.sections[1].entries[..] else {
        panic!("two options");
    };
    assert_eq!(
        (output.name.as_str(), output.text.as_str()),
        ("-o, --output <F>", "Output format")
    );
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(output.values, [pair("a", "One line"), pair("b", "")]);
    assert_eq!(output.facts, [pair("env", "X"), pair("default", "a")]);
    assert_eq!(
        (plain.name.as_str(), plain.text.as_str()),
        ("--plain", "Plain")
    );
    assert_eq!(help.notes, ["A note of two lines."]);
}
