//! Tips in usage errors: what people mean by what they type, in place of those guesses of clap that mislead.

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Names of commands elsewhere, and the command here.
const COMMANDS: [(&str, &str); 19] = [
    ("call", "invoke"),
    ("run", "invoke"),
    ("exec", "invoke"),
    ("start", "serve"),
    ("server", "serve"),
    ("node", "serve"),
    ("list", "services"),
    ("ls", "services"),
    ("ps", "invocations"),
    ("jobs", "invocations"),
    ("info", "status"),
    ("watch", "events"),
    ("get", "result"),
    ("show", "explain"),
    ("logs", "explain"),
    ("dlq", "dead-letters"),
    ("dead-letter", "dead-letters"),
    ("rm", "purge"),
    ("delete", "purge"),
];

/// Names of options elsewhere, and the options here, of which a command has one.
const OPTIONS: [(&str, &[&str]); 8] = [
    ("--port", &["listen", "node"]),
    ("-p", &["listen"]),
    ("--host", &["listen", "node"]),
    ("--address", &["listen", "node"]),
    ("--bind", &["listen"]),
    ("--server", &["node"]),
    ("--data", &["data-dir", "json"]),
    ("--format", &["output"]),
];

/// Replaces the usage and the tips of an error by those that help.
pub(super) fn improve(error: &mut Error, command: &Command, arguments: &[String]) {
    let called = called(command, arguments);
    if error.get(ContextKind::Usage).is_some() {
        // clap's own shows the arguments that were given, also by environment variables, in place of `[OPTIONS]`.
        let usage = ContextValue::StyledStr(called.clone().render_usage());
        error.insert(ContextKind::Usage, usage);
    }
    let is_given = |option: &str| arguments.iter().any(|argument| argument == option);
    match error.kind() {
        // Within a command, such as `cidery service`, its own commands are meant.
        ErrorKind::InvalidSubcommand if called.get_name() == command.get_name() => {
            improve_command(error);
        }
        ErrorKind::UnknownArgument => improve_argument(error, called, arguments),
        ErrorKind::ArgumentConflict if ["--async", "--follow"].iter().all(|it| is_given(it)) => {
            let tip = "'--follow' alone invokes in the background, and shows the events";
            let tips = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
            error.insert(ContextKind::Suggested, tips);
        }
        _ => {}
    }
}

/// The command that the arguments name, as far as they name one.
fn called<'a>(command: &'a Command, arguments: &[String]) -> &'a Command {
    arguments.iter().fold(command, |called, argument| {
        called.find_subcommand(argument).unwrap_or(called)
    })
}

fn improve_command(error: &mut Error) {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    if let Some((_, meant)) = COMMANDS.iter().find(|(other, _)| other == name) {
        let meant = ContextValue::Strings(vec![(*meant).to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, meant);
    }
}

fn improve_argument(error: &mut Error, called: &Command, arguments: &[String]) {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let given = given.clone();
    if given == "--api-key" {
        let tip = "a key is not given as an argument, which other users can see: set CIDERY_API_KEY, or use \
                   '--api-key-file FILE'";
        let tips = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tips);
        error.remove(ContextKind::SuggestedArg);
        return;
    }
    // "to pass `--x` as a value, use `-- --x`": hardly ever what is meant.
    error.remove(ContextKind::Suggested);
    if let Some(option) = meant_option(&given, called) {
        let option = ContextValue::String(format!("--{option}"));
        error.insert(ContextKind::SuggestedArg, option);
        return;
    }
    let position = arguments
        .iter()
        .position(|argument| argument.starts_with(&given));
    let Some(position) = position else { return };
    let argument = arguments.get(position).map_or("", String::as_str);
    let has_similar = error.get(ContextKind::SuggestedArg).is_some();
    let before = position
        .checked_sub(1)
        .and_then(|before| arguments.get(before));
    let tip = match before {
        Some(option) if takes_value(called, option) => {
            format!("to pass '{argument}' as the value of '{option}', use '{option}={argument}'")
        }
        // An option that is misspelled has a tip already.
        _ if has_similar && !argument.contains('=') => return,
        _ if called.get_name() == "invoke" && given.starts_with("--") => {
            let next = arguments
                .get(position + 1)
                .filter(|next| !next.starts_with('-'));
            format!(
                "elements of the input have no dashes: '{}'",
                element(argument, next)
            )
        }
        _ => return,
    };
    let tips = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
    error.insert(ContextKind::Suggested, tips);
}

/// The option of the command that is called by another name elsewhere, or whose value is given without it.
fn meant_option(given: &str, called: &Command) -> Option<&'static str> {
    let names = match OPTIONS.iter().find(|(other, _)| *other == given) {
        Some((_, names)) => *names,
        None if is_address(given) => &["listen", "node"],
        None => return None,
    };
    let has = |name: &&&str| {
        called
            .get_arguments()
            .any(|option| option.get_long() == Some(name) && !option.is_hide_set())
    };
    names.iter().find(has).copied()
}

fn is_address(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether an argument is an option that requires a value, without one.
fn takes_value(called: &Command, argument: &str) -> bool {
    let Some(name) = argument.strip_prefix("--") else {
        return false;
    };
    let mut options = called.get_arguments();
    let option = options.find(|option| option.get_long() == Some(name));
    option.is_some_and(|option| option.get_action().takes_values())
}

/// `cust_id=1` for `--cust-id=1` and for `--cust-id 1`.
fn element(argument: &str, next: Option<&String>) -> String {
    let text = argument.trim_start_matches('-');
    match (text.contains('='), next) {
        (true, _) => text.to_owned(),
        (false, Some(value)) => format!("{text}={value}"),
        (false, None) => format!("{text}=VALUE"),
    }
}
