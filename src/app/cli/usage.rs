//! Errors of the command line itself, which clap finds: as text with the usage, or as JSON for programs.

use std::process::ExitCode;

use clap::ValueEnum as _;

use super::args::{Output, usage_error};
use super::printer;
use super::tips::improve;

/// Prints what clap answers instead of a command: help, the version, or an error. Returns the exit code.
pub(super) fn report(mut answer: clap::Error, command: &clap::Command) -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<String> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let is_for_people =
        matches!(output(&arguments), Output::Table | Output::Name) && !has_json_log(&arguments);
    improve(&mut answer, command, &arguments);
    if !answer.use_stderr() || is_for_people {
        let _ = answer.print();
        return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
    }
    let text = answer.render().to_string();
    let message = text.split("\n\n").next().unwrap_or_default();
    let message = message.trim_start_matches("error: ").trim();
    printer::fail_as_json(&usage_error(message))
}

/// Whether arguments start a node whose log is JSON: then standard error has nothing else.
fn has_json_log(arguments: &[String]) -> bool {
    let starts_node = |argument: &String| matches!(argument.as_str(), "serve" | "demo");
    let given = arguments.iter().enumerate().find_map(|(at, argument)| {
        match argument.strip_prefix("--log-format")? {
            "" => arguments.get(at + 1).map(String::as_str),
            value => value.strip_prefix('='),
        }
    });
    let configured = std::env::var("CIDERY_LOG_FORMAT").ok();
    arguments.iter().any(starts_node) && given.or(configured.as_deref()) == Some("json")
}

/// The output format that arguments ask for, whether or not they can be parsed.
fn output(arguments: &[String]) -> Output {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = match argument.as_str() {
            "-o" | "--output" => arguments.next().map(String::as_str),
            "--" => break,
            other => other
                .strip_prefix("--output=")
                .or_else(|| other.strip_prefix("-o"))
                .map(|value| value.trim_start_matches('=')),
        };
        if let Some(output) = value.and_then(|value| Output::from_str(value, false).ok()) {
            return output;
        }
    }
    Output::Table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_format_is_found_among_any_arguments() {
        for (arguments, expected) in [
            (&["invoke", "-o", "json"][..], Output::Json),
            (&["--output=yaml", "x", "--wrong"], Output::Yaml),
            (&["-ojsonl"], Output::Jsonl),
            (&["-o=name"], Output::Name),
            (&["invoke", "--", "-o", "json"], Output::Table),
            (&["-o"], Output::Table),
            (&[], Output::Table),
        ] {
            let given: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            assert_eq!(output(&given), expected, "{arguments:?}");
        }
    }
}
