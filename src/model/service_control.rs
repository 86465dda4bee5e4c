//! What an operator has done to a service: paused or disabled it.

use jiff::Timestamp;

use crate::model::id::ServiceName;

/// That a service is paused, disabled, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceControl {
    /// The service.
    pub service: ServiceName,
    /// That it is paused: its background work waits, and synchronous calls are refused.
    pub paused: Option<Paused>,
    /// That it is disabled: every call is refused, and what is pending waits.
    pub disabled: Option<Disabled>,
}

/// The pause of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// Whether it leaves synchronous calls alone.
    pub background_only: bool,
    /// Who paused it and why.
    pub cause: ControlCause,
    /// When that was.
    pub time: Timestamp,
}

/// That a service is disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// Who disabled it and why.
    pub cause: ControlCause,
    /// When that was.
    pub time: Timestamp,
}

/// Who pauses or disables a service, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlCause {
    /// The reason that the operator gives; empty if there is none.
    pub reason: String,
    /// The operator, as far as the node knows; empty if it does not.
    pub principal: String,
}

impl ControlCause {
    /// The longest reason, in bytes.
    pub const MAX_REASON_BYTES: usize = 1024;
}

impl ServiceControl {
    /// That of a service which is neither paused nor disabled.
    #[must_use]
    pub fn none(service: ServiceName) -> Self {
        Self {
            service,
            paused: None,
            disabled: None,
        }
    }

    /// Whether the service is paused or disabled.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.paused.is_some() || self.disabled.is_some()
    }

    /// Whether it is paused, and synchronous calls go on.
    #[must_use]
    pub fn is_background_only(&self) -> bool {
        let paused = self.paused.as_ref();
        paused.is_some_and(|paused| paused.background_only)
    }

    /// Who made the last of the changes that are in force, why, and when.
    #[must_use]
    pub fn last_change(&self) -> Option<(&ControlCause, Timestamp)> {
        let paused = self.paused.as_ref().map(|it| (&it.cause, it.time));
        let disabled = self.disabled.as_ref().map(|it| (&it.cause, it.time));
        paused.into_iter().chain(disabled).max_by_key(|it| it.1)
    }
}
