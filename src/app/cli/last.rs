//! The last stored invocation that this user's command line started: `last` in place of a CID.
//!
//! There is one for all terminals and nodes.
//!
//! Its CID is in the file `cidery/last` of the user's state directory: `$XDG_STATE_HOME`, or `~/.local/state`.

use std::path::{Path, PathBuf};

use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;

fn file() -> Option<PathBuf> {
    let configured = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let absolute = configured.filter(|folder| folder.is_absolute());
    let folder = absolute.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(folder.join("cidery/last"))
}

/// Remembers an accepted invocation. Where the file cannot be written, the one before stays: the invocation is accepted
/// all the same.
pub(super) fn remember(cid: Cid) {
    if let Some(file) = file()
        && let Err(error) = write(&file, cid)
    {
        tracing::debug!(%error, file = %file.display(), "cannot remember the last invocation");
    }
}

/// Replaces the file at once: another command may read it.
fn write(file: &Path, cid: Cid) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = file.with_extension(cid.to_string());
    std::fs::write(&new, format!("{cid}\n"))?;
    std::fs::rename(&new, file)
}

/// The CID of the last invocation.
///
/// # Errors
///
/// `NOT_FOUND` / `NO_LAST_INVOCATION` where none is remembered.
pub(super) fn recall() -> Result<Cid> {
    let text = file().and_then(|file| std::fs::read_to_string(file).ok());
    let cid = text.and_then(|text| Cid::from_canonical(text.trim()));
    cid.ok_or_else(|| {
        let message = "there is no last invocation: `last` is the last one that `cidery invoke --async`, `--follow` or \
             `--continue` started";
        Error::not_found(reason::NO_LAST_INVOCATION, message)
    })
}
