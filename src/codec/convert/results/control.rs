//! Paused and disabled services.

use crate::codec::convert::time::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::model::service_control::ServiceControl;

/// Converts a control to the contract's form.
#[must_use]
pub fn service_control_to_proto(control: &ServiceControl) -> v1::ServiceControl {
    v1::ServiceControl {
        service: control.service.to_string(),
        paused: control.paused,
        background_only: control.background_only,
        disabled: control.disabled,
        reason: control.cause.reason.clone(),
        principal: control.cause.principal.clone(),
        time: Some(timestamp_to_proto(control.time)),
    }
}
