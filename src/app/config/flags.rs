//! The options of `cidery serve` on its command line: one for each option of the configuration.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use super::entry::{Entry, LIMIT_FLAG, Origin, Raw};
use super::options::{Declared, Kind, LIMITS, Options, value_text};

/// The option that names the file.
const FILE: &str = "config";
/// The option for all limits: `--limit pending=2000000`.
const LIMIT: &str = "limit";

/// What the command line says about the configuration.
#[derive(Clone, Default)]
pub(in crate::app) struct ConfigArgs {
    /// The file, where it is named.
    pub(super) file: Option<PathBuf>,
    pub(super) entries: Vec<Entry>,
}

impl std::fmt::Debug for ConfigArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.entries.iter().map(|entry| &entry.key);
        f.debug_list().entries(keys).finish()
    }
}

impl ConfigArgs {
    /// Only the name of a file, or none.
    pub(in crate::app) fn of_file(file: Option<PathBuf>) -> Self {
        Self {
            file,
            entries: Vec::new(),
        }
    }
}

/// The same options for a command whose help does not list them.
#[derive(Clone, Debug)]
pub(in crate::app) struct HiddenConfigArgs(pub(in crate::app) ConfigArgs);

fn file_argument() -> Arg {
    Arg::new(FILE)
        .long(FILE)
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .value_parser(clap::value_parser!(PathBuf))
        .help("Configuration file. Default: `cidery.toml` in the working directory, if it exists [env: CIDERY_CONFIG]")
        .long_help(
            "Configuration file. Default: `cidery.toml` in the working directory, if it exists. `cidery config show` \
             shows what is in force, and where each value comes from.\n\n[env: CIDERY_CONFIG]",
        )
}

fn limit_argument() -> Arg {
    Arg::new(LIMIT)
        .long(LIMIT)
        .value_name("NAME=VALUE")
        .action(ArgAction::Append)
        .help("A limit, such as `pending=2000000` or `timeout=10s` (repeatable)")
        .long_help(
            "A limit, such as `pending=2000000` or `timeout=10s` (repeatable). `cidery config show` lists all \
             limits.\n\n[env: CIDERY_LIMITS__NAME]",
        )
}

/// The argument of an option; `None` where only `--limit` sets it.
fn argument(declared: &'static Declared) -> Option<Arg> {
    let name = declared.flag.as_deref()?;
    let mut facts = String::new();
    if let Kind::OneOf(texts) = &declared.kind {
        facts.push_str(&format!(" [possible values: {}]", texts.join(", ")));
    }
    facts.push_str(&format!(" [env: {}]", declared.variable()));
    let default = value_text(&declared.default);
    if !default.is_empty() && declared.kind != Kind::Bool {
        facts.push_str(&format!(" [default: {default}]"));
    }
    let text = declared.text.as_str();
    let first = text.split("\n\n").next().unwrap_or_default();
    // As clap has the texts of doc comments.
    let trimmed = |text: &str| text.strip_suffix('.').unwrap_or(text).to_owned();
    let long = match text.contains("\n\n") {
        true => text.to_owned(),
        false => trimmed(text),
    };
    let long = format!("{long}\n{}", facts.replace(" [", "\n["));
    let argument = Arg::new(declared.key.as_str())
        .long(name)
        .value_name(declared.placeholder.as_str())
        .help(format!("{}{facts}", trimmed(first)))
        .long_help(long);
    Some(match declared.kind {
        // `--demo`, and `--demo=false` against the file.
        Kind::Bool => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::Texts => argument.action(ArgAction::Append),
        _ => argument,
    })
}

impl Args for ConfigArgs {
    fn augment_args(command: Command) -> Command {
        let options = Options::of_node().iter();
        let (plain, limits): (Vec<_>, Vec<_>) =
            options.partition(|declared| !declared.key.starts_with(LIMITS));
        command
            .arg(file_argument())
            .args(plain.into_iter().filter_map(argument))
            .arg(limit_argument())
            .args(limits.into_iter().filter_map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ConfigArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        self.file = matches.get_one::<PathBuf>(FILE).cloned();
        let given = Options::of_node()
            .iter()
            .filter_map(|declared| Some((declared, declared.flag.as_deref()?)))
            .filter(|(declared, _)| is_given(&declared.key));
        for (declared, flag) in given {
            let texts = matches.get_many::<String>(&declared.key);
            let mut texts: Vec<String> = texts.into_iter().flatten().cloned().collect();
            let value = match texts.len() {
                1 => texts.pop().map(Raw::Text),
                _ => Some(Raw::Texts(texts)),
            };
            self.entries.extend(value.map(|value| Entry {
                key: declared.written_key(),
                value,
                origin: Origin::Flag(format!("--{flag}")),
            }));
        }
        for limit in matches.get_many::<String>(LIMIT).into_iter().flatten() {
            let (name, value) = limit.split_once('=').unwrap_or((limit, ""));
            self.entries.push(Entry {
                key: format!("{LIMITS}{}", name.trim()),
                value: Raw::Text(value.trim().to_owned()),
                origin: Origin::Flag(LIMIT_FLAG.to_owned()),
            });
        }
        Ok(())
    }
}

impl Args for HiddenConfigArgs {
    fn augment_args(command: Command) -> Command {
        let named = ConfigArgs::augment_args(Command::new("config"));
        command.args(named.get_arguments().cloned().map(|argument| {
            let is_file = argument.get_id() == FILE;
            argument.hide(!is_file)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for HiddenConfigArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        ConfigArgs::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}
