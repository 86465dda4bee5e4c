//! Counts each kind of call, and compares the numbers with the committed ones.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::callgrind::{Counts, count};
use crate::calls::{KINDS, is_on_disk};
use crate::client::{self, is_of_client};
use crate::committed::{Committed, Line};
use crate::size::is_too_large;

const INSTRUCTIONS: &str = "instructions";
/// The numbers of calls that are compared.
const FEW: u32 = 500;
const MANY: u32 = 2_500;
/// How often the calls of a client are counted. The fewest instructions are taken: where the client is held up in a
/// request, the node wakes twice for it.
const ROUNDS: u32 = 3;

/// Calls that may cost a little more than others: their kind, that of the others, and how many more instructions, in
/// per cent.
///
/// Who calls is found out for 3 %. The header itself costs about as much before the node sees it: the HTTP/2 client of
/// Rust sends a credential as a compressed text with each call, where other headers are sent as one byte.
const GOALS: [(&str, &str, f64); 2] = [
    ("invoke-with-key", "invoke-with-header", 3.0),
    ("invoke-with-key", "invoke-by-grpc", 8.0),
];

/// What is added to every margin: a store prepares a statement once in a while, such as for a checkpoint.
const SLACK: f64 = 0.02;

/// Prints what each call costs; fails if one costs more than its committed number and the margin, or than a goal
/// allows, or if the program is too large.
pub(crate) fn check() -> ExitCode {
    let committed = Committed::read();
    println!(
        "{:<23} {:<13} {:>9} {:>9}  change",
        "call", "counted", "committed", "now"
    );
    let (mut grown, mut fallen) = (0, 0);
    let mut costs = HashMap::new();
    for kind in KINDS {
        for (counted, now) in numbers(kind) {
            if counted == INSTRUCTIONS {
                costs.insert(kind, now);
            }
            let line = committed.find(kind, counted);
            let verdict = line.map_or(Verdict::Grew, |line| Verdict::of(line, now));
            let change = line.map_or_else(|| "not committed".to_owned(), |line| change(line, now));
            let committed = line.map_or_else(|| "-".to_owned(), |line| line.number.to_string());
            let note = match verdict {
                Verdict::Within => "",
                Verdict::Grew => "  GREW",
                Verdict::Fell => "  fell",
            };
            println!("{kind:<23} {counted:<13} {committed:>9} {now:>9}  {change}{note}");
            grown += usize::from(verdict == Verdict::Grew);
            fallen += usize::from(verdict == Verdict::Fell);
        }
    }
    if fallen > 0 {
        println!("{fallen} fell: keep what was won, commit the numbers of `scripts/guard --bless`");
    }
    let missed = missed_goals(&costs) + usize::from(is_too_large());
    if grown == 0 {
        return match missed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
    }
    println!("{grown} grew by more than the margin of benches/guard/counts.txt");
    let tools = tools();
    if tools != committed.tools {
        println!("the numbers were counted with {}", committed.tools);
        println!("and are compared with those of {tools}: see the head of that file");
    }
    ExitCode::FAILURE
}

/// Prints what the goals are about; returns how many are missed.
fn missed_goals(costs: &HashMap<&str, f64>) -> usize {
    let is_missed = |(kind, beside, most): &(&str, &str, f64)| {
        let more = (costs[kind] / costs[beside] - 1.0) * 100.0;
        let is_missed = more > *most;
        let note = if is_missed { "  MISSED" } else { "" };
        println!("{kind} beside {beside}: {more:+.1} % {INSTRUCTIONS}, at most {most} %{note}");
        is_missed
    };
    GOALS.iter().filter(|goal| is_missed(goal)).count()
}

/// Commits what each call costs now.
pub(crate) fn bless() -> ExitCode {
    let committed = Committed::read();
    let mut all = Vec::new();
    for kind in KINDS {
        all.extend(numbers(kind).map(|(counted, now)| (kind, counted, now)));
    }
    committed.write(&tools(), &all);
    ExitCode::SUCCESS
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Within,
    Grew,
    Fell,
}

impl Verdict {
    fn of(line: &Line, now: f64) -> Self {
        let margin = line.number * line.margin / 100.0 + SLACK;
        match now - line.number {
            change if change > margin => Self::Grew,
            change if change < -margin => Self::Fell,
            _ => Self::Within,
        }
    }
}

fn change(line: &Line, now: f64) -> String {
    match line.number {
        0.0 => format!("{now:+}"),
        number => format!("{:+.1} %", (now / number - 1.0) * 100.0),
    }
}

/// What one call of a kind costs.
fn numbers(kind: &str) -> impl Iterator<Item = (&'static str, f64)> {
    let (few, many) = (measure(kind, FEW), measure(kind, MANY));
    // Without these the names of the functions have changed, and nothing is counted.
    assert!(many.allocations > 0.0, "no allocation was seen");
    assert!(
        many.statements > 0.0 || !is_on_disk(kind),
        "no statement was seen, not even those of a new store"
    );
    let one = many.per_call(few, f64::from(MANY - FEW));
    let hundredths = |number: f64| (number * 100.0).round() / 100.0;
    let statements = is_on_disk(kind).then_some(("statements", hundredths(one.statements)));
    [
        (INSTRUCTIONS, one.instructions.round()),
        ("allocations", hundredths(one.allocations)),
    ]
    .into_iter()
    .chain(statements)
}

fn measure(kind: &str, calls: u32) -> Counts {
    let name = format!("guard-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let counts = match is_of_client(kind) {
        true => (0..ROUNDS)
            .map(|_| {
                count(&["--serve", kind], &folder, |node| {
                    client::call(node, kind, calls)
                })
            })
            .min_by(|one, other| one.instructions.total_cmp(&other.instructions))
            .unwrap(),
        false => {
            let (calls, shown) = (calls.to_string(), folder.display().to_string());
            count(&["--calls", kind, &calls, &shown], &folder, |_| {})
        }
    };
    fs::remove_dir_all(&folder).unwrap();
    counts
}

/// What the numbers depend on, besides the source.
fn tools() -> String {
    let version = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    [
        ("rustc", "--version"),
        ("valgrind", "--version"),
        ("getconf", "GNU_LIBC_VERSION"),
        ("uname", "-m"),
    ]
    .map(|(program, argument)| version(program, argument))
    .join(", ")
}
