//! The list of commands in `cidery --help`, in groups.

use clap::Command;

/// The groups, and their commands in order.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Run", &["serve", "demo", "config"]),
    (
        "Invoke",
        &["invoke", "pipe", "result", "cancel", "retry", "release"],
    ),
    (
        "Inspect",
        &[
            "status",
            "health",
            "invocations",
            "explain",
            "dead-letters",
            "services",
            "describe",
            "workers",
            "top",
            "tail",
            "events",
            "bench",
            "whoami",
        ],
    ),
    (
        "Manage",
        &[
            "purge",
            "operations",
            "service",
            "key",
            "resume",
            "context",
            "store",
            "cert",
            "export",
            "check-worker",
            "completions",
            "man",
            "help",
        ],
    ),
];

/// Groups the subcommands in the help of a command.
pub(super) fn grouped(mut command: Command) -> Command {
    // Adds `help`.
    command.build();
    let styles = command.get_styles().clone();
    let (heading, literal) = (styles.get_header(), styles.get_literal());
    let name_width = GROUPS.iter().flat_map(|(_, names)| *names);
    let name_width = name_width.map(|name| name.len()).max().unwrap_or_default();
    let mut list = String::new();
    for (title, names) in GROUPS {
        list.push_str(&format!("{heading}{title}:{heading:#}\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = match (*name, about) {
                ("help", _) => "Show the help of a command".to_owned(),
                (_, about) => about.map(ToString::to_string).unwrap_or_default(),
            };
            list.push_str(&format!(
                "  {literal}{name:name_width$}{literal:#}  {about}\n"
            ));
        }
        list.push('\n');
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}{heading}Options:{heading:#}\n{{options}}\n\n\
         `cidery help COMMAND` shows the options of a command.\n"
    ))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let command = crate::app::cli::Cli::command();
        let mut names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        names.push("help");
        let mut grouped = GROUPS.map(|(_, names)| names).concat();
        names.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, names);
    }
}
