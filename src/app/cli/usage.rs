//! Errors of the command line itself, which clap finds: as text with the usage, or as JSON for programs.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ValueEnum as _;

use super::args::{Output, usage_error};
use super::printer;

/// Prints what clap answers instead of a command: help, the version, or an error. Returns the exit code.
pub(super) fn report(answer: &clap::Error) -> ExitCode {
    let is_for_people = matches!(
        output(std::env::args_os().skip(1)),
        Output::Table | Output::Name
    );
    if !answer.use_stderr() || is_for_people {
        let _ = answer.print();
        return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
    }
    let text = answer.render().to_string();
    let message = text.split("\n\n").next().unwrap_or_default();
    let message = message.trim_start_matches("error: ").trim();
    printer::fail_as_json(&usage_error(message))
}

/// The output format that arguments ask for, whether or not they can be parsed.
fn output(arguments: impl Iterator<Item = OsString>) -> Output {
    let mut arguments = arguments.filter_map(|argument| argument.into_string().ok());
    while let Some(argument) = arguments.next() {
        let value = match argument.as_str() {
            "-o" | "--output" => arguments.next(),
            "--" => break,
            other => other
                .strip_prefix("--output=")
                .or_else(|| other.strip_prefix("-o"))
                .map(|value| value.trim_start_matches('=').to_owned()),
        };
        if let Some(output) = value.and_then(|value| Output::from_str(&value, false).ok()) {
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
            let found = output(arguments.iter().map(OsString::from));
            assert_eq!(found, expected, "{arguments:?}");
        }
    }
}
