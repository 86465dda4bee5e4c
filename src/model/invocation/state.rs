//! The life of an invocation as a table: which state follows which event. Decides; carries nothing out.

/// Where an invocation stands. The last four are for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Accepted, due now or later.
    Pending {
        /// Whether an attempt was started before.
        started: bool,
    },
    /// An attempt is under way.
    Running {
        /// Whether someone asked for it to be cancelled.
        cancel_requested: bool,
    },
    /// Ended with a response.
    Succeeded,
    /// Ended with a failure.
    Failed,
    /// Ended because someone cancelled it.
    Cancelled,
    /// Ended because it never started in time.
    Expired,
}

/// What can happen to an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// An attempt starts.
    Start,
    /// The handler answered.
    Response,
    /// The attempt failed.
    Failure {
        /// Whether another one follows: the failure is to be retried and attempts are left.
        retried: bool,
    },
    /// The attempt was lost with its worker, or ran out of time.
    Lost {
        /// Whether another one follows.
        budget_left: bool,
    },
    /// The worker gave the attempt back; it does not count.
    HandedBack,
    /// Someone cancels it.
    Cancel,
    /// A handler that was asked to stop has not stopped in time.
    GraceOver,
    /// It should have started by now.
    ExpirationPassed,
    /// It should have ended by now.
    DeadlinePassed,
    /// Its stored input does not fit the service any more.
    InputRefused,
    /// The node comes back after it was killed.
    UncleanRestart {
        /// Whether it was lost this way too often.
        poisoned: bool,
    },
}

impl State {
    /// The first state.
    pub const ACCEPTED: Self = Self::Pending { started: false };

    /// Its name, as the contract writes it.
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

    /// Whether it is for ever.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending { .. } | Self::Running { .. } => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired => true,
        }
    }

    /// The state after a change; `None` where the change cannot happen or comes too late. Terminal states drop every
    /// change: the first terminal write wins.
    #[must_use]
    pub const fn after(self, change: Transition) -> Option<Self> {
        match self {
            Self::Pending { started } => Self::after_pending(started, change),
            Self::Running {
                cancel_requested: false,
            } => Self::after_running(change),
            Self::Running {
                cancel_requested: true,
            } => Self::after_cancel_request(change),
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired => None,
        }
    }

    const fn after_pending(started: bool, change: Transition) -> Option<Self> {
        match change {
            Transition::Start => Some(Self::Running {
                cancel_requested: false,
            }),
            Transition::Cancel => Some(Self::Cancelled),
            Transition::ExpirationPassed if started => Some(Self::Pending { started }),
            Transition::ExpirationPassed => Some(Self::Expired),
            Transition::DeadlinePassed if started => Some(Self::Failed),
            Transition::DeadlinePassed => Some(Self::Expired),
            Transition::InputRefused => Some(Self::Failed),
            Transition::UncleanRestart { poisoned: true } if started => Some(Self::Failed),
            Transition::UncleanRestart { .. } => Some(Self::Pending { started }),
            Transition::Response
            | Transition::Failure { .. }
            | Transition::Lost { .. }
            | Transition::HandedBack
            | Transition::GraceOver => None,
        }
    }

    const fn after_running(change: Transition) -> Option<Self> {
        match change {
            Transition::Response => Some(Self::Succeeded),
            Transition::Failure { retried: true }
            | Transition::Lost { budget_left: true }
            | Transition::HandedBack
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
            Transition::Start | Transition::GraceOver | Transition::InputRefused => None,
        }
    }

    const fn after_cancel_request(change: Transition) -> Option<Self> {
        match change {
            Transition::Response => Some(Self::Succeeded),
            Transition::Failure { .. }
            | Transition::Lost { .. }
            | Transition::HandedBack
            | Transition::GraceOver
            | Transition::DeadlinePassed
            | Transition::UncleanRestart { .. } => Some(Self::Cancelled),
            Transition::Cancel | Transition::ExpirationPassed => Some(Self::Running {
                cancel_requested: true,
            }),
            Transition::Start | Transition::InputRefused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHANGES: [Transition; 14] = [
        Transition::Start,
        Transition::Response,
        Transition::Failure { retried: true },
        Transition::Failure { retried: false },
        Transition::Lost { budget_left: true },
        Transition::Lost { budget_left: false },
        Transition::HandedBack,
        Transition::Cancel,
        Transition::GraceOver,
        Transition::ExpirationPassed,
        Transition::DeadlinePassed,
        Transition::InputRefused,
        Transition::UncleanRestart { poisoned: false },
        Transition::UncleanRestart { poisoned: true },
    ];

    /// The whole table, row by row: `P` pending, `R` running, `Q` running with a cancel request, `S` `F` `C`
    /// `E` terminal, `-` refused. Columns: never started, pending again, running, cancel requested.
    #[test]
    fn the_table_holds() {
        let table = [
            "RR--", "--SS", "--PC", "--FC", "--PC", "--FC", "--PC", "CCQQ", "---C", "EPRQ", "EFFC",
            "FF--", "PPPC", "PFFC",
        ];
        let columns = [
            State::Pending { started: false },
            State::Pending { started: true },
            State::Running {
                cancel_requested: false,
            },
            State::Running {
                cancel_requested: true,
            },
        ];
        for (change, row) in CHANGES.into_iter().zip(table) {
            for (state, cell) in columns.into_iter().zip(row.chars()) {
                let letter = match state.after(change) {
                    None => '-',
                    Some(State::Pending { .. }) => 'P',
                    Some(State::Running {
                        cancel_requested: false,
                    }) => 'R',
                    Some(State::Running {
                        cancel_requested: true,
                    }) => 'Q',
                    Some(State::Succeeded) => 'S',
                    Some(State::Failed) => 'F',
                    Some(State::Cancelled) => 'C',
                    Some(State::Expired) => 'E',
                };
                assert_eq!(letter, cell, "{state:?} after {change:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_leaves_a_terminal_state(changes in prop::collection::vec(0..CHANGES.len(), 0..40)) {
            let mut state = State::ACCEPTED;
            for change in changes.into_iter().map(|i| CHANGES[i]) {
                let next = state.after(change);
                prop_assert!(!state.is_terminal() || next.is_none());
                state = next.unwrap_or(state);
            }
        }

        #[test]
        fn whoever_was_asked_to_stop_does_not_wait_again(i in 0..CHANGES.len()) {
            let state = State::Running { cancel_requested: true };
            prop_assert!(!matches!(state.after(CHANGES[i]), Some(State::Pending { .. })), "{:?}", CHANGES[i]);
        }
    }
}
