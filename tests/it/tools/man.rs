//! Manual pages: one for each command, which `man` formats without a complaint.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::Folder;
use crate::support::binary::{cidery, stderr, stdout, tool};

/// The names of all commands, as their snapshots of help have them.
fn commands() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/help");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| match name.trim_end_matches(".txt") {
            "cidery" => "cidery.1".to_owned(),
            name => format!("cidery-{name}.1"),
        })
        .collect()
}

#[test]
fn every_command_has_a_page_that_mandoc_accepts() {
    let folder = Folder::new("man");
    let pages = folder.path().join("man1");
    let pages = pages.to_str().unwrap();
    let written = cidery()
        .args(["man", "--dir", pages, "-o", "name"])
        .output()
        .unwrap();
    assert!(written.status.success(), "{}", stderr(&written));
    let files: BTreeSet<String> = stdout(&written)
        .lines()
        .map(|path| path.rsplit('/').next().unwrap().to_owned())
        .collect();
    let missing: Vec<_> = commands().difference(&files).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    for file in &files {
        let path = format!("{pages}/{file}");
        let text = std::fs::read_to_string(&path).unwrap();
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "\"EXIT STATUS\"",
            "ENVIRONMENT",
        ] {
            assert!(
                text.contains(&format!("\n.SH {section}\n")),
                "{file}: {section}"
            );
        }
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{file}");
    }
    let invoke = std::fs::read_to_string(format!("{pages}/cidery-invoke.1")).unwrap();
    for text in [
        "\n.SH EXAMPLES\n",
        "cust_id=1",
        "contexts.toml",
        "CIDERY_CONTEXT",
    ] {
        assert!(invoke.contains(text), "{text}: {invoke}");
    }
    check(pages, &files);
}

/// Runs the checker of manual pages. Each warning fails.
fn check(pages: &str, files: &BTreeSet<String>) {
    let Some(mandoc) = tool("CIDERY_MANDOC", "manual pages in their formatter") else {
        return;
    };
    for file in files {
        let output = Command::new(&mandoc)
            .args(["-T", "lint", "-W", "warning"])
            .arg(format!("{pages}/{file}"))
            .output()
            .unwrap();
        let said = stdout(&output) + &stderr(&output);
        assert!(output.status.success() && said.is_empty(), "{file}: {said}");
    }
}

#[test]
fn one_page_is_printed() {
    let page = cidery().args(["man", "service", "pause"]).output().unwrap();
    assert!(
        stdout(&page).contains("cidery\\-service\\-pause"),
        "{page:?}"
    );
    let unknown = cidery().args(["man", "servce"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}
