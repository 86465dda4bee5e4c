//! The file of the audit log.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::log_queue::{LogGuard, LogQueue, Report};
use crate::engine::access::audit;
use crate::model::error::{Error, Result, reason};

/// What users may do with a file who are neither its owner nor of its group.
const OTHERS: u32 = 0o007;

/// What the failure of a full queue is.
const NOT_READ: &str = "its lines are not taken";

/// Writes the audit log of this process to a file, or to standard output for `-`. The last lines are written when the
/// guard is dropped. Lines that cannot be written are reported at once, in the log and in the health of the node.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `USAGE_INVALID` for a file that cannot be opened; `INTERNAL` where the thread that writes
/// cannot be started.
pub(in crate::app) fn start(file: &Path) -> Result<LogGuard> {
    let (queue, guard) = match file.to_str() {
        Some("-") => LogQueue::start(io::stdout(), report)?,
        _ => {
            let opened = AuditFile::open(file).map_err(|error| {
                let message = format!(
                    "cannot write the audit log to `{}`: {error}",
                    file.display()
                );
                Error::invalid_argument(reason::USAGE_INVALID, message)
            })?;
            LogQueue::start(opened, report)?
        }
    };
    audit::install(Box::new(move |line| {
        if !queue.push(line) && audit::note_failure(Some(NOT_READ.to_owned())) {
            tracing::error!("lines of the audit log are lost: {NOT_READ}");
        }
    }));
    Ok(guard)
}

/// Reports lines that are lost: once in the log, and in the health of the node until a line is written.
fn report(report: Report<'_>) {
    match report {
        Report::Lost { lines, error } => {
            if audit::note_failure(Some(error.to_string())) {
                tracing::error!(lines, %error, "lines of the audit log are lost: they cannot be written");
            }
        }
        Report::Written { dropped, total } => {
            audit::note_failure(None);
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    total,
                    "the audit log is written again, without the lines that were lost"
                );
            }
        }
    }
}

/// A file that is opened again once it was moved or removed, as programs that rotate logs do.
#[derive(Debug)]
struct AuditFile {
    path: PathBuf,
    file: File,
}

impl AuditFile {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: append(path)?,
            path: path.to_owned(),
        })
    }

    fn is_moved(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        Ok(match std::fs::metadata(&self.path) {
            Ok(there) => (there.dev(), there.ino()) != (ours.dev(), ours.ino()),
            Err(_) => true,
        })
    }
}

/// Only the user of the node reads it: it has the names of callers. A group that an operator gave a file to stays.
fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(path)?;
    let there = file.metadata()?;
    let mode = there.mode() & 0o777;
    if there.is_file() && mode & OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(mode & !OTHERS))?;
    }
    Ok(file)
}

impl Write for AuditFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.is_moved()? {
            self.file = append(&self.path)?;
        }
        self.file.write(lines)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_is_opened_again() {
        let folder = std::env::temp_dir().join(format!("cidery-audit-{}", crate::Cid::new()));
        std::fs::create_dir(&folder).unwrap();
        let (path, moved) = (folder.join("audit"), folder.join("audit.1"));
        let mut file = AuditFile::open(&path).unwrap();
        file.write_all(b"1\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        file.write_all(b"2\n").unwrap();
        file.write_all(b"3\n").unwrap();
        assert_eq!(std::fs::read(&moved).unwrap(), b"1\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"2\n3\n");
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o646)).unwrap();
        AuditFile::open(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o640);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
