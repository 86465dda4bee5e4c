//! The folder of the copies: `NAME` is a copy, `.NAME.info` what is known of it, `.NAME.partial` one that is written.
//!
//! Names contain no path (`BackupName`), and links in the folder are not followed. The folder itself may be a link: to
//! a larger disk, for example.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::room::Disk;
use crate::engine::backup::{Backup, BackupName};
use crate::model::error::{Error, Result, Violation, reason};
use crate::store::sqlite::copy_file::remove_copy;
use crate::store::sqlite::rename::rename_new;

/// How many entries of the folder are read at most.
const MAX_ENTRIES: usize = 10_000;
/// What a file with what is known of a copy has at most.
const MAX_INFO_BYTES: usize = 4 << 10;

/// What is known of a copy, in the file beside it.
#[derive(Debug, Deserialize, Serialize)]
struct Info {
    create_time: String,
    bytes: u64,
    sha256: String,
    invocations: u64,
    #[serde(default)]
    temporary: bool,
}

/// The folder of the copies of a store.
#[derive(Clone, Debug)]
pub(super) struct BackupFolder {
    directory: PathBuf,
    path: PathBuf,
}

/// A copy that is being written. Its files are removed unless it is kept.
pub(super) struct Partial {
    pub(super) path: PathBuf,
    pub(super) file: File,
    is_kept: bool,
}

impl BackupFolder {
    /// The folder in the directory of a store.
    pub(super) fn below(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            path: directory.join("backups"),
        }
    }

    /// Where a copy is.
    pub(super) fn path_of(&self, name: &BackupName) -> PathBuf {
        self.path.join(name.as_str())
    }

    fn info_of(&self, name: &BackupName) -> PathBuf {
        self.path.join(format!(".{name}.info"))
    }

    /// Its disk, and that of the store.
    pub(super) fn disks(&self) -> (Disk, Disk) {
        (Disk::of(&self.path), Disk::of(&self.directory))
    }

    /// Creates the file of a new copy, and the folder if there is none.
    pub(super) fn create(&self, name: &BackupName) -> Result<Partial> {
        let folder = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path);
        folder.map_err(|error| disk_failed("cannot create the folder of the copies", error))?;
        self.check_free(name)?;
        let path = self.path.join(format!(".{name}.partial"));
        remove_copy(&path);
        let mut options = OpenOptions::new();
        options.create_new(true).read(true).write(true).mode(0o600);
        let file = options.open(&path);
        let file =
            file.map_err(|error| disk_failed("cannot create the file of the copy", error))?;
        Ok(Partial {
            path,
            file,
            is_kept: false,
        })
    }

    /// Checks that nothing has a name.
    fn check_free(&self, name: &BackupName) -> Result<()> {
        match std::fs::symlink_metadata(self.path_of(name)) {
            Ok(_) => Err(exists(name)),
            Err(_) => Ok(()),
        }
    }

    /// Gives a copy that is complete its name. It is durable then. What another program gave that name meanwhile stays.
    pub(super) fn keep(&self, mut partial: Partial, backup: &Backup) -> Result<()> {
        let failed = |error| disk_failed("cannot keep the copy", error);
        self.check_free(&backup.name)?;
        partial.file.sync_all().map_err(failed)?;
        // First: a copy that has its name is known.
        let info_path = self.info_of(&backup.name);
        let renamed = write_info(&info_path, backup)
            .and_then(|()| rename_new(&partial.path, &self.path_of(&backup.name)));
        if let Err(error) = renamed {
            let _ = std::fs::remove_file(info_path);
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => exists(&backup.name),
                _ => failed(error),
            });
        }
        partial.is_kept = true;
        let sync = |folder: &PathBuf| File::open(folder)?.sync_all();
        let synced = [&self.path, &self.directory].into_iter().try_for_each(sync);
        synced.map_err(|error| {
            let _ = self.remove(&backup.name);
            failed(error)
        })
    }

    /// The copies, the newest first.
    pub(super) fn list(&self, max: usize) -> Result<Vec<Backup>> {
        let entries = match std::fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries
                .map_err(|error| disk_failed("cannot read the folder of the copies", error))?,
        };
        let names = entries.flatten().take(MAX_ENTRIES).filter_map(|entry| {
            let name = BackupName::parse(entry.file_name().to_str()?).ok()?;
            // Not of what a link leads to.
            entry.file_type().ok()?.is_file().then_some(name)
        });
        let mut backups: Vec<_> = names.filter_map(|name| self.describe(name)).collect();
        backups.sort_by(|one, other| {
            let newest_first = other.create_time.cmp(&one.create_time);
            newest_first.then_with(|| one.name.as_str().cmp(other.name.as_str()))
        });
        backups.truncate(max);
        Ok(backups)
    }

    /// What is known of a copy; `None` if it is gone. One that another program put here has a size and a time alone.
    fn describe(&self, name: BackupName) -> Option<Backup> {
        let file = self.open(&name).ok()?.metadata().ok()?;
        let info = self
            .info(&name)
            .filter(|(_, info)| info.bytes == file.len());
        let (create_time, info) = info.unzip();
        let create_time = match create_time {
            Some(time) => time,
            None => Timestamp::try_from(file.modified().ok()?).ok()?,
        };
        let is_temporary = info.as_ref().is_some_and(|info| info.temporary);
        let (sha256, invocations) =
            info.map_or((String::new(), 0), |info| (info.sha256, info.invocations));
        Some(Backup {
            path: self.path_of(&name),
            name,
            bytes: file.len(),
            create_time,
            sha256,
            invocations,
            is_temporary,
            progress: None,
        })
    }

    fn info(&self, name: &BackupName) -> Option<(Timestamp, Info)> {
        let file = open(&self.info_of(name)).ok()?;
        let mut bytes = vec![0; MAX_INFO_BYTES];
        let length = file.read_at(&mut bytes, 0).ok()?;
        let info: Info = serde_json::from_slice(bytes.get(..length)?).ok()?;
        Some((info.create_time.parse().ok()?, info))
    }

    /// Reads a part of a copy.
    pub(super) fn read(&self, name: &BackupName, offset: u64, max: usize) -> Result<Bytes> {
        let file = self.open(name)?;
        let failed = |error| disk_failed("cannot read the copy", error);
        let length = file.metadata().map_err(failed)?.len();
        if offset > length {
            let message = format!("must be at most {length}, the size of the copy");
            let violation = Violation::new("/offset", "OUT_OF_RANGE", message);
            return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
        }
        let left = usize::try_from(length - offset).unwrap_or(usize::MAX);
        let mut part = vec![0; left.min(max)];
        file.read_exact_at(&mut part, offset).map_err(failed)?;
        Ok(part.into())
    }

    /// Removes a copy.
    pub(super) fn remove(&self, name: &BackupName) -> Result<()> {
        self.open(name)?;
        let removed = std::fs::remove_file(self.path_of(name));
        removed.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => unknown(name),
            _ => disk_failed("cannot remove the copy", error),
        })?;
        let _ = std::fs::remove_file(self.info_of(name));
        Ok(())
    }

    /// Removes what an earlier process left: temporary copies, files of copies that were being written, and what is
    /// known of copies that are gone.
    pub(super) fn remove_leftovers(&self) {
        for backup in self.list(MAX_ENTRIES).unwrap_or_default() {
            if backup.is_temporary {
                tracing::info!(backup = %backup.name, "removing a temporary copy of the store");
                let _ = self.remove(&backup.name);
            }
        }
        let entries = std::fs::read_dir(&self.path).into_iter().flatten();
        for entry in entries.flatten().take(MAX_ENTRIES) {
            let name = entry.file_name();
            let Some(hidden) = name.to_str().and_then(|name| name.strip_prefix('.')) else {
                continue;
            };
            let is_left = match hidden.strip_suffix(".info") {
                Some(name) => std::fs::symlink_metadata(self.path.join(name)).is_err(),
                None => [
                    ".partial",
                    ".partial-wal",
                    ".partial-shm",
                    ".partial-journal",
                ]
                .iter()
                .any(|end| hidden.ends_with(end)),
            };
            if is_left {
                tracing::info!(file = %entry.path().display(), "removing what is left of a copy of the store");
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Opens a copy, and nothing but a regular file.
    fn open(&self, name: &BackupName) -> Result<File> {
        let file = open(&self.path_of(name)).map_err(|_| unknown(name))?;
        match file.metadata().is_ok_and(|found| found.is_file()) {
            true => Ok(file),
            false => Err(unknown(name)),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_kept {
            remove_copy(&self.path);
        }
    }
}

/// Writes what is known of a copy into the file beside it.
fn write_info(path: &Path, backup: &Backup) -> io::Result<()> {
    let info = Info {
        create_time: backup.create_time.to_string(),
        bytes: backup.bytes,
        sha256: backup.sha256.clone(),
        invocations: backup.invocations,
        temporary: backup.is_temporary,
    };
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = options.custom_flags(no_follow()).open(path)?;
    file.write_all(&serde_json::to_vec(&info)?)?;
    file.sync_all()
}

/// Opens a file to read it. A link is not followed, and a named pipe not waited for.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(no_follow());
    options.open(path)
}

fn no_follow() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// `ALREADY_EXISTS` / `BACKUP_EXISTS`.
fn exists(name: &BackupName) -> Error {
    let message = format!("a copy `{name}` exists: choose another name, or delete that one");
    Error::already_exists(reason::BACKUP_EXISTS, message)
}

/// `NOT_FOUND` / `BACKUP_UNKNOWN`.
pub(super) fn unknown(name: &BackupName) -> Error {
    let message = format!("there is no copy `{name}`");
    Error::not_found(reason::BACKUP_UNKNOWN, message)
}

/// `RESOURCE_EXHAUSTED` / `STORE_FULL` for a full disk, otherwise `UNAVAILABLE` / `STORE_FAILED`.
pub(super) fn disk_failed(what: &str, error: io::Error) -> Error {
    let failure = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::resource_exhausted(reason::STORE_FULL, format!("{what}: the disk is full"))
        }
        _ => Error::unavailable(
            reason::STORE_FAILED,
            format!("{what}: see the log of the node"),
        ),
    };
    failure.with_retryable(false).with_source(error)
}
