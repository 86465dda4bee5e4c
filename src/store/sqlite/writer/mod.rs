//! The writer thread: group commit. It takes the commands that are queued, commits them in one transaction with one
//! sync, and replies to their callers once they are on disk.

mod commit_stats;
mod round_robin;
pub(super) mod space;
mod transaction;
pub(super) mod wal;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use self::commit_stats::CommitStats;
use self::round_robin::{CommitGroup, RoundRobin};
use self::space::{Space, vacuum_incrementally};
use self::transaction::WriteTransaction;
use self::wal::Wal;
use crate::model::error::{Error, Result};
use crate::store::sqlite::commands::{
    QueuedCommand, ServiceIds, Tx, TxChanges, index_all, index_if_many,
};
use crate::store::sqlite::directory::StoreFiles;
use crate::store::sqlite::error::{corrupt, failed, is_damage, is_disk_failure};
use crate::store::sqlite::newest::MAX_UNINDEXED;
use crate::store::sqlite::queue::Receiver;
use crate::store::sqlite::shared::StoreShared;

/// How many commands the writer takes out of its channel before it commits, at most.
pub(super) const MAX_QUEUED_COMMANDS: usize = 32_768;

/// How often an idle writer checks that the files of the store are still there.
const IDLE_FILES_CHECK: Duration = Duration::from_secs(1);
/// How often a busy writer does, at most: between a commit and its replies, so that hardly any CID is returned that is
/// in a deleted file.
const BUSY_FILES_CHECK: Duration = Duration::from_millis(50);

/// After so many writes in a row that met damage, the whole store counts as damaged, and nothing more is written.
const MAX_DAMAGED_WRITES: u32 = 16;

/// A message to the writer.
pub(super) enum WriterMessage {
    /// Write a command.
    Command(Box<dyn QueuedCommand>),
    /// Write all queued commands, mark the store as closed cleanly, and end.
    Close,
}

/// The state of the writer thread.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<StoreShared>,
    pub(super) generation: u32,
    pub(super) services: ServiceIds,
    pub(super) space: Space,
    pub(super) wal: Wal,
    pub(super) files: StoreFiles,
    /// When the files were checked last.
    pub(super) files_checked: Instant,
    /// Cleared once the indexes have turned out to be damaged: the newest invocations then stay in memory.
    pub(super) writes_indexes: bool,
    /// How many writes in a row met damage.
    pub(super) damaged_writes: u32,
    /// How long the last commit took to sync.
    pub(super) syncing: Duration,
}

impl Writer {
    /// Writes until it receives `Close`, or all senders are gone. Returns its connection, to be closed.
    pub(super) fn run(mut self, messages: &Receiver<WriterMessage>) -> Connection {
        self.write_all(messages);
        self.shared.before_close(&self.connection);
        self.connection
    }

    fn write_all(&mut self, messages: &Receiver<WriterMessage>) {
        let (mut queue, mut stats) = (RoundRobin::default(), CommitStats::default());
        let mut is_closing = false;
        loop {
            if queue.is_empty() {
                if is_closing {
                    return self.mark_clean();
                }
                match messages.recv_timeout(IDLE_FILES_CHECK) {
                    Ok(WriterMessage::Command(command)) => queue.push(command),
                    Ok(WriterMessage::Close) => is_closing = true,
                    Err(RecvTimeoutError::Timeout) => drop(self.check_files(IDLE_FILES_CHECK)),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            while queue.len() < MAX_QUEUED_COMMANDS
                && let Ok(message) = messages.try_recv()
            {
                match message {
                    WriterMessage::Command(command) => queue.push(command),
                    WriterMessage::Close => is_closing = true,
                }
            }
            if !queue.is_empty() {
                let group = queue.next_commit(stats.share());
                self.write(group, &mut stats);
            }
        }
    }

    fn write(&mut self, group: CommitGroup, stats: &mut CommitStats) {
        let CommitGroup {
            commands,
            bytes,
            rows,
        } = group;
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let is_purge = commands.iter().any(|command| command.is_purge());
        let start = Instant::now();
        self.syncing = Duration::ZERO;
        self.commit(commands);
        // How many rows a purge finds is not known in advance.
        if !is_purge {
            let writing = start.elapsed().saturating_sub(self.syncing);
            stats.add(rows, writing, self.syncing);
        }
        if is_purge {
            if let Err(error) = vacuum_incrementally(&self.connection) {
                tracing::warn!(%error, "cannot return free pages to the disk; retrying with the next purge");
            }
            self.shared.notify_checkpointer();
        }
        if let Err(error) = self.wal.restart_if_long(&self.connection)
            && is_disk_failure(&error)
        {
            self.shared.set_write_failure(&error);
        }
    }

    /// Commits a group. If its transaction fails, each command gets a transaction of its own: one that fails must not
    /// fail the others.
    fn commit(&mut self, mut commands: Vec<Box<dyn QueuedCommand>>) {
        if let Some(error) = self.shared.write_failure() {
            return reject_all(commands, &error);
        }
        let wrote_indexes = self.writes_indexes;
        let mut committed = self.try_commit(&mut commands);
        if wrote_indexes && !self.writes_indexes {
            // Not the commands have failed, but what was to be written with them.
            committed = self.try_commit(&mut commands);
        }
        if let Err(error) = self.check_files(BUSY_FILES_CHECK) {
            return reject_all(commands, &error);
        }
        match committed {
            Ok(changes) => {
                self.damaged_writes = 0;
                self.services.extend(changes.services);
                let mut entries = self.shared.bookkeeping.lock();
                entries.newest.apply(changes.newest, changes.limits);
                for command in &commands {
                    command.update_entries(&mut entries);
                }
                drop(entries);
                commands.into_iter().for_each(QueuedCommand::send_reply);
            }
            Err(error) if is_disk_failure(&error) => {
                reject_all(commands, &self.shared.set_write_failure(&error));
            }
            Err(error) if commands.len() == 1 => reject_all(commands, &self.failure_of_one(error)),
            Err(_) => commands
                .into_iter()
                .for_each(|command| self.commit(vec![command])),
        }
        self.shared.notify_checkpointer();
    }

    fn try_commit(
        &mut self,
        commands: &mut [Box<dyn QueuedCommand>],
    ) -> rusqlite::Result<TxChanges> {
        let begun = Instant::now();
        let rows = commands.iter().map(|command| command.rows()).sum();
        let new_work = commands.iter().filter(|command| command.is_new_work());
        let bytes = new_work.map(|command| command.bytes());
        let bytes = bytes.reduce(u64::saturating_add);
        let has_room = bytes.is_some_and(|bytes| self.has_room(bytes));
        let transaction = WriteTransaction::begin(&self.connection)?;
        let bookkeeping = &self.shared.bookkeeping;
        let mut tx = Tx::new(
            &self.connection,
            &self.services,
            bookkeeping,
            &self.shared.cipher,
            self.generation,
            has_room,
        );
        for command in commands {
            command.apply(&mut tx)?;
        }
        if self.writes_indexes {
            let indexed = index_if_many(&mut tx);
            self.writes_indexes = !indexed.as_ref().is_err_and(is_damage);
            indexed.inspect_err(log_damaged_indexes)?;
        } else if tx.count_newest() > MAX_UNINDEXED {
            return Err(corrupt("the indexes take no invocations"));
        }
        let changes = tx.finish();
        let start = Instant::now();
        transaction.commit()?;
        self.syncing += start.elapsed();
        // Before the replies: a caller that reads the metrics afterwards finds the commit.
        let wal_pages = self.wal.pages();
        let metrics = &self.shared.commit_metrics;
        metrics.add(rows, begun.elapsed(), wal_pages);
        Ok(changes)
    }

    /// Whether new work of so many bytes is accepted; otherwise that is logged.
    fn has_room(&mut self, bytes: u64) -> bool {
        if self.space.had_room(bytes) {
            return true;
        }
        let usage = self.space.limits.usage(&self.connection);
        let has_room = usage.has_room();
        if !has_room {
            self.shared.failures.log_full(&usage);
        }
        self.space.set_has_room(has_room);
        has_room
    }

    /// The failure of a single command. One that meets a damaged page fails alone: SQLite has written nothing of it.
    fn failure_of_one(&mut self, error: rusqlite::Error) -> Error {
        if is_damage(&error) {
            self.damaged_writes += 1;
            if self.damaged_writes >= MAX_DAMAGED_WRITES {
                return self.shared.set_write_failure(&error);
            }
        }
        let failure = failed(error);
        self.shared.failures.log(&failure);
        failure
    }

    /// Checks that the files are still there, unless that was done within this time.
    fn check_files(&mut self, interval: Duration) -> Result<()> {
        let now = Instant::now();
        if now.duration_since(self.files_checked) < interval {
            return Ok(());
        }
        self.files_checked = now;
        // Logged once.
        match self.files.first_lost() {
            Some((path, what)) if self.shared.write_failure().is_none() => {
                Err(self.shared.set_files_lost(path, what))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Marks the store as closed cleanly: the next opening recovers nothing.
    fn mark_clean(&self) {
        if self.shared.write_failure().is_some() {
            return;
        }
        if let Err(error) = self.try_mark_clean() {
            tracing::warn!(%error, "cannot mark the store as closed cleanly");
        }
    }

    /// The indexes contain all invocations then.
    fn try_mark_clean(&self) -> rusqlite::Result<()> {
        let transaction = WriteTransaction::begin(&self.connection)?;
        let bookkeeping = &self.shared.bookkeeping;
        let mut tx = Tx::new(
            &self.connection,
            &self.services,
            bookkeeping,
            &self.shared.cipher,
            self.generation,
            false,
        );
        index_all(&mut tx)?;
        let update = "UPDATE meta SET value = 1 WHERE key = 'clean'";
        self.connection.execute(update, [])?;
        transaction.commit()
    }
}

fn log_damaged_indexes(error: &rusqlite::Error) {
    if is_damage(error) {
        tracing::error!(%error, "the indexes of the store are damaged: stop the node, and restore a backup");
    }
}

fn reject_all(commands: Vec<Box<dyn QueuedCommand>>, error: &Error) {
    for command in commands {
        command.reject(error.clone());
    }
}
