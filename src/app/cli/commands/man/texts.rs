//! The parts of manual pages that documents have: examples, exit codes, environment variables and files.

/// Examples of commands, in sections with their names.
const EXAMPLES: &str = include_str!("../../../../../docs/cli-examples.md");
/// Tables of what all commands have in common.
const CLI: &str = include_str!("../../../../../docs/cli.md");

const CHANGELOG: &str = include_str!("../../../../../CHANGELOG.md");

/// The date of the release that this version is, or follows.
pub(super) fn release_date() -> &'static str {
    let mut headings = CHANGELOG
        .lines()
        .filter_map(|line| line.strip_prefix("## "));
    let date = headings.find_map(|heading| heading.split_once(" - "));
    date.map_or("", |(_, date)| date)
}

/// The part of a document from a heading to the next one of its level.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let begin = format!("\n## {heading}\n");
    let section = document.split_once(&begin).map_or("", |(_, rest)| rest);
    section.split("\n## ").next().unwrap_or_default()
}

/// The examples of a command, as Markdown.
pub(super) fn examples(command: &str) -> &'static str {
    section(EXAMPLES, command).trim()
}

/// The exit codes: each with its meaning.
pub(super) fn exit_codes() -> Vec<[String; 2]> {
    let rows = rows(section(CLI, "Exit codes"));
    let rows = rows.filter_map(|cells| match cells.as_slice() {
        [code, meaning, ..] => Some([plain(code), plain(meaning)]),
        _ => None,
    });
    rows.collect()
}

/// The environment variables, each with its meaning.
pub(super) fn environment(connects: bool) -> Vec<[String; 2]> {
    named("Environment", connects)
}

/// The files, each with what it is for.
pub(super) fn files(connects: bool) -> Vec<[String; 2]> {
    named("Files", connects)
}

/// The rows of a table about all commands, or about those that connect to a node.
fn named(heading: &str, connects: bool) -> Vec<[String; 2]> {
    let rows = rows(section(CLI, heading));
    let rows = rows.filter_map(|cells| match cells.as_slice() {
        [name, of, meaning] if connects || *of == "all" => Some([plain(name), plain(meaning)]),
        _ => None,
    });
    rows.collect()
}

/// The cells of a table's rows, without its head.
fn rows(section: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = section.lines().filter(|line| line.starts_with('|'));
    lines.skip(2).map(|line| {
        let cells = line.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim_matches(['|', ' '])).collect()
    })
}

/// Text without the marks of Markdown: code and links.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        match link.split_once("](").and_then(|(label, target)| {
            let (_, after) = target.split_once(')')?;
            Some((label, after))
        }) {
            Some((label, after)) => {
                plain.push_str(label);
                rest = after;
            }
            None => {
                plain.push('[');
                rest = link;
            }
        }
    }
    plain.push_str(rest);
    plain.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_links_and_code_are_removed() {
        let text = "see [the `CLI`](cli.md#x) and [1], `a|b`";
        assert_eq!(plain(text), "see the CLI and [1], a|b");
    }

    #[test]
    fn the_date_is_that_of_a_release() {
        assert!(release_date().parse::<jiff::civil::Date>().is_ok());
    }

    #[test]
    fn the_tables_of_the_documents_are_found() {
        assert!(exit_codes().iter().any(|[code, _]| code == "130"));
        assert!(environment(true).len() > environment(false).len());
        assert!(
            environment(true)
                .iter()
                .any(|[name, _]| name == "CIDERY_CONTEXT")
        );
        assert!(
            files(true)
                .iter()
                .any(|[path, _]| path.contains("contexts.toml"))
        );
    }

    /// Every variable of an option of all commands that connect is in the table.
    #[test]
    fn the_variables_of_common_options_are_documented() {
        let command = crate::app::cli::command();
        let documented = environment(true);
        for option in command.get_arguments() {
            let Some(variable) = option.get_env() else {
                continue;
            };
            let is_documented = documented.iter().any(|[name, _]| variable == name.as_str());
            assert!(is_documented, "{variable:?}");
        }
    }
}
