//! What a check finds: the kinds of faults, what each means, and what to do.

use crate::model::id::Cid;

/// Do this where nothing less helps.
const RESTORE: &str = "restore a backup";

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal: $meaning:literal, $advice:expr;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        impl FaultKind {
            /// Its stable name.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What it means.
            pub(crate) fn meaning(self) -> &'static str {
                match self {
                    $(Self::$kind => $meaning,)*
                }
            }

            /// What to do.
            pub(crate) fn advice(self) -> &'static str {
                match self {
                    $(Self::$kind => $advice,)*
                }
            }
        }
    };
}

kinds! {
    /// SQLite refuses a page, or an index does not agree with its table.
    Damaged "DAMAGED":
        "the file itself is damaged, and other parts of it may be", RESTORE;
    /// A value of the whole store is missing or impossible.
    MetaInvalid "META_INVALID":
        "a value of the whole store is missing or impossible", RESTORE;
    /// A row of state without what was asked.
    StateWithoutInvocation "STATE_WITHOUT_INVOCATION":
        "a state is stored of an invocation that is not", RESTORE;
    /// An invocation that should have a row of state.
    StateMissing "STATE_MISSING":
        "it neither waits nor has ended: it never runs, and is never removed",
        "invoke the service again, with the input that `cidery explain` shows";
    /// An invocation with both rows.
    PendingAndEnded "PENDING_AND_ENDED":
        "it has ended and waits: it may run again", RESTORE;
    /// The outcome is not what the state says.
    OutcomeWrong "OUTCOME_WRONG":
        "its last event does not agree with its state", RESTORE;
    /// Two invocations with one CID.
    CidTwice "CID_TWICE":
        "two invocations have this CID: one of them is not found by it", RESTORE;
    /// An invocation that the index of CIDs lacks.
    CidNotIndexed "CID_NOT_INDEXED":
        "it is not found by its CID: a repeated request is accepted again", RESTORE;
    /// An invocation that the index of services lacks.
    ServiceNotIndexed "SERVICE_NOT_INDEXED":
        "lists of its service leave it out", RESTORE;
    /// An ended invocation that is not in the queue of purges.
    PurgeNotQueued "PURGE_NOT_QUEUED":
        "it is never removed by retention", "`cidery purge CID` once its outcome is not needed";
    /// An entry of an index without what it leads to.
    IndexStale "INDEX_STALE":
        "an index leads to an invocation that is not there, or that is another one", RESTORE;
    /// The service of an invocation is missing, or is another one in its row of state.
    ServiceWrong "SERVICE_WRONG":
        "its service is unknown, or not that of its pending row: it does not run", RESTORE;
    /// The number of open members of a group.
    MembersMiscounted "MEMBERS_MISCOUNTED":
        "the group counts other open members than it has: it ends too early, or never",
        "`cidery cancel CID` of the group, if its members have ended";
    /// A member that may be purged before its group, or never.
    MemberHeldWrong "MEMBER_HELD_WRONG":
        "this member is not kept until its group ends, or is kept for ever", RESTORE;
    /// The head of the queue of a concurrency key.
    HeadWrong "HEAD_WRONG":
        "not the first invocation with its concurrency key is the one that can run: those behind it wait for ever, or \
         two run at once",
        "`cidery cancel CID`: the next one with its key is then marked again";
    /// An invocation that is not woken when it is due.
    WakeLate "WAKE_LATE":
        "it is due before it is looked at: it starts too late, or never",
        "`cidery cancel CID`, then `cidery retry CID`";
    /// An invocation that is noted as retried, and was not, or not as that one.
    RetryWrong "RETRY_WRONG":
        "it is noted as retried by an invocation that does not retry it: the dead-letter queue leaves it out",
        "`cidery retry CID`, if what it was asked for is still to be done";
    /// Two invocations with one idempotency key.
    KeyTwice "KEY_TWICE":
        "two invocations of the service have the same idempotency key: a request was accepted twice", RESTORE;
    /// A tombstone of an invocation that is there.
    TombstoneOfStored "TOMBSTONE_OF_STORED":
        "a tombstone says that it was removed, and it is there", RESTORE;
    /// A request, an event, a failure, progress or a declaration that cannot be decoded.
    Unreadable "UNREADABLE":
        "it cannot be read: it does not run, and its outcome is `STORE_DAMAGED`", RESTORE;
    /// A time before 1970 or far in the future, or an end of the retention before its beginning.
    TimeImplausible "TIME_IMPLAUSIBLE":
        "one of its times cannot be right: the clock of the machine was wrong, or the file is damaged",
        "check the clock of the machine that the node runs on";
    /// A sequence, or a generation, that this store has not reached.
    SequenceBeyond "SEQUENCE_BEYOND":
        "it has a sequence or a generation that the store has not reached, or its sequences do not rise: streams skip \
         events", RESTORE;
}

/// A fault.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// The invocation that it concerns, if it is one.
    pub(crate) cid: Option<Cid>,
    /// What was found.
    pub(crate) detail: String,
}

/// The faults that were found, up to a limit.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) found: Vec<Fault>,
    limit: usize,
    /// Whether there are, or may be, more.
    pub(super) is_cut: bool,
}

impl Faults {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            found: Vec::new(),
            limit,
            is_cut: false,
        }
    }

    /// How many more are asked for.
    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.found.len())
    }

    /// Adds a fault. Returns whether more are asked for.
    pub(super) fn add(&mut self, kind: FaultKind, cid: Option<Cid>, detail: String) -> bool {
        match self.found.len() < self.limit {
            true => self.found.push(Fault { kind, cid, detail }),
            false => self.is_cut = true,
        }
        !self.is_cut
    }
}
