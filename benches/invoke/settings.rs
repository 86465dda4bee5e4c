//! The options of a run, which stand before what is to be measured.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

/// Rounds of each contender, unless `--rounds N` or `--quick` says otherwise.
const ROUNDS: usize = 7;
/// A quick run makes this part of the calls, and takes this part of the time.
const QUICK: usize = 10;

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// `--rounds N`, `--quick`, `--json FILE`, `--peers PROGRAM`.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    rounds: Option<usize>,
    quick: bool,
    json: Option<Mutex<File>>,
    peers: Option<PathBuf>,
}

impl Settings {
    /// Takes the options from the head of the arguments, for [`settings`].
    pub(crate) fn take(arguments: &mut Vec<String>) {
        let mut settings = Self::default();
        let mut left = std::mem::take(arguments).into_iter().peekable();
        while let Some(option) = left.next_if(|option| {
            ["--rounds", "--quick", "--json", "--peers"].contains(&option.as_str())
        }) {
            let mut value = || left.next().expect("the option needs a value");
            match option.as_str() {
                "--rounds" => settings.rounds = Some(value().parse().unwrap()),
                "--json" => {
                    let file = OpenOptions::new().create(true).append(true).open(value());
                    settings.json = Some(Mutex::new(file.unwrap()));
                }
                "--peers" => settings.peers = Some(value().into()),
                _ => settings.quick = true,
            }
        }
        arguments.extend(left);
        SETTINGS.set(settings).unwrap();
    }

    /// Rounds of each contender: medians are over these.
    pub(crate) fn rounds(&self) -> usize {
        let default = if self.quick { 1 } else { ROUNDS };
        self.rounds.unwrap_or(default)
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.quick
    }

    /// A number of calls or of seconds, or the part of it that a quick run makes do with.
    pub(crate) fn part_of(&self, all: usize) -> usize {
        let part = if self.quick { all / QUICK } else { all };
        part.max(1)
    }

    /// Where records are written as lines of JSON.
    pub(crate) fn json(&self) -> Option<&Mutex<File>> {
        self.json.as_ref()
    }

    /// The program that drives other systems (`benches/peers`).
    pub(crate) fn peers(&self) -> Option<&PathBuf> {
        self.peers.as_ref()
    }
}

/// The options of this run.
pub(crate) fn settings() -> &'static Settings {
    SETTINGS.get_or_init(Settings::default)
}
