//! Commands, and how they wait for the writer together with the channel that takes their reply.

use std::fmt;

use tokio::sync::oneshot;

use super::transaction::Tx;
use crate::model::error::{Error, Result};
use crate::model::id::ServiceName;
use crate::store::sqlite::bookkeeping::Entries;

/// A write. The caller encodes everything it contains, so that the writer thread need not.
pub(in crate::store::sqlite) trait Command:
    fmt::Debug + Send + 'static
{
    /// The result for the caller, once the command is committed.
    type Reply: fmt::Debug + Send;

    /// Whether it accepts invocations: refused while only the room reserved for outcomes is left.
    const IS_NEW_WORK: bool = false;

    /// Whether it frees pages, and takes an unknown number of rows to do so.
    const IS_PURGE: bool = false;

    /// Changes the rows. Repeated if the transaction is rolled back because another command failed.
    ///
    /// # Errors
    ///
    /// The outer one rolls back the transaction, the inner one is returned to the caller.
    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<Self::Reply>>;

    /// Updates what is kept in memory, after the commit and before the reply is sent.
    fn update_entries(&self, _reply: &Self::Reply, _entries: &mut Entries) {}

    /// The service in whose queue at the writer it waits; `None` if it concerns several services or none.
    fn service(&self) -> Option<&ServiceName> {
        None
    }

    /// How many rows it writes, roughly.
    fn rows(&self) -> usize {
        1
    }

    /// How many bytes of payloads it carries.
    fn bytes(&self) -> usize {
        0
    }
}

/// A command of any type in the queue of the writer.
pub(in crate::store::sqlite) trait QueuedCommand:
    fmt::Debug + Send
{
    fn service(&self) -> Option<&ServiceName>;
    fn rows(&self) -> usize;
    fn bytes(&self) -> u64;
    fn is_new_work(&self) -> bool;
    fn is_purge(&self) -> bool;
    /// Applies the command, and keeps its reply until it is committed.
    fn apply(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    /// Updates what is kept in memory. The command is committed.
    fn update_entries(&self, entries: &mut Entries);
    /// Sends the reply to the caller. The command is committed.
    fn send_reply(self: Box<Self>);
    /// Sends an error to the caller: the command is not committed.
    fn reject(self: Box<Self>, error: Error);
}

/// A command with its reply, and the caller that waits for it.
#[derive(Debug)]
struct Queued<C: Command> {
    command: C,
    reply: Option<Result<C::Reply>>,
    caller: oneshot::Sender<Result<C::Reply>>,
}

/// The reply that the caller awaits. An error of the channel: the store was closed before the command was committed.
pub(in crate::store::sqlite) type PendingReply<R> = oneshot::Receiver<Result<R>>;

/// Prepares a command for the queue of the writer.
pub(in crate::store::sqlite) fn queue<C: Command>(
    command: C,
) -> (Box<dyn QueuedCommand>, PendingReply<C::Reply>) {
    let (caller, pending) = oneshot::channel();
    let queued = Queued {
        command,
        reply: None,
        caller,
    };
    (Box::new(queued), pending)
}

impl<C: Command> QueuedCommand for Queued<C> {
    fn service(&self) -> Option<&ServiceName> {
        self.command.service()
    }

    fn rows(&self) -> usize {
        self.command.rows()
    }

    fn bytes(&self) -> u64 {
        u64::try_from(self.command.bytes()).unwrap_or(u64::MAX)
    }

    fn is_new_work(&self) -> bool {
        C::IS_NEW_WORK
    }

    fn is_purge(&self) -> bool {
        C::IS_PURGE
    }

    fn apply(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.reply = Some(self.command.apply(tx)?);
        Ok(())
    }

    fn update_entries(&self, entries: &mut Entries) {
        if let Some(Ok(reply)) = &self.reply {
            self.command.update_entries(reply, entries);
        }
    }

    fn send_reply(self: Box<Self>) {
        if let Some(reply) = self.reply {
            // The caller may have gone.
            drop(self.caller.send(reply));
        }
    }

    fn reject(self: Box<Self>, error: Error) {
        drop(self.caller.send(Err(error)));
    }
}
