//! States of invocations, and reasons to be pending, as values of options.

use clap::ValueEnum;

use crate::codec::proto::v1;

/// The state of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StateArg {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Expired,
}

impl StateArg {
    pub(super) fn to_proto(self) -> v1::State {
        match self {
            Self::Pending => v1::State::Pending,
            Self::Running => v1::State::Running,
            Self::Succeeded => v1::State::Succeeded,
            Self::Failed => v1::State::Failed,
            Self::Cancelled => v1::State::Cancelled,
            Self::Expired => v1::State::Expired,
        }
    }
}

/// Why an invocation is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PendingArg {
    #[value(alias = "due_later")]
    DueLater,
    Queued,
    Backoff,
    #[value(alias = "no_worker")]
    NoWorker,
    #[value(alias = "no_compatible_worker")]
    NoCompatibleWorker,
    #[value(alias = "key_busy")]
    KeyBusy,
    Paused,
    Held,
}

impl PendingArg {
    pub(super) fn to_proto(self) -> v1::PendingReason {
        match self {
            Self::DueLater => v1::PendingReason::DueLater,
            Self::Queued => v1::PendingReason::Queued,
            Self::Backoff => v1::PendingReason::Backoff,
            Self::NoWorker => v1::PendingReason::NoWorker,
            Self::NoCompatibleWorker => v1::PendingReason::NoCompatibleWorker,
            Self::KeyBusy => v1::PendingReason::KeyBusy,
            Self::Paused => v1::PendingReason::Paused,
            Self::Held => v1::PendingReason::Held,
        }
    }
}
