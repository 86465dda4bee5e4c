//! Responses of services as the response messages of their typed methods.

use bytes::Bytes;
use prost_types::Any;

use super::catalog::Catalog;
use super::request;
use crate::codec::typed::{Method, encode};
use crate::codec::{payload, sio};
use crate::engine::Invoker;
use crate::model::error::{Error, Result, reason};
use crate::model::payload::{Format, Payload};
use crate::model::sio::Sio;
use crate::service::output_invalid;

/// Encodes the response of a service as the response message of its method, of at most `limit` bytes.
///
/// # Errors
///
/// `OUTPUT_INVALID` for a response that does not match the declaration; `MESSAGE_TOO_LARGE`.
pub(super) fn encode_response(method: &Method, payload: Payload, limit: usize) -> Result<Bytes> {
    let value = payload::decode(payload).map_err(output_invalid)?;
    let body = encode(&method.response, &value).map_err(|violation| {
        output_invalid(Error::violations(reason::OUTPUT_INVALID, vec![violation]))
    })?;
    match body.len() > limit {
        true => Err(request::too_large(body.len(), limit)),
        false => Ok(body),
    }
}

/// The response of a stored invocation as the response message of the typed method that its service has now.
///
/// # Errors
///
/// `NO_TYPED_METHOD`; `FORMAT_INVALID` for CSV and text; those of [`encode_response`].
pub(super) async fn stored_response(
    invoker: &Invoker,
    catalog: &Catalog,
    service: &str,
    payload: Payload,
) -> Result<Any> {
    let snapshot = catalog.current().await;
    let Some(method) = snapshot.directory.of(service) else {
        let note = snapshot.directory.note(service);
        let note = note.map(|note| note.text(|service| invoker.sees_service(service)));
        let note = note.as_deref();
        let note = note.unwrap_or("it is not known here at the moment");
        let message =
            format!("`{service}` has no typed method: {note}; get the outcome without `typed`");
        return Err(Error::failed_precondition(reason::NO_TYPED_METHOD, message));
    };
    let restored = restored(invoker.definition(service)?.declaration(), payload)?;
    let body = encode_response(method, restored, invoker.limits().message_bytes)?;
    let (package, name) = (&method.package, &method.response.message.name);
    Ok(Any {
        type_url: format!("type.googleapis.com/{package}.{name}"),
        value: body.into(),
    })
}

/// A stored output with the types of its declaration, some of which are text in what is stored.
fn restored(sio: &Sio, payload: Payload) -> Result<Payload> {
    match payload {
        Payload::Document(_, Format::Csv | Format::Text | Format::Form) => {
            let message = "the response is a document of CSV, text or a form: get the outcome without `typed`";
            Err(Error::invalid_argument(reason::FORMAT_INVALID, message))
        }
        payload => sio::read_output(sio, Payload::Value(payload::decode(payload)?)),
    }
}
