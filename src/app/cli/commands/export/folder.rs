//! Writes an export to a folder. Files that the command did not write are not replaced.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::api;
use crate::codec::typed::{HEADER, ProtoFile};
use crate::model::error::{Error, Result, reason};

/// The most entries of folders that the search for earlier exports reads.
const MAX_ENTRIES: usize = 10_000;

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Replaced,
    Unchanged,
}

impl Change {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A file of the export.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    pub(super) change: Change,
    /// The methods of the existing file that the new one does not have.
    pub(super) removed: Vec<String>,
    text: String,
}

/// Decides what happens to each file. Writes nothing.
///
/// # Errors
///
/// `FILE_EXISTS` with all files that this command did not write, unless `force`.
pub(super) fn plan(folder: &Path, files: Vec<ProtoFile>, force: bool) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    let mut foreign = Vec::new();
    for file in files {
        let path = folder.join(&file.path);
        let mut removed = Vec::new();
        let change = match fs::read(&path) {
            Ok(bytes) if bytes == file.text.as_bytes() => Change::Unchanged,
            Ok(bytes) => {
                if !bytes.starts_with(HEADER.as_bytes()) {
                    foreign.push(format!("`{}`", path.display()));
                }
                let before = String::from_utf8_lossy(&bytes);
                let is_removed = |method: &&str| methods(&file.text).all(|kept| kept != *method);
                removed = methods(&before)
                    .filter(is_removed)
                    .map(str::to_owned)
                    .collect();
                Change::Replaced
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Change::Created,
            Err(error) => return Err(failed("read", &path, error)),
        };
        let text = file.text;
        targets.push(Target {
            path,
            change,
            removed,
            text,
        });
    }
    if foreign.is_empty() || force {
        return Ok(targets);
    }
    let message = format!(
        "{} exists and was not written by this command; nothing was written: use another `--out`, or replace it with \
         `--force`",
        foreign.join(", ")
    );
    Err(Error::failed_precondition(reason::FILE_EXISTS, message))
}

/// The names of the methods in a file of an export.
fn methods(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (name, _) = line.trim_start().strip_prefix("rpc ")?.split_once('(')?;
        Some(name)
    })
}

/// Writes the files that are new or different.
pub(super) fn write(targets: &[Target]) -> Result<()> {
    for target in targets {
        let Target { path, text, .. } = target;
        if target.change == Change::Unchanged {
            continue;
        }
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, text))
            .map_err(|error| failed("write", path, error))?;
    }
    Ok(())
}

fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    let message = format!("cannot {verb} `{}`: {error}", path.display());
    Error::invalid_argument(reason::REQUEST_INVALID, message).with_source(error)
}

/// The files of earlier exports in a folder that are not part of this one, sorted. Hidden folders and links are not
/// searched, and only the first entries of a very large folder. Cidery's own files are not among them: clients need
/// them with every export, and an option of its own writes them.
pub(super) fn earlier_exports(folder: &Path, targets: &[Target]) -> Vec<PathBuf> {
    let current: HashSet<&Path> = targets.iter().map(|target| target.path.as_path()).collect();
    let mut folders = vec![folder.to_owned()];
    let mut left = MAX_ENTRIES;
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.take(left) {
            left = left.saturating_sub(1);
            let (path, kind) = (entry.path(), entry.file_type());
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_hidden {
                continue;
            }
            match kind {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && is_export(&path) => found.push(path),
                _ => {}
            }
        }
    }
    let is_own = |path: &Path| path.strip_prefix(folder).is_ok_and(api::is_own);
    found.retain(|path| !current.contains(path.as_path()) && !is_own(path));
    found.sort();
    found
}

fn is_export(path: &Path) -> bool {
    let is_proto = path
        .extension()
        .is_some_and(|extension| extension == "proto");
    let mut start = [0; HEADER.len()];
    let read = |mut file: fs::File| file.read_exact(&mut start);
    is_proto && fs::File::open(path).and_then(read).is_ok() && start == HEADER.as_bytes()
}
