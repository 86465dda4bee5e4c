//! The command line that is being completed, and the node that it names.

use std::time::Duration;

use clap::{Args as _, Command, FromArgMatches as _};

use crate::app::cli::node_option::NodeArgs;
use crate::model::error::Result;
use crate::remote::client::ContractClient;

/// How long the node may take. A person waits for it.
const DEADLINE: Duration = Duration::from_millis(500);
/// The options that say which node, with a value.
const OPTIONS: [&str; 7] = [
    "-n",
    "--node",
    "--context",
    "--ca",
    "--cert",
    "--key",
    "--api-key-file",
];

/// The words that are typed so far: the script of a shell passes them after `--`.
pub(super) fn words() -> Vec<String> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Asks the node that the command line names. Nothing where it does not answer in time.
pub(super) fn ask<T>(question: impl AsyncFnOnce(ContractClient) -> Result<Vec<T>>) -> Vec<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let answer = runtime.block_on(async {
        let answered = async {
            let client = node()?.connect_silently().await?.max_attempts(1);
            question(client).await
        };
        let answer = tokio::time::timeout(DEADLINE, answered).await;
        answer.unwrap_or_else(|_| Ok(Vec::new()))
    });
    // Also an address that is still being typed, or a file of contexts that is wrong.
    runtime.shutdown_background();
    answer.unwrap_or_default()
}

/// The options of the command line that say which node.
fn node() -> Result<NodeArgs> {
    let command = NodeArgs::augment_args(Command::new("cidery"));
    let matches = command.try_get_matches_from(node_options(&words()));
    let node = matches.and_then(|matches| NodeArgs::from_arg_matches(&matches));
    node.map_err(|error| crate::app::cli::args::usage_error(error.to_string()))
}

/// The name of the program, and those of its words that say which node.
fn node_options(words: &[String]) -> Vec<String> {
    let mut found = vec!["cidery".to_owned()];
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        if word == "--insecure-key" || (OPTIONS.contains(&name) && word.contains('=')) {
            found.push(word.clone());
        } else if OPTIONS.contains(&name) {
            // bash splits at `=`, too.
            let value = words.by_ref().find(|word| *word != "=");
            found.extend(
                value
                    .map(|value| [name.to_owned(), value.clone()])
                    .into_iter()
                    .flatten(),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_the_node_are_found_among_others() {
        for (line, expected) in [
            ("cidery invoke --node a:1 x", "cidery --node a:1"),
            ("cidery -n a:1 invoke --timeout 5s x", "cidery -n a:1"),
            ("cidery invoke --context = prod x", "cidery --context prod"),
            (
                "cidery invoke --ca=f --insecure-key",
                "cidery --ca=f --insecure-key",
            ),
            ("cidery invoke --node", "cidery"),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(node_options(&words).join(" "), expected);
        }
    }
}
