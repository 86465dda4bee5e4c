//! What an operator has done to a service: paused or disabled it.

use jiff::Timestamp;

use crate::model::id::ServiceName;

/// That a service is paused or disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceControl {
    /// The service.
    pub service: ServiceName,
    /// Whether it is paused: its background work waits, and synchronous calls are refused.
    pub paused: bool,
    /// Whether the pause leaves synchronous calls alone.
    pub background_only: bool,
    /// Whether it is disabled: every call is refused, and what is pending waits.
    pub disabled: bool,
    /// Who did it and why.
    pub cause: ControlCause,
    /// When it was last paused or disabled.
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
    pub fn none(service: ServiceName, time: Timestamp) -> Self {
        Self {
            service,
            paused: false,
            background_only: false,
            disabled: false,
            cause: ControlCause::default(),
            time,
        }
    }

    /// Whether the service is paused or disabled.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.paused || self.disabled
    }
}
