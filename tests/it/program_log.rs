//! The log of a program that runs a node or a worker: without a subscriber it is told that it has none.

use std::process::Command;

use cidery::Worker;

/// Set in the process that this test starts: the program.
const IN_PROGRAM: &str = "CIDERY_TEST_PROGRAM_LOG";

#[tokio::test]
async fn a_program_without_a_subscriber_is_told_once() {
    if let Ok(log) = std::env::var(IN_PROGRAM) {
        if log == "yes" {
            tracing_subscriber::fmt().init();
        }
        for _ in 0..2 {
            Worker::builder().run("not an address").await.unwrap_err();
        }
        return;
    }
    for (log, notices) in [("yes", 0), ("no", 1)] {
        let name = "program_log::a_program_without_a_subscriber_is_told_once";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(IN_PROGRAM, log)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let found = stderr.matches("`tracing_subscriber::fmt().init()`").count();
        assert_eq!(found, notices, "{stderr}");
    }
}
