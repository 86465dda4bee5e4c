//! The exit codes of `cidery serve`, which supervisors act on (`docs/deploy.md`).

use super::Site;
use crate::support::Folder;
use crate::support::binary::{Server, stderr};

#[test]
fn each_way_to_end_has_its_code() {
    let folder = Folder::new("exit-codes");
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut server = Server::start(&["--data-dir", data]);
    let damaged = folder.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("cidery.db"), "no database".repeat(1_000)).unwrap();
    let damaged = damaged.to_str().unwrap();
    let site = Site::new("");
    for (code, reason, options) in [
        (2, "USAGE_INVALID", &["--drain", "5"][..]),
        (78, "CONFIG_INVALID", &["--config", "nowhere.toml"]),
        (
            3,
            "INSECURE_ADDRESS",
            &["--in-memory", "--listen", "0.0.0.0:0"],
        ),
        (
            6,
            "BIND_FAILED",
            &["--in-memory", "--listen", &server.address],
        ),
        (3, "STORE_UNUSABLE", &["--listen", ":0", "--data-dir", data]),
        (
            3,
            "STORE_UNUSABLE",
            &["--listen", ":0", "--data-dir", damaged],
        ),
    ] {
        let output = site.run(&[&["serve"], options].concat(), &[]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(&format!("({reason})")), "{text}");
    }
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_damaged_store_and_a_second_signal_have_theirs() {
    let folder = Folder::new("damaged");
    let data = folder.path().to_str().unwrap();
    let mut server = Server::start(&["--data-dir", data]);
    server.signal("TERM");
    server.child.wait().unwrap();
    let file = folder.path().join("cidery.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // The first page tells what the file is; the tables are behind it.
    bytes[4_096..].fill(0xab);
    std::fs::write(&file, bytes).unwrap();
    let site = Site::new("");
    let output = site.run(&["serve", "--listen", ":0", "--data-dir", data], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("(STORE_DAMAGED)"),
        "{}",
        stderr(&output)
    );
}
