//! Counts by callgrind, the profiler of valgrind: exact, and independent of the load of the machine.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What allocates: the functions of the C library that Rust and SQLite call.
const ALLOCATORS: [&str; 5] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
];
/// What SQLite calls for each statement that it prepares, for the first time or again.
const PARSER: &str = "sqlite3RunParser";

/// What a process did, or one call of it.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    /// Of all threads.
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
    /// How many SQL statements were prepared.
    pub(crate) statements: f64,
}

impl Counts {
    /// What one call costs, if `calls` more of them made the difference to `fewer`.
    pub(crate) fn per_call(self, fewer: Self, calls: f64) -> Self {
        Self {
            instructions: (self.instructions - fewer.instructions) / calls,
            allocations: (self.allocations - fewer.allocations) / calls,
            statements: (self.statements - fewer.statements) / calls,
        }
    }
}

/// Runs this program with some arguments until `drive` returns, which may use its input and output, and it ends. A file
/// is written to the folder.
pub(crate) fn count(arguments: &[&str], folder: &Path, drive: impl FnOnce(&mut Child)) -> Counts {
    let profile = folder.join("callgrind.out");
    let valgrind = std::env::var_os("CIDERY_VALGRIND").unwrap_or_else(|| "valgrind".into());
    let mut child = Command::new(valgrind)
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe().unwrap())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("valgrind is required: `scripts/tools valgrind` installs it");
    drive(&mut child);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} failed: {stderr}");
    read(&fs::read_to_string(profile).unwrap())
}

/// Reads a profile. Names of functions are written once, with a number that stands for them afterwards.
fn read(profile: &str) -> Counts {
    let mut names = HashMap::new();
    let mut called = "";
    let mut calls: HashMap<&str, u64> = HashMap::new();
    let mut instructions = None;
    for line in profile.lines() {
        let (key, value) = line.split_once(['=', ':']).unwrap_or_default();
        match key {
            "fn" | "cfn" => {
                let (number, name) = value.split_once(' ').unwrap_or((value, ""));
                if !name.is_empty() {
                    names.insert(number, name);
                }
                called = number;
            }
            "calls" => {
                let (number, _) = value.split_once(' ').unwrap();
                *calls.entry(called).or_default() += number.parse::<u64>().unwrap();
            }
            "totals" => instructions = value.trim().parse::<u64>().ok(),
            _ => {}
        }
    }
    let calls_of = |functions: &[&str]| {
        let numbers = names.iter().filter(|(_, name)| {
            // A recursive call has the suffix `'2`, a copy that the compiler specialized has one after a dot.
            let name = name.split(['\'', '.']).next().unwrap_or_default();
            functions.contains(&name)
        });
        numbers
            .filter_map(|(number, _)| calls.get(number))
            .sum::<u64>() as f64
    };
    Counts {
        instructions: instructions.expect("the profile has no total") as f64,
        allocations: calls_of(&ALLOCATORS),
        statements: calls_of(&[PARSER]),
    }
}
