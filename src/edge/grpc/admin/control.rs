//! What operators do to services and to the node: pause and resume, disable and enable.

use std::sync::Arc;

use tonic::Extensions;

use crate::codec::convert::service_control_to_proto;
use crate::codec::proto::v1;
use crate::edge::caller::caller;
use crate::edge::connection::Connection;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::service_control::{ControlCause, ServiceControl};

/// Who asks: the principal, or, where authentication is off, the address of the machine.
pub(in crate::edge::grpc) fn principal(invoker: &Invoker, extensions: &Extensions) -> String {
    if let Some(principal) = caller(invoker, extensions).principal() {
        return principal.to_string();
    }
    let connection = extensions.get::<Arc<Connection>>();
    connection.map_or_else(String::new, |it| it.peer.ip().to_string())
}

/// Pauses a service.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` for the reason; `NOT_FOUND` / `SERVICE_UNKNOWN`; the errors of the store.
pub(super) async fn pause(
    invoker: &Invoker,
    request: v1::PauseServiceRequest,
    principal: String,
) -> Result<v1::PauseServiceResponse> {
    let cause = cause(request.reason, principal)?;
    let paused = invoker
        .pause_service(&request.service, request.background_only, cause)
        .await?;
    log("service paused", &paused);
    Ok(v1::PauseServiceResponse {
        control: Some(service_control_to_proto(&paused)),
    })
}

/// Resumes a service.
///
/// # Errors
///
/// `NOT_FOUND` / `SERVICE_UNKNOWN`; the errors of the store.
pub(super) async fn resume(
    invoker: &Invoker,
    request: &v1::ResumeServiceRequest,
    principal: String,
) -> Result<v1::ResumeServiceResponse> {
    let by = principal.clone();
    let was_paused = invoker.resume_service(&request.service, by).await?;
    if was_paused {
        tracing::info!(service.name = %request.service, principal, "service resumed");
    }
    Ok(v1::ResumeServiceResponse { was_paused })
}

/// Disables a service.
///
/// # Errors
///
/// As for [`pause`].
pub(super) async fn disable(
    invoker: &Invoker,
    request: v1::DisableServiceRequest,
    principal: String,
) -> Result<v1::DisableServiceResponse> {
    let cause = cause(request.reason, principal)?;
    let disabled = invoker.disable_service(&request.service, cause).await?;
    log("service disabled", &disabled);
    Ok(v1::DisableServiceResponse {
        control: Some(service_control_to_proto(&disabled)),
    })
}

/// Enables a service.
///
/// # Errors
///
/// As for [`resume`].
pub(super) async fn enable(
    invoker: &Invoker,
    request: &v1::EnableServiceRequest,
    principal: String,
) -> Result<v1::EnableServiceResponse> {
    let by = principal.clone();
    let was_disabled = invoker.enable_service(&request.service, by).await?;
    if was_disabled {
        tracing::info!(service.name = %request.service, principal, "service enabled");
    }
    Ok(v1::EnableServiceResponse { was_disabled })
}

/// Lets a held node start what it has accepted.
pub(super) fn resume_node(invoker: &Invoker, principal: &str) -> v1::ResumeNodeResponse {
    let was_held = invoker.resume_node(principal);
    if was_held {
        let pending = invoker.store().total_pending_count();
        tracing::info!(pending, principal, "node resumed: it was held");
    }
    v1::ResumeNodeResponse { was_held }
}

fn cause(text: String, principal: String) -> Result<ControlCause> {
    const MAX_BYTES: usize = ControlCause::MAX_REASON_BYTES;
    if text.len() > MAX_BYTES {
        let message = format!("is longer than {MAX_BYTES} bytes");
        let violation = Violation::new("/reason", "TOO_LARGE", message);
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    Ok(ControlCause {
        reason: text,
        principal,
    })
}

fn log(what: &str, control: &ServiceControl) {
    let cause = control.last_change().map(|(cause, _)| cause);
    let ControlCause { reason, principal } = cause.cloned().unwrap_or_default();
    tracing::info!(
        service.name = %control.service,
        background_only = control.is_background_only(),
        reason,
        principal,
        "{what}"
    );
}
