//! `GetInvocation` and `ListInvocations`: lookup by CID or idempotency key, and listing by filter.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tonic::metadata::MetadataMap;

use super::filter::{self, RequestFilter};
use super::view;
use crate::codec::convert::{
    FieldErrors, duration_from_proto, enum_from_proto, page_size_from_proto, parse_optional_cid,
};
use crate::codec::proto::v1;
use crate::edge::connection::Connection;
use crate::edge::grpc::catalog::Catalog;
use crate::edge::grpc::request;
use crate::edge::grpc::typed_response::stored_response;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{Cid, ServiceName};
use crate::remote::worker_registry::WorkerRegistry;

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// How many bytes of the connection's budget a page takes while it is read.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// How many CIDs of children, and of callbacks, the full view lists.
const MAX_CHILDREN: usize = 100;

/// The CID of the requested invocation, given directly or by a service and an idempotency key.
pub(super) async fn requested_cid(
    invoker: &Invoker,
    message: &v1::GetInvocationRequest,
) -> Result<Cid> {
    if let Some(cid) = parse_optional_cid("cid", &message.cid)? {
        return Ok(cid);
    }
    if message.service.is_empty() || message.idempotency_key.is_empty() {
        let message = "is required, unless `service` and `idempotency_key` are given";
        let violation = Violation::new("/cid", "MISSING", message);
        return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
    }
    let service = ServiceName::parse(&message.service)?;
    let key = message.idempotency_key.clone();
    invoker.find_by_key(service, key).await
}

/// What `GetInvocation` needs besides its message.
pub(super) struct GetContext<'a> {
    pub(super) invoker: &'a Invoker,
    pub(super) workers: &'a WorkerRegistry,
    pub(super) catalog: &'a Catalog,
    pub(super) connection: Option<&'a Arc<Connection>>,
    pub(super) transport: &'a MetadataMap,
}

/// Returns an invocation, after waiting for its end if the request asks for it.
pub(super) async fn get(
    context: GetContext<'_>,
    cid: Cid,
    message: v1::GetInvocationRequest,
) -> Result<v1::GetInvocationResponse> {
    let GetContext {
        invoker,
        workers,
        catalog,
        connection,
        transport,
    } = context;
    let mut errors = FieldErrors::default();
    let wait = errors.take(duration_from_proto("/wait", message.wait));
    let wait = wait.unwrap_or(Duration::ZERO);
    // The response is sent within the deadline of the caller.
    let wait = errors
        .take(request::timeout(Some(wait), transport))
        .unwrap_or(wait);
    let view: v1::InvocationView = errors.take(enum_from_proto("/view", message.view));
    errors.finish()?;
    let full = view == v1::InvocationView::Full;
    let wait = match request::dispatch_token(transport) {
        None => wait,
        Some(token) => {
            // A nested call: the calling handler releases its permits while it waits.
            let caller = workers.context(token, invoker.caller())?;
            caller.platform().wait_for(cid, wait).await?;
            Duration::ZERO
        }
    };
    let (found, _held) = match connection {
        Some(connection) => {
            let found = invoker.find_within(cid, wait, &connection.answered);
            found.await?
        }
        None => (invoker.find(cid, wait).await?, None),
    };
    let typed = match found.invocation.outcome() {
        Some(Ok(reply)) if message.typed => {
            let service = found.invocation.request.service.as_str();
            Some(stored_response(invoker, catalog, service, reply.payload).await?)
        }
        _ => None,
    };
    let outlook = match full {
        true => Some(invoker.outlook(&found).await),
        false => None,
    };
    let mut invocation = view::view_to_proto(invoker, found, view)?;
    if let Some(outlook) = outlook {
        view::add_outlook(&mut invocation, outlook);
    }
    if let (Some(typed), Some(outcome)) = (typed, &mut invocation.outcome) {
        outcome.outcome = Some(v1::outcome::Outcome::Typed(typed));
    }
    if full {
        let found = invoker.children(cid, MAX_CHILDREN).await?;
        invocation.child_cids = found.children.iter().map(Cid::to_string).collect();
        invocation.callback_cids = found.callbacks.iter().map(Cid::to_string).collect();
    }
    Ok(v1::GetInvocationResponse {
        invocation: Some(invocation),
    })
}

/// Returns one page of invocations, of at most `list_page_bytes`. Secrets in their outcomes are masked.
pub(super) async fn list(
    invoker: &Invoker,
    connection: Option<&Arc<Connection>>,
    message: v1::ListInvocationsRequest,
) -> Result<v1::ListInvocationsResponse> {
    let _held = match connection {
        Some(connection) => Some(connection.answered.admit(PAGE_BYTES).await?),
        None => None,
    };
    let mut errors = FieldErrors::default();
    let view: v1::InvocationView = errors.take(enum_from_proto("/view", message.view));
    let size = page_size_from_proto(message.page_size, DEFAULT_PAGE, MAX_PAGE);
    let size = errors.take(size);
    let before = errors.take(filter::parse_page_token(&message.page_token));
    errors.finish()?;
    let filter = RequestFilter::resolve(invoker, message.filter, &message.filter_expression)?;
    let page = filter.page(invoker, before, size).await?;
    // The store cuts pages by what it has of each invocation, which is about what is sent.
    let mut invocations = Vec::with_capacity(page.found.len());
    let mut room = invoker.limits().list_page_bytes;
    for mut found in page.found {
        view::mask_outcome(invoker, &mut found);
        let mut invocation = view::view_to_proto(invoker, found, view)?;
        view::leave_out_large(&mut invocation, room);
        room = room.saturating_sub(invocation.encoded_len());
        invocations.push(invocation);
    }
    Ok(v1::ListInvocationsResponse {
        invocations,
        next_page_token: filter::page_token(page.next),
    })
}
