//! Paused and disabled services.

use jiff::Timestamp;

use crate::codec::convert::time::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::model::service_control::{ControlCause, ServiceControl};

/// Converts a control to the contract's form.
#[must_use]
pub fn service_control_to_proto(control: &ServiceControl) -> v1::ServiceControl {
    let last = control.last_change();
    let last = last.map(|(cause, time)| cause_to_proto(cause, time));
    let last = last.unwrap_or_default();
    let (paused, disabled) = (control.paused.as_ref(), control.disabled.as_ref());
    v1::ServiceControl {
        service: control.service.to_string(),
        paused: paused.is_some(),
        background_only: control.is_background_only(),
        disabled: disabled.is_some(),
        reason: last.reason,
        principal: last.principal,
        time: last.time,
        pause: paused.map(|paused| cause_to_proto(&paused.cause, paused.time)),
        disable: disabled.map(|disabled| cause_to_proto(&disabled.cause, disabled.time)),
    }
}

fn cause_to_proto(cause: &ControlCause, time: Timestamp) -> v1::ControlCause {
    v1::ControlCause {
        reason: cause.reason.clone(),
        principal: cause.principal.clone(),
        time: Some(timestamp_to_proto(time)),
    }
}
