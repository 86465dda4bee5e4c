//! Makes a key, and the file that it is in. A file is replaced as a whole, or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::Key;
use chacha20poly1305::aead::Generate as _;
use jiff::Timestamp;

use super::error::{cannot_seal, key_invalid};
use super::key_file::{parse, read_text};
use crate::model::error::{Error, Result, reason};

/// The head of a new file.
const HEAD: &str =
    "# Keys of a Cidery store, `ID:KEY`: the first one encrypts, all of them decrypt.
# Keep a copy: without its keys neither the store nor a backup of it can be read.
";

/// A key that was made.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) id: String,
    /// How many keys the file has now.
    pub(crate) keys: usize,
}

/// Makes a key, and writes it to a new file that only its owner can read. `adds`: in front of those in a file that is
/// there.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `FILE_EXISTS`, unless it is added; / `STORE_KEY_INVALID`: the file cannot be written, or has
/// lines that are no keys.
pub(crate) fn new_key(path: &Path, adds: bool, now: Timestamp) -> Result<NewKey> {
    let line = |id: &str| -> Result<String> {
        let key = Key::try_generate().map_err(cannot_seal)?;
        Ok(format!("{id}:{}\n", STANDARD.encode(key)))
    };
    if !adds {
        let id = id(now);
        create(path, &format!("{HEAD}{}", line(&id)?))?;
        return Ok(NewKey { id, keys: 1 });
    }
    // A link stays one, and leads to the new file.
    let file = path
        .canonicalize()
        .map_err(|error| cannot("read", path, error))?;
    let text = read_text(&file)?;
    let known = parse(&text)?;
    let id = id(now);
    if known.get(&id).is_some() {
        let message = format!("`{}` has a key `{id}`: wait a second", path.display());
        return Err(key_invalid(message));
    }
    replace(&file, &insert(&text, &line(&id)?))?;
    let keys = known.iter().count() + 1;
    Ok(NewKey { id, keys })
}

/// Ids rise with the time at which they are made.
fn id(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A line in front of the first key, of which there is one, below the comments at the head of the file.
fn insert(text: &str, line: &str) -> String {
    let is_head = |line: &&str| line.trim().is_empty() || line.starts_with('#');
    let head = text.split_inclusive('\n').take_while(is_head);
    let head = head.map(str::len).sum::<usize>();
    let (head, keys) = text.split_at(head);
    format!("{head}{line}{keys}")
}

fn create(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let message = format!(
                "`{}` exists, and the store needs the keys in it: `--add` puts a new key in front of them",
                path.display()
            );
            Error::failed_precondition(reason::FILE_EXISTS, message)
        }
        _ => cannot("write", path, error),
    })?;
    let write = || write(file, path, text);
    write().map_err(|error| {
        let _ = std::fs::remove_file(path);
        cannot("write", path, error)
    })
}

/// Puts a text in the place of that of a file, with its mode and its owner.
fn replace(file: &Path, text: &str) -> Result<()> {
    let partial = partial_of(file);
    let write = || -> io::Result<()> {
        let found = std::fs::metadata(file)?;
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let new = options
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&partial)?;
        // Only root can keep another owner; a group that may read it goes on to do so.
        let _ = std::os::unix::fs::fchown(&new, Some(found.uid()), Some(found.gid()));
        new.set_permissions(Permissions::from_mode(found.mode() & 0o777))?;
        write(new, &partial, text)?;
        std::fs::rename(&partial, file)?;
        sync_directory(file)
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        cannot("write", file, error)
    })
}

fn write(mut file: File, path: &Path, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    sync_directory(path)
}

/// Syncs the directory of a file, so that its entry survives a power loss.
fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn partial_of(file: &Path) -> PathBuf {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    partial.into()
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> Error {
    key_invalid(format!("cannot {verb} `{}`: {error}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_the_first_one_below_the_head() {
        assert_eq!(
            insert("# a\n\nk1:x\n# b\nk0:y", "k2:z\n"),
            "# a\n\nk2:z\nk1:x\n# b\nk0:y"
        );
        assert_eq!(insert("k1:x\n", "k2:z\n"), "k2:z\nk1:x\n");
    }
}
