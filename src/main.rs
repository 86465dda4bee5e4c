//! The `cidery` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cidery::app::cli::main()
}
