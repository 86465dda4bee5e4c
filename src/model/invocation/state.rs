//! The state machine of an invocation: which state follows which transition. A pure table without side effects.

/// The state of an invocation. The last four states are terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvocationState {
    /// Accepted, and due now or later.
    Pending {
        /// Whether an attempt was started before.
        started: bool,
    },
    /// An attempt is running.
    Running {
        /// Whether its cancellation was requested.
        cancel_requested: bool,
    },
    /// Ended with a response.
    Succeeded,
    /// Ended with a failure.
    Failed,
    /// Ended by a cancellation.
    Cancelled,
    /// Ended because it did not start before its expiration.
    Expired,
}

/// A transition of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// An attempt starts.
    Start,
    /// The handler answered.
    Response,
    /// The attempt failed.
    Failure {
        /// Whether another attempt follows: the failure is retryable and attempts are left.
        retried: bool,
    },
    /// The attempt was lost with its worker.
    Lost {
        /// Whether another attempt follows.
        budget_left: bool,
    },
    /// The worker returned the attempt to the queue; it does not count.
    HandedBack,
    /// A cancellation is requested.
    Cancel,
    /// A cancelled handler did not stop within the grace period.
    GraceExpired,
    /// Its expiration passed.
    ExpirationPassed,
    /// Its deadline passed.
    DeadlinePassed,
    /// Its stored input no longer matches the declaration of the service.
    InputRejected,
    /// The node restarted after a crash.
    UncleanRestart {
        /// Whether no attempt follows: the crash limit is reached, or it runs at most once.
        poisoned: bool,
    },
    /// The attempt failed and none is left: the invocation is held, as a dead letter, until it is retried or cancelled.
    Hold,
    /// The handler answered "later": the outcome comes from outside.
    AwaitCompletion,
    /// No connected worker accepts its input, or its service was paused: it is polled again later.
    Defer,
    /// It was held or deferred, and is due now.
    Release,
    /// The last member of the group ended.
    MembersEnded,
}

impl InvocationState {
    /// The initial state.
    pub const ACCEPTED: Self = Self::Pending { started: false };

    /// The state of an invocation whose attempt runs.
    pub const RUNNING: Self = Self::Running {
        cancel_requested: false,
    };

    /// The name of the state in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending { .. } => "PENDING",
            Self::Running { .. } => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
        }
    }

    /// Whether the state is terminal.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending { .. } | Self::Running { .. } => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired => true,
        }
    }

    /// The state after a transition: `None` where the transition is impossible or too late. Terminal states ignore
    /// every transition: the first terminal write wins.
    #[doc(hidden)]
    #[must_use]
    pub const fn after(self, transition: Transition) -> Option<Self> {
        match self {
            Self::Pending { started } => Self::after_pending(started, transition),
            Self::Running {
                cancel_requested: false,
            } => Self::after_running(transition),
            Self::Running {
                cancel_requested: true,
            } => Self::after_cancel_request(transition),
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired => None,
        }
    }

    const fn after_pending(started: bool, transition: Transition) -> Option<Self> {
        match transition {
            Transition::Start => Some(Self::Running {
                cancel_requested: false,
            }),
            Transition::Cancel => Some(Self::Cancelled),
            Transition::ExpirationPassed if started => Some(Self::Pending { started }),
            Transition::ExpirationPassed => Some(Self::Expired),
            Transition::DeadlinePassed if started => Some(Self::Failed),
            Transition::DeadlinePassed => Some(Self::Expired),
            Transition::InputRejected => Some(Self::Failed),
            Transition::UncleanRestart { poisoned: true } if started => Some(Self::Failed),
            Transition::UncleanRestart { .. } | Transition::Defer | Transition::Release => {
                Some(Self::Pending { started })
            }
            Transition::MembersEnded => Some(Self::Succeeded),
            Transition::Response
            | Transition::Failure { .. }
            | Transition::Lost { .. }
            | Transition::HandedBack
            | Transition::Hold
            | Transition::AwaitCompletion
            | Transition::GraceExpired => None,
        }
    }

    const fn after_running(transition: Transition) -> Option<Self> {
        match transition {
            Transition::Response => Some(Self::Succeeded),
            Transition::Failure { retried: true }
            | Transition::Lost { budget_left: true }
            | Transition::HandedBack
            | Transition::Hold
            | Transition::AwaitCompletion
            | Transition::UncleanRestart { poisoned: false } => {
                Some(Self::Pending { started: true })
            }
            Transition::Failure { retried: false }
            | Transition::Lost { budget_left: false }
            | Transition::DeadlinePassed
            | Transition::UncleanRestart { poisoned: true } => Some(Self::Failed),
            Transition::Cancel => Some(Self::Running {
                cancel_requested: true,
            }),
            Transition::ExpirationPassed => Some(Self::Running {
                cancel_requested: false,
            }),
            Transition::Start
            | Transition::GraceExpired
            | Transition::InputRejected
            | Transition::Defer
            | Transition::Release
            | Transition::MembersEnded => None,
        }
    }

    const fn after_cancel_request(transition: Transition) -> Option<Self> {
        match transition {
            Transition::Response => Some(Self::Succeeded),
            Transition::Failure { .. }
            | Transition::Lost { .. }
            | Transition::HandedBack
            | Transition::Hold
            | Transition::AwaitCompletion
            | Transition::GraceExpired
            | Transition::DeadlinePassed
            | Transition::UncleanRestart { .. } => Some(Self::Cancelled),
            Transition::Cancel | Transition::ExpirationPassed => Some(Self::Running {
                cancel_requested: true,
            }),
            Transition::Start
            | Transition::InputRejected
            | Transition::Defer
            | Transition::Release
            | Transition::MembersEnded => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRANSITIONS: [Transition; 19] = [
        Transition::Start,
        Transition::Response,
        Transition::Failure { retried: true },
        Transition::Failure { retried: false },
        Transition::Lost { budget_left: true },
        Transition::Lost { budget_left: false },
        Transition::HandedBack,
        Transition::Cancel,
        Transition::GraceExpired,
        Transition::ExpirationPassed,
        Transition::DeadlinePassed,
        Transition::InputRejected,
        Transition::UncleanRestart { poisoned: false },
        Transition::UncleanRestart { poisoned: true },
        Transition::Hold,
        Transition::AwaitCompletion,
        Transition::Defer,
        Transition::Release,
        Transition::MembersEnded,
    ];

    /// The whole table, row by row: `P` pending, `R` running, `Q` running with a cancel request, `S` `F` `C`
    /// `E` terminal, `-` refused. Columns: never started, pending again, running, cancel requested.
    #[test]
    fn the_transition_table_holds() {
        let table = [
            "RR--", "--SS", "--PC", "--FC", "--PC", "--FC", "--PC", "CCQQ", "---C", "EPRQ", "EFFC",
            "FF--", "PPPC", "PFFC", "--PC", "--PC", "PP--", "PP--", "SS--",
        ];
        let columns = [
            InvocationState::Pending { started: false },
            InvocationState::Pending { started: true },
            InvocationState::Running {
                cancel_requested: false,
            },
            InvocationState::Running {
                cancel_requested: true,
            },
        ];
        for (transition, row) in TRANSITIONS.into_iter().zip(table) {
            for (state, cell) in columns.into_iter().zip(row.chars()) {
                let letter = match state.after(transition) {
                    None => '-',
                    Some(InvocationState::Pending { .. }) => 'P',
                    Some(InvocationState::Running {
                        cancel_requested: false,
                    }) => 'R',
                    Some(InvocationState::Running {
                        cancel_requested: true,
                    }) => 'Q',
                    Some(InvocationState::Succeeded) => 'S',
                    Some(InvocationState::Failed) => 'F',
                    Some(InvocationState::Cancelled) => 'C',
                    Some(InvocationState::Expired) => 'E',
                };
                assert_eq!(letter, cell, "{state:?} after {transition:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_transition_leaves_a_terminal_state(transitions in prop::collection::vec(0..TRANSITIONS.len(), 0..40)) {
            let mut state = InvocationState::ACCEPTED;
            for transition in transitions.into_iter().map(|i| TRANSITIONS[i]) {
                let next = state.after(transition);
                prop_assert!(!state.is_terminal() || next.is_none());
                state = next.unwrap_or(state);
            }
        }

        #[test]
        fn a_cancel_request_never_leads_back_to_pending(i in 0..TRANSITIONS.len()) {
            let state = InvocationState::Running { cancel_requested: true };
            let after = state.after(TRANSITIONS[i]);
            prop_assert!(!matches!(after, Some(InvocationState::Pending { .. })), "{:?}", TRANSITIONS[i]);
        }
    }
}
