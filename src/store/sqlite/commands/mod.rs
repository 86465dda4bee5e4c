//! The writes of the store, one type each: what a command costs, which rows it changes, and what it changes in the
//! ledger.

mod accept;
mod accept_group;
mod api_keys;
mod command;
mod controls;
mod declarations;
mod index_newest;
mod key_queue;
mod new_invocation;
mod note_key;
mod operations;
mod pending_row;
mod record;
mod record_attempts;
mod request_cancel;
mod retention;
mod transaction;

pub(super) use self::accept::Accept;
pub(super) use self::accept_group::AcceptGroup;
pub(super) use self::api_keys::SaveApiKey;
pub(super) use self::command::{Command, QueuedCommand, queue};
pub(super) use self::controls::{RemoveControl, SetControl};
pub(super) use self::declarations::{ForgetDeclarations, RememberDeclarations};
pub(super) use self::index_newest::{IndexedRow, index_all, index_if_many};
pub(super) use self::note_key::NoteKey;
pub(super) use self::operations::{RemoveOperations, SaveOperation};
pub(super) use self::record::RecordResult;
pub(super) use self::record_attempts::RecordAttempts;
pub(super) use self::request_cancel::RequestCancel;
pub(super) use self::retention::{Purge, Remove};
pub(super) use self::transaction::{ServiceIds, Tx, TxChanges};
