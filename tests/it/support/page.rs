//! Pages of the documentation, or parts of them, that are made from the program: compared with the committed ones.
//! `UPDATE_SNAPSHOTS=1` writes them anew, as it does with snapshots.

use std::path::{Path, PathBuf};

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page)
}

/// Compares a page of `docs/` with what it should be.
#[track_caller]
pub(crate) fn assert_page(page: &str, expected: &str) {
    let path = path(page);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "docs/{page} is out of date: `scripts/docs --update` writes it anew"
    );
}

/// Compares the part of a page between two marks with what it should be. The marks are lines of the page.
#[track_caller]
pub(crate) fn assert_part(page: &str, (begin, end): (&str, &str), part: &str) {
    let text = std::fs::read_to_string(path(page)).unwrap();
    let (before, rest) = text.split_once(begin).expect("the page has the first mark");
    let (_, after) = rest.split_once(end).expect("the page has the last mark");
    assert_page(page, &format!("{before}{begin}{part}{end}{after}"));
}

/// As every page: lines of at most 120 columns.
pub(crate) fn wrapped(text: &str) -> String {
    let mut wrapped = String::new();
    for line in text.lines() {
        let mut width = 0;
        for word in line.split(' ') {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > 120 {
                wrapped.push('\n');
                width = 0;
            } else if width > 0 {
                wrapped.push(' ');
                width += 1;
            }
            wrapped.push_str(word);
            width += length;
        }
        wrapped.push('\n');
    }
    wrapped
}
