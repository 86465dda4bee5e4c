//! The file of keys: one a line, `ID:KEY`. It is read with care, and nothing of a line is repeated in an error.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::key_invalid;
use super::key::{KEY_BYTES, MAX_ID, StoreKey, is_id};
use super::key_ring::KeyRing;
use crate::model::error::{Error, Result, Violation, reason};

/// How many bytes a file of keys has at most: 64 KiB.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// How many keys are in it at most.
const MAX_KEYS: usize = 100;

/// What nobody but the owner may do: write, and read unless as a member of the group.
const TOO_OPEN: u32 = 0o026;
/// What the group may do: named in a warning.
const GROUP: u32 = 0o040;
const READ_BY_WORLD: u32 = 0o004;

/// Reads the keys of a file.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `STORE_KEY_INVALID`.
pub(super) fn read(path: &Path) -> Result<KeyRing> {
    let text = read_text(path)?;
    parse(&text).map_err(|error| {
        let message = format!("`{}`: {}", path.display(), error.message());
        error.with_message(message)
    })
}

/// Reads the text of a file of keys, once it is certain that only those who may read it can.
pub(super) fn read_text(path: &Path) -> Result<String> {
    let cannot = |error: std::io::Error| {
        key_invalid(format!("cannot read `{}`: {error}", path.display())).with_source(error)
    };
    // A named pipe would wait for its other end.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(flags).open(path);
    let file = file.map_err(cannot)?;
    check_access(path, &file)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let message = format!(
            "`{}` has more than {MAX_FILE_BYTES} bytes: it is no file of keys",
            path.display()
        );
        return Err(key_invalid(message));
    }
    Ok(text)
}

/// Refuses a file that the world can read, or that others than its owner can write.
fn check_access(path: &Path, file: &File) -> Result<()> {
    let shown = path.display();
    let found = file.metadata().map_err(|error| {
        key_invalid(format!("cannot read the permissions of `{shown}`: {error}")).with_source(error)
    })?;
    if !found.is_file() {
        return Err(key_invalid(format!("`{shown}` is not a regular file")));
    }
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        let message = format!(
            "`{shown}` belongs to user {owner}, and this process runs as user {user}: the file of keys must belong to \
             that user, or to root"
        );
        return Err(key_invalid(message));
    }
    let mode = found.mode() & 0o777;
    if mode & TOO_OPEN != 0 {
        let what = match mode & READ_BY_WORLD {
            0 => "others than its owner can write it",
            _ => "every user can read it",
        };
        let message = format!("`{shown}` has mode {mode:04o}, so that {what}: chmod 600 {shown}");
        return Err(key_invalid(message));
    }
    if mode & GROUP != 0 {
        tracing::warn!(
            file = %shown,
            mode = format_args!("{mode:04o}"),
            "the group can read the file of store keys"
        );
    }
    Ok(())
}

/// The keys in a text.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `STORE_KEY_INVALID`, with all lines that are no keys.
pub(super) fn parse(text: &str) -> Result<KeyRing> {
    let (mut keys, mut violations) = (Vec::<StoreKey>::new(), Vec::new());
    for (line, number) in text.lines().map(str::trim).zip(1_usize..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let path = format!("/lines/{number}");
        match parse_line(line) {
            Ok(key) if keys.iter().any(|other| other.id() == key.id()) => {
                let message = "has the id of a line above: each key has its own";
                violations.push(Violation::new(path, "DUPLICATE", message));
            }
            Ok(key) => keys.push(key),
            Err(message) => violations.push(Violation::new(path, "INVALID", message)),
        }
    }
    violations.extend(Violation::too_many("/lines", keys.len(), MAX_KEYS));
    if !violations.is_empty() {
        return Err(Error::violations(reason::STORE_KEY_INVALID, violations));
    }
    let mut keys = keys.into_iter();
    match keys.next() {
        Some(first) => Ok(KeyRing::new(first, keys)),
        None => Err(key_invalid(
            "it has no key: `cidery store key new` makes a file with one",
        )),
    }
}

/// A key, or what is wrong with the line. It may be a secret: nothing of it is repeated.
fn parse_line(line: &str) -> std::result::Result<StoreKey, String> {
    let Some((id, key)) = line.split_once(':') else {
        return Err("is no key: write it as `ID:KEY`".to_owned());
    };
    if !is_id(id) {
        return Err(format!(
            "has no valid id before the colon: up to {MAX_ID} letters, digits, `-`, `_` and `.`, the first one a \
             letter or a digit"
        ));
    }
    let key = STANDARD.decode(key.trim()).ok();
    let key = key.and_then(|key| <[u8; KEY_BYTES]>::try_from(key).ok());
    match key {
        Some(key) => Ok(StoreKey::new(id, &key)),
        None => Err(format!(
            "has no key of {KEY_BYTES} bytes in base64 after the colon"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn keys_are_read_in_their_order() {
        let text = format!("# newest first\n\n b:{KEY}\r\n2026-11.a_b:{KEY}\n");
        let ring = parse(&text).unwrap();
        let ids: Vec<_> = ring.iter().map(|key| key.id().to_owned()).collect();
        assert_eq!(
            (ids, ring.first().id()),
            (vec!["b".to_owned(), "2026-11.a_b".to_owned()], "b")
        );
    }

    #[test]
    fn all_lines_that_are_no_keys_are_named_and_none_is_repeated() {
        let short = "c2VjcmV0";
        let text = format!("a:{KEY}\na:{KEY}\n{short}\n-x:{KEY}\nb:{short}\nc:{short}!!\n");
        let error = parse(&text).unwrap_err();
        let paths: Vec<_> = error
            .field_violations()
            .iter()
            .map(|one| one.path.as_str())
            .collect();
        assert_eq!(
            paths,
            ["/lines/2", "/lines/3", "/lines/4", "/lines/5", "/lines/6"]
        );
        assert_eq!(error.reason(), "STORE_KEY_INVALID");
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains(short) && !shown.contains(KEY), "{shown}");
    }

    #[test]
    fn a_file_without_keys_and_one_with_too_many_are_refused() {
        assert_eq!(parse("# none\n").unwrap_err().reason(), "STORE_KEY_INVALID");
        let many: String = (0..=MAX_KEYS).map(|n| format!("k{n}:{KEY}\n")).collect();
        let error = parse(&many).unwrap_err();
        assert_eq!(error.field_violations().first().unwrap().code, "TOO_MANY");
    }

    #[test]
    fn a_key_is_never_shown() {
        let ring = parse(&format!("k1:{KEY}")).unwrap();
        assert_eq!(
            format!("{ring:?}"),
            "KeyRing { first: StoreKey(\"k1\"), others: [] }"
        );
    }
}
