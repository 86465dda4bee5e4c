//! Gives a file its name, unless something has that name already.

use std::io;
use std::path::Path;

/// Renames a file. Whatever has the new name stays, also where another program created it a moment ago.
///
/// # Errors
///
/// `AlreadyExists`: something has the new name, be it a link that leads nowhere. Otherwise as [`std::fs::rename`].
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rename_no_replace(from, to) {
        // This file system cannot; those of networks have hard links instead, which replace nothing either.
        Err(error) if is_unsupported(&error) => link_new(from, to),
        renamed => renamed,
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_no_replace(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a rename was refused for its flag.
fn is_unsupported(error: &io::Error) -> bool {
    [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported].contains(&error.kind())
}

/// The same with a hard link: for a moment, the file has both names.
fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_stays_as_it_is() {
        let folder = std::env::temp_dir().join(format!("cidery {}", crate::model::id::Cid::new()));
        std::fs::create_dir(&folder).unwrap();
        let (from, to, link) = (folder.join("from"), folder.join("to"), folder.join("link"));
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        for rename in [rename_new, rename_no_replace, link_new] {
            std::fs::write(&from, "new").unwrap();
            std::fs::write(&to, "old").unwrap();
            for taken in [&to, &link] {
                let error = rename(&from, taken).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            }
            assert_eq!(std::fs::read(&to).unwrap(), b"old");
            std::fs::remove_file(&to).unwrap();
            rename(&from, &to).unwrap();
            assert_eq!(std::fs::read(&to).unwrap(), b"new");
            assert!(!from.exists());
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
