//! Snapshots: committed texts that output is compared with. `UPDATE_SNAPSHOTS=1` writes them anew.

use std::path::Path;

/// Compares a text with `tests/fixtures/NAME.txt`.
#[track_caller]
pub(crate) fn assert_snapshot(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        text == expected,
        "{name} differs from its snapshot.\n--- expected\n{expected}\n--- found\n{text}"
    );
}
