//! The file that a backup is written to: beside its path until it is whole and its checksum is right.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::app::cli::args::usage_error;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::Cid;
use crate::store::rename_new;

/// A backup that is being fetched. Its file is removed unless it is finished.
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
    /// written.
    pub(super) fn new(path: &Path, replaces: bool) -> Result<Self> {
        let cannot = |error: io::Error| {
            usage_error(format!("cannot write `{}`: {error}", path.display())).with_source(error)
        };
        if path.is_dir() {
            let message = format!("`{}` is a folder: give the path of a file", path.display());
            return Err(usage_error(message));
        }
        if !replaces {
            check_free(path)?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.partial", Cid::new()));
        let partial = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&partial).map_err(cannot)?;
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
