//! Reads the configuration again while the node runs, on SIGHUP.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problem::Problem;
use super::settings::Config;
use super::sources::{Loaded, Sources};

/// The configuration of a running node.
#[derive(Debug)]
pub(in crate::app) struct Reload {
    sources: Sources,
    /// The values with which the node runs.
    running: BTreeMap<&'static str, Value>,
}

impl Reload {
    pub(in crate::app) fn new(sources: Sources, loaded: &Loaded) -> Self {
        let running = loaded
            .effective()
            .map(|it| (it.declared.key.as_str(), it.value));
        Self {
            running: running.collect(),
            sources,
        }
    }

    /// Reads the configuration again, and logs what has changed. Of what is returned, the options that a reload changes
    /// are to be applied; the others need a restart, and the log says so each time.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, in short; the log has all of it. The node runs on with the one that it
    /// has.
    pub(in crate::app) fn read(&mut self) -> Result<Config, String> {
        match self.sources.read() {
            Ok(loaded) => {
                self.compare(&loaded);
                Ok(loaded.config)
            }
            Err(problems) => {
                problems.iter().for_each(log);
                tracing::error!(
                    problems = problems.len(),
                    "the configuration is wrong, and was not reloaded"
                );
                Err(summary(&problems))
            }
        }
    }

    fn compare(&mut self, loaded: &Loaded) {
        let (mut changed, mut waiting) = (Vec::new(), Vec::new());
        for option in loaded.effective() {
            let key = option.declared.key.as_str();
            if self.running.get(key) == Some(&option.value) {
                continue;
            }
            match option.declared.reloads {
                true => {
                    changed.push(key);
                    self.running.insert(key, option.value);
                }
                false => waiting.push(key),
            }
        }
        let changed = changed.join(", ");
        let changed = Some(changed).filter(|changed| !changed.is_empty());
        let file = loaded.file_text();
        match changed {
            Some(changed) => tracing::info!(file, changed, "configuration reloaded"),
            None => tracing::info!(file, "configuration reloaded: nothing to apply has changed"),
        }
        for key in waiting {
            tracing::warn!(key, "needs a restart");
        }
    }
}

/// The first problem, and how many more there are.
fn summary(problems: &[Problem]) -> String {
    let first = problems.first().map(Problem::line).unwrap_or_default();
    match problems.len() {
        ..2 => first,
        all => format!("{first}; {} more are in the log", all - 1),
    }
}

fn log(problem: &Problem) {
    let Problem {
        origin,
        key,
        message,
        ..
    } = problem;
    tracing::error!(%origin, key, "{message}");
}
