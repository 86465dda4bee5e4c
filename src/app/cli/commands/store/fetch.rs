//! The file that a backup is written to: beside its path until it is whole and its checksum is right.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::app::cli::args::usage_error;
use crate::model::error::{Error, Kind, Result, reason};
use crate::store::rename_new;

/// How often the file is opened again where another command has just finished or removed it.
const MAX_OPENS: u32 = 10;

/// A backup that is being fetched. Its file is removed unless it is finished.
///
/// The file has one name for each path, so that what a command leaves that is killed is replaced by the next one; a
/// lock keeps two commands apart.
pub(super) struct Target {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
    replaces: bool,
    is_finished: bool,
}

impl Target {
    /// Creates the file beside the path. It contains inputs and outcomes: only its owner can read it.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `FILE_EXISTS`, unless it `replaces` the file; `USAGE_INVALID` where it cannot be
    /// written, where another command writes it, and for `-`.
    pub(super) fn new(path: &Path, replaces: bool) -> Result<Self> {
        let cannot = |error: io::Error| {
            usage_error(format!("cannot write `{}`: {error}", path.display())).with_source(error)
        };
        if path == Path::new("-") {
            let message = "a backup is checked before it has its name, and standard output takes nothing back: give \
                           the path of a file (`./-` for one with that name)";
            return Err(usage_error(message));
        }
        if path.is_dir() {
            let message = format!("`{}` is a folder: give the path of a file", path.display());
            return Err(usage_error(message));
        }
        if !replaces {
            check_free(path)?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".cidery-partial");
        let partial = PathBuf::from(name);
        let file = create_locked(&partial).map_err(cannot)?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            file,
            hash: Sha256::new(),
            bytes: 0,
            replaces,
            is_finished: false,
        })
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends a part.
    pub(super) fn write(&mut self, offset: u64, part: &[u8]) -> Result<()> {
        if offset != self.bytes {
            let message = format!(
                "the node sent the part at {offset}, not that at {}",
                self.bytes
            );
            return Err(Error::internal(reason::TRANSPORT, message));
        }
        let written = self.file.write_all(part);
        written.map_err(|error| self.failed(error))?;
        self.hash.update(part);
        self.bytes += part.len() as u64;
        Ok(())
    }

    /// Compares it with the copy of the node, syncs it, and gives it its path.
    pub(super) fn finish(mut self, bytes: u64, sha256: &str) -> Result<()> {
        let hash = self.hash.clone().finalize();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        if (self.bytes, hash.as_str()) != (bytes, sha256) {
            let message = format!(
                "what was fetched is not the copy of the node: {} bytes with the SHA-256 {hash}, not {bytes} with \
                 {sha256}; repeat the command",
                self.bytes
            );
            return Err(Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message));
        }
        self.file.sync_all().map_err(|error| self.failed(error))?;
        let renamed = match self.replaces {
            true => std::fs::rename(&self.partial, &self.path),
            false => rename_new(&self.partial, &self.path),
        };
        renamed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.path),
            _ => self.failed(error),
        })?;
        self.is_finished = true;
        let sync = || {
            let folder = self
                .path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
        };
        sync().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        let message = format!("cannot write `{}`: {error}", self.path.display());
        usage_error(message).with_source(error)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// Opens an empty file that no other command writes.
fn create_locked(partial: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Truncated once it is locked.
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        options.mode(0o600).custom_flags(no_follow);
    }
    for _ in 0..MAX_OPENS {
        let file = options.open(partial)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let message = "another command writes it now";
                io::Error::new(io::ErrorKind::ResourceBusy, message)
            }
            TryLockError::Error(error) => error,
        })?;
        // A command that ended meanwhile has removed it, or given it its name: then it is a backup.
        if has_path(&file, partial) {
            file.set_len(0)?;
            return Ok(file);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "other commands write it",
    ))
}

/// Whether a file that is open still has its path.
#[cfg(unix)]
fn has_path(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
    let (open, named) = (file.metadata(), std::fs::symlink_metadata(path));
    open.ok().map(identity) == named.ok().map(identity)
}

/// Whether a file that is open still has its path: an open file is neither renamed nor removed.
#[cfg(not(unix))]
fn has_path(_: &File, _: &Path) -> bool {
    true
}

fn check_free(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}

/// `FAILED_PRECONDITION` / `FILE_EXISTS`.
fn exists(path: &Path) -> Error {
    let message = format!(
        "`{}` exists: choose another path, or replace it with `--force`",
        path.display()
    );
    Error::failed_precondition(reason::FILE_EXISTS, message)
}
