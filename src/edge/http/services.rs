//! `/services`: lists and describes services.

use axum::body::Body;
use http::{Response, StatusCode};

use super::invocations::refused;
use super::problem::Problem;
use super::query::Query;
use super::request::HttpRequest;
use super::respond::object;
use crate::codec::objects;
use crate::codec::proto::v1;
use crate::codec::proto::v1::discovery_service_server::DiscoveryService as _;
use crate::dict;
use crate::edge::grpc::DiscoveryApi;
use crate::model::error::Result;

/// Answers `GET /services`.
///
/// # Errors
///
/// As for `ListServices`.
pub(super) async fn list(
    api: &DiscoveryApi,
    request: HttpRequest,
) -> Result<Response<Body>, Problem> {
    let mut query = Query::new(&request.parts.uri);
    let message = v1::ListServicesRequest {
        name_prefix: query.text("name_prefix").unwrap_or_default(),
        page_size: query.page_size(),
        page_token: query.text("page_token").unwrap_or_default(),
    };
    query.finish()?;
    let listed = api.list_services(request.to_grpc(message)).await;
    let listed = listed.map_err(|status| refused(&status))?.into_inner();
    let page = dict! {
        "services": listed.services.iter().map(objects::service).collect::<Vec<_>>(),
        "next_page_token": objects::text_value(&listed.next_page_token),
    };
    Ok(object(
        StatusCode::OK,
        &page.into(),
        &request.peer.connection,
    )?)
}

/// Answers `GET /services/{service}`.
///
/// # Errors
///
/// As for `GetService`.
pub(super) async fn get(
    api: &DiscoveryApi,
    request: HttpRequest,
) -> Result<Response<Body>, Problem> {
    Query::new(&request.parts.uri).finish()?;
    let service = request.name()?;
    let message = v1::GetServiceRequest { service };
    let found = api.get_service(request.to_grpc(message)).await;
    let found = found.map_err(|status| refused(&status))?.into_inner();
    let service = objects::service_description(&found.service.unwrap_or_default());
    Ok(object(StatusCode::OK, &service, &request.peer.connection)?)
}
