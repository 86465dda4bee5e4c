//! The package: the dependencies of each set of features, and what the build script records.

use std::path::Path;
use std::process::Command;

use crate::support::Folder;

/// The crates that the library needs with these options of cargo.
fn dependencies(options: &[&str]) -> Vec<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--locked", "--edges", "normal"]);
    tree.args(["--prefix", "none", "--format", "{lib}"])
        .args(options);
    let output = tree
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let names = String::from_utf8(output.stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_absent(options: &[&str], absent: &[&str]) {
    let all = dependencies(options);
    assert!(all.iter().any(|one| one == "tonic"), "{all:?}");
    let found: Vec<_> = all
        .iter()
        .filter(|one| absent.contains(&one.as_str()))
        .collect();
    assert!(found.is_empty(), "{options:?}: {found:?}");
}

/// The crates of the command line and of the embedded store.
const OF_THE_PROGRAM: [&str; 5] = [
    "anstream",
    "clap",
    "libsqlite3_sys",
    "rusqlite",
    "tracing_subscriber",
];
/// The crates of the server.
const OF_THE_SERVER: [&str; 3] = ["axum", "matchit", "tonic_reflection"];

/// The crates of TLS.
const OF_TLS: [&str; 4] = ["ring", "rustls", "tokio_rustls", "x509_parser"];

#[test]
fn a_library_needs_neither_the_command_line_nor_sqlite_nor_tls() {
    assert_absent(&[], &[&OF_THE_PROGRAM[..], &OF_TLS].concat());
}

#[test]
fn tls_of_clients_and_workers_does_not_need_the_server() {
    let options = ["--no-default-features", "--features", "tls"];
    assert_absent(&options, &[&OF_THE_PROGRAM[..], &OF_THE_SERVER].concat());
}

#[test]
fn clients_and_workers_do_not_need_the_server() {
    let absent = [&OF_THE_PROGRAM[..], &OF_THE_SERVER].concat();
    assert_absent(&["--no-default-features"], &absent);
}

#[test]
fn the_program_has_everything() {
    let all = dependencies(&["--features", "cli"]);
    for one in OF_THE_PROGRAM.iter().chain(&OF_THE_SERVER).chain(&OF_TLS) {
        assert!(
            all.iter().any(|other| other == one),
            "{one} is not in {all:?}"
        );
    }
}

/// The output of the build script for a target, with these options of the SQLite library.
fn build_script(os: &str, sqlite_flags: Option<&str>) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_cidery")).with_file_name("build");
    let scripts = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with("cidery-")
        });
    let scripts = scripts.map(|entry| entry.path().join("build-script-build"));
    let modified = |path: &std::path::PathBuf| path.metadata().unwrap().modified().unwrap();
    let newest = scripts.filter(|path| path.exists()).max_by_key(modified);
    let out = Folder::new("build-script");
    let mut script = Command::new(newest.unwrap());
    script
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("OUT_DIR", out.path());
    script
        .env("CARGO_CFG_TARGET_OS", os)
        .env_remove("LIBSQLITE3_FLAGS");
    script.envs(sqlite_flags.map(|flags| ("LIBSQLITE3_FLAGS", flags)));
    let output = script.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// SQLite does not tell: the build script looks at the variable that its build reads.
#[test]
fn the_build_records_how_sqlite_syncs() {
    const RECORD: &str = "cargo::rustc-cfg=sqlite_without_fdatasync\n";
    // `.cargo/config.toml` has an effect.
    const { assert!(!cfg!(sqlite_without_fdatasync)) };
    for (os, flags, expected) in [
        ("linux", None, true),
        ("linux", Some("-DSQLITE_DEBUG"), true),
        ("linux", Some("-DHAVE_FDATASYNC=0"), true),
        ("linux", Some("-DHAVE_FDATASYNC=1"), false),
        ("linux", Some("-DSQLITE_DEBUG -DHAVE_FDATASYNC"), false),
        ("macos", None, false),
    ] {
        let output = build_script(os, flags);
        assert_eq!(
            output.contains(RECORD),
            expected,
            "{os} {flags:?}: {output}"
        );
        assert!(output.contains("cargo::rerun-if-env-changed=LIBSQLITE3_FLAGS\n"));
    }
}
