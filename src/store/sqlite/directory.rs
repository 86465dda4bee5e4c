//! The directory of a store: its permissions, its locks, and the check that its files are still there.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use super::network::warn_if_network;
use crate::model::error::{Error, Result, reason};

/// The mode of the directory: readable by its owner alone, since it contains inputs and outcomes.
const DIRECTORY_MODE: u32 = 0o700;
/// The permissions of the group and of others.
const NOT_OWNER: u32 = 0o077;

/// The files of a store.
const FILES: [&str; 4] = ["lock", "cidery.db", "cidery.db-wal", "cidery.db-shm"];

/// A locked directory.
///
/// It has two locks: the file `lock`, and the directory itself, so that a second process is refused also where that
/// file was removed. Both are locks of flock(2): the locks of fcntl(2), which SQLite uses, would end as soon as this
/// process closes any descriptor of the file.
#[derive(Debug)]
pub(super) struct StoreDirectory {
    /// Its absolute path.
    path: PathBuf,
    /// The database.
    pub(super) file: PathBuf,
    directory: File,
    lock: File,
}

/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`.
pub(super) fn unusable(message: String) -> Error {
    Error::failed_precondition(reason::STORE_UNUSABLE, message)
}

/// Checks that a file, if there is one, is a regular file: to open a named pipe would wait for its other end.
fn check_regular(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let message = format!("`{}` is not a regular file", path.display());
            Err(unusable(message))
        }
        _ => Ok(()),
    }
}

/// Unlocks explicitly: a child process that has been forked and not executed yet shares the locks, and closing the
/// files alone would not release them.
impl Drop for StoreDirectory {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
        let _ = self.directory.unlock();
    }
}

impl StoreDirectory {
    /// Creates the directory if it is missing, makes it private, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self> {
        let cannot = |what: &str, error: io::Error| {
            let message = format!("cannot {what} `{}`: {error}", path.display());
            unusable(message).with_source(error)
        };
        let made = DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path);
        made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                unusable(format!("`{}` is not a directory", path.display()))
            }
            _ => cannot("create the directory", error),
        })?;
        // Absolute: the host of this node may change the current directory.
        let absolute = std::path::absolute(path).map_err(|error| cannot("find", error))?;
        let directory = File::open(path).map_err(|error| cannot("open", error))?;
        make_private(path, &directory)?;
        match directory.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            // Some network file systems lock no directories; the other lock remains.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        for name in FILES {
            check_regular(&path.join(name))?;
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(path.join("lock"));
        let lock = lock.map_err(|error| cannot("write to", error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => in_use(path),
            TryLockError::Error(error) => {
                warn_if_network(path);
                cannot("lock", error)
            }
        })?;
        let file = path.join("cidery.db");
        options
            .open(&file)
            .map_err(|error| cannot("write to", error))?;
        warn_if_network(path);
        Ok(Self {
            path: absolute,
            file,
            directory,
            lock,
        })
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The files as they are now, with the directory. All of them exist while the database is open.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: one of them is missing.
    pub(super) fn files(&self) -> Result<StoreFiles> {
        let paths = FILES.map(|name| self.path.join(name));
        let paths = std::iter::once(self.path.clone()).chain(paths);
        let files = paths.map(|path| {
            let identity = identity(&path).map_err(|error| {
                let message = format!("cannot find `{}`: {error}", path.display());
                unusable(message).with_source(error)
            })?;
            Ok((path, identity))
        });
        files.collect::<Result<_>>().map(StoreFiles)
    }
}

/// The directory and the files of an open store, each with its device and inode. Neither can be used again while the
/// files are open.
#[derive(Debug)]
pub(super) struct StoreFiles(Vec<(PathBuf, (u64, u64))>);

impl StoreFiles {
    /// The first file that was removed or replaced since the store was opened, and what happened to it.
    pub(super) fn first_lost(&self) -> Option<(&Path, &'static str)> {
        self.0.iter().find_map(|(path, known)| {
            let lost = match identity(path) {
                Ok(found) => (found != *known).then_some("replaced"),
                Err(error) => matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                )
                .then_some("removed"),
            };
            Some((path.as_path(), lost?))
        })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Takes the permissions of the group and of others away. A directory of another user is refused: that user could
/// read and replace the files, whatever its mode.
fn make_private(path: &Path, directory: &File) -> Result<()> {
    let metadata = directory.metadata().map_err(|error| {
        let message = format!(
            "cannot read the permissions of `{}`: {error}",
            path.display()
        );
        unusable(message).with_source(error)
    })?;
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        let message = format!(
            "`{}` belongs to user {owner}, and this process runs as user {user}: choose a directory of its own, for \
             example one inside of it",
            path.display()
        );
        return Err(unusable(message).with_info(OWNER, owner));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & NOT_OWNER == 0 {
        return Ok(());
    }
    let directory_display = path.display();
    match directory.set_permissions(Permissions::from_mode(mode & !NOT_OWNER)) {
        Ok(()) => tracing::warn!(
            directory = %directory_display,
            before = format_args!("{mode:04o}"),
            "other users could access the data directory: it is now accessible to its owner alone"
        ),
        Err(error) => tracing::warn!(
            directory = %directory_display,
            mode = format_args!("{mode:04o}"),
            %error,
            "other users can access the data directory, and its mode cannot be changed"
        ),
    }
    Ok(())
}

/// The `ErrorInfo` entry of a directory that another process uses.
pub(crate) const IN_USE: &str = "in_use";

/// The `ErrorInfo` entry of a directory of another user: the number of that user.
pub(crate) const OWNER: &str = "owner";

/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: a second process.
fn in_use(path: &Path) -> Error {
    unusable(format!(
        "another process uses `{}`: stop it, or choose another directory",
        path.display()
    ))
    .with_info(IN_USE, true)
}
