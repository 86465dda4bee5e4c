//! One manual page.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::texts::{environment, examples, exit_codes, files, plain, release_date};

/// The name of a page, without its section: `cidery-service-pause`.
pub(super) fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or("cidery").replace(' ', "-")
}

/// The page of a command, in the format of `man`.
pub(super) fn page(command: &Command) -> Vec<u8> {
    // The help of a command only names the options of all commands; its page explains them.
    let explained = command.clone().mut_args(|option| {
        let option = option.hide_long_help(false);
        option.hide_short_help(false)
    });
    let man = Man::new(explained)
        .title(name(command))
        .date(release_date())
        .source(concat!("cidery ", env!("CARGO_PKG_VERSION")))
        .manual("Cidery Manual");
    let mut page = Vec::new();
    // A vector takes all bytes.
    let _ = man.render_title(&mut page);
    let _ = man.render_name_section(&mut page);
    let _ = man.render_synopsis_section(&mut page);
    let _ = man.render_description_section(&mut page);
    let _ = man.render_options_section(&mut page);
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut page);
    }
    let _ = sections(command).to_writer(&mut page);
    spaced(&String::from_utf8_lossy(&page)).into_bytes()
}

/// Without requests for space that formatters warn about: those beside others, and those before a new paragraph. The
/// preamble, which each section begins with, is needed once.
fn spaced(page: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let is_space = |line: &str| matches!(line, ".br" | ".sp" | ".PP");
    for line in page.lines() {
        let is_preamble = line.starts_with(".ie ") || line.starts_with(".el ");
        if is_preamble && lines.contains(&line) {
            continue;
        }
        let last = lines.last().copied().unwrap_or_default();
        let begins_paragraph = line == ".TP" || line.starts_with(".SH");
        if line == ".br" && last == ".sp" || line.is_empty() && last == ".TP" {
            continue;
        }
        if line.is_empty() || begins_paragraph || matches!(line, ".PP" | ".RS 4") {
            let kept = lines.iter().rposition(|line| !is_space(line));
            lines.truncate(kept.map_or(0, |at| at + 1));
        }
        lines.push(if line.is_empty() { ".sp" } else { line });
    }
    lines.join("\n") + "\n"
}

/// The sections after the options.
fn sections(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let own = command.get_bin_name().unwrap_or("cidery");
    let connects = command
        .get_arguments()
        .any(|option| option.get_id() == "node" && !option.is_hide_set());
    add_examples(&mut roff, examples(own));
    add_terms(&mut roff, "EXIT STATUS", &exit_codes());
    add_terms(&mut roff, "ENVIRONMENT", &environment(connects));
    add_terms(&mut roff, "FILES", &files(connects));
    let mut others: Vec<String> = Vec::new();
    if let Some((parent, _)) = own.rsplit_once(' ') {
        others.push(parent.replace(' ', "-"));
    }
    let nested = command
        .get_subcommands()
        .filter(|it| it.get_name() != "help");
    others.extend(nested.map(name));
    others.sort();
    roff.control("SH", ["SEE ALSO"]);
    for (at, other) in others.iter().enumerate() {
        let end = if at + 1 < others.len() { "(1)," } else { "(1)" };
        roff.text([bold(other.as_str()), roman(end)]);
    }
    roff
}

fn add_terms(roff: &mut Roff, heading: &str, terms: &[[String; 2]]) {
    if terms.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for [term, meaning] in terms {
        roff.control("TP", []);
        roff.text([bold(term.as_str())]);
        roff.text([roman(meaning.as_str())]);
    }
}

/// Paragraphs, and blocks of code as they are.
fn add_examples(roff: &mut Roff, markdown: &str) {
    if markdown.is_empty() {
        return;
    }
    roff.control("SH", ["EXAMPLES"]);
    let mut is_code = false;
    for line in markdown.lines() {
        match (line.starts_with("```"), is_code) {
            (true, false) => {
                roff.control("RS", ["4"]);
                roff.control("nf", []);
                is_code = true;
            }
            (true, true) => {
                roff.control("fi", []);
                roff.control("RE", []);
                is_code = false;
            }
            (false, true) => drop(roff.text([roman(line)])),
            (false, false) if line.is_empty() => drop(roff.control("PP", [])),
            (false, false) => drop(roff.text([roman(plain(line))])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_space_do_not_follow_one_another() {
        let page = ".el a\n.TP\nx\n.br\n\n.br\ny\n\n.TP\n\nz\n.el a\n.PP\n.RS 4\n";
        let expected = ".el a\n.TP\nx\n.sp\ny\n.TP\nz\n.RS 4\n";
        assert_eq!(spaced(page), expected);
    }
}
