//! `scripts/guard`: what one call of each kind costs, compared with `counts.txt`.
//!
//! It runs itself under valgrind, which counts instructions, allocations and SQL statements that SQLite prepares. What
//! many calls cost more than a few, divided by their number, is what one costs. It also checks the size of the program.

#![expect(clippy::print_stdout, reason = "it prints its results")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot run fails"
)]

mod callgrind;
mod calls;
mod client;
mod committed;
mod compare;
mod http;
mod size;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => compare::check(),
        ["--bless"] => compare::bless(),
        ["--serve", kind] => {
            client::serve(kind);
            ExitCode::SUCCESS
        }
        ["--calls", kind, calls, folder] => {
            calls::make(kind, calls.parse().unwrap(), Path::new(folder));
            ExitCode::SUCCESS
        }
        _ => panic!("the only option is --bless"),
    }
}
