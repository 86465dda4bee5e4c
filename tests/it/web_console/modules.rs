//! The modules of the console: their types, and the library that is vendored. What they do is tested in a browser:
//! `tests/console`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::Folder;
use crate::support::binary::{stderr, stdout, tool};

const ASSETS: &str = "src/edge/console/assets";
const VENDORED: &str = "vendor/uplot";

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// The types in comments of the modules, checked as strictly as those of a language that has them.
#[test]
fn the_modules_have_right_types() {
    let Some(modules) = tool("CIDERY_CONSOLE_MODULES", "types of the console") else {
        return;
    };
    let modules = Path::new(&modules);
    let folder = Folder::new("console-types");
    let assets = folder.path().join("assets");
    copy(Path::new(ASSETS), &assets);
    // The declarations of the library are in its package, and not embedded.
    fs::copy(
        modules.join("uplot/dist/uPlot.d.ts"),
        assets.join(VENDORED).join("uPlot.d.ts"),
    )
    .unwrap();
    let configuration = r#"{
        "compilerOptions": {
            "strict": true, "allowJs": true, "checkJs": true, "noEmit": true, "skipLibCheck": true,
            "target": "ES2023", "module": "ES2022", "moduleResolution": "bundler", "types": [],
            "lib": ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
            "noUncheckedIndexedAccess": true, "noUnusedLocals": true, "noUnusedParameters": true,
            "noImplicitReturns": true
        },
        "files": ["assets/app.js"]
    }"#;
    fs::write(folder.path().join("tsconfig.json"), configuration).unwrap();
    let output = Command::new(modules.join(".bin/tsc"))
        .args(["-p", "tsconfig.json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
}

/// What is embedded is the library as it was published.
#[test]
fn the_vendored_library_is_the_published_one() {
    let Some(modules) = tool("CIDERY_CONSOLE_MODULES", "types of the console") else {
        return;
    };
    let published = Path::new(&modules).join("uplot");
    let vendored = Path::new(ASSETS).join(VENDORED);
    for (ours, theirs) in [
        ("uPlot.js", "dist/uPlot.esm.js"),
        ("uPlot.css", "dist/uPlot.min.css"),
        ("LICENSE.txt", "LICENSE"),
    ] {
        let ours = fs::read(vendored.join(ours)).unwrap();
        assert!(
            ours == fs::read(published.join(theirs)).unwrap(),
            "{theirs}"
        );
    }
}
