//! `/console/session`: who has logged in to the console. The page logs in with an API key, which it does not keep: the
//! browser has a cookie then, which no script can read.

use std::sync::Arc;

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use super::body::read;
use super::media::media_type;
use super::problem::Problem;
use super::respond::object;
use crate::codec::convert::{caller_to_proto, timestamp_to_proto};
use crate::codec::{json, objects};
use crate::dict;
use crate::edge::auth::{Authenticated, SessionCookie, cross_site};
use crate::edge::connection::Connection;
use crate::edge::port_auth::PortAuth;
use crate::engine::Invoker;
use crate::model::access::{Caller, Quota};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::value::Value;

/// The longest body of a log-in, in bytes: that of a credential, and what JSON adds.
const MAX_BODY: usize = 10 * 1024;
const API_KEY: &str = "api_key";
const JSON: &str = "application/json";

/// Answers a request.
///
/// # Errors
///
/// `PERMISSION_DENIED` / `CROSS_SITE`; the errors of authentication, of a body, and of its JSON;
/// `FAILED_PRECONDITION` / `AUTHENTICATION_OFF`; `RESOURCE_EXHAUSTED` / `SESSION_LIMIT`.
pub(super) async fn answer(
    invoker: &Invoker,
    auth: &PortAuth,
    connection: &Arc<Connection>,
    mut request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let cookie = request.extensions().get::<SessionCookie>().cloned();
    let mut response = match *request.method() {
        Method::POST => log_in(auth, connection, cookie, request).await?,
        Method::DELETE => log_out(auth, connection, cookie)?,
        _ => {
            let quota = |caller: &_| invoker.quota_of(caller);
            show(quota, auth, connection, cookie.as_ref(), &mut request)?
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Begins a session. That of before ends.
async fn log_in(
    auth: &PortAuth,
    connection: &Arc<Connection>,
    cookie: Option<SessionCookie>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let cookie = of_page(cookie)?;
    let (parts, body) = request.into_parts();
    // A page of another site can send every type that a form has.
    if media_type(&parts.headers)?.as_deref() != Some(JSON) {
        let message = format!("the body of a log-in is `{JSON}`");
        let error = Error::invalid_argument(reason::MEDIA_TYPE_UNSUPPORTED, message);
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
    }
    let body = read(body, length(&parts.headers), MAX_BODY, connection).await?;
    let key = api_key(&body.bytes)?;
    let session = auth.log_in(&key, parts.uri.path(), connection)?;
    if let Some(before) = cookie.token()? {
        auth.log_out(before, connection);
    }
    Ok(set_cookie(
        &cookie,
        &session.token,
        session.max_age.as_secs(),
    ))
}

/// Ends the session, if there is one.
fn log_out(
    auth: &PortAuth,
    connection: &Connection,
    cookie: Option<SessionCookie>,
) -> Result<Response<Body>> {
    let cookie = of_page(cookie)?;
    if let Some(token) = cookie.token()? {
        auth.log_out(token, connection);
    }
    Ok(set_cookie(&cookie, "", 0))
}

/// Says who the caller is, and whether it has to log in.
fn show(
    quota: impl Fn(&Caller) -> Quota,
    auth: &PortAuth,
    connection: &Arc<Connection>,
    cookie: Option<&SessionCookie>,
    request: &mut Request<Body>,
) -> Result<Response<Body>> {
    let mut is_over = false;
    let mut found = None;
    if auth.has_credential(request, connection) {
        match auth.authenticate(request, connection) {
            Ok(authenticated) => found = authenticated,
            Err(error) if error.reason() == reason::CREDENTIAL_INVALID && cookie.is_some() => {
                is_over = true;
                // Its cookie is taken out: a certificate of the client may be left.
                if auth.has_credential(request, connection) {
                    found = auth.authenticate(request, connection)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    let is_on = auth.is_on();
    let session = found.as_ref().and_then(Authenticated::session);
    let caller = match &found {
        Some(found) => {
            let expire_time = found.expire_time().map(|it| it.0);
            let quota = quota(&found.caller);
            objects::caller(&caller_to_proto(&found.caller, &quota, expire_time)).into()
        }
        None if is_on => Value::Null,
        None => {
            let anyone = Caller::Trusted;
            objects::caller(&caller_to_proto(&anyone, &quota(&anyone), None)).into()
        }
    };
    let session_end = session.and_then(|session| session.expire_time());
    let answer = dict! {
        "authentication": is_on,
        "session": session.is_some(),
        "client_certificate": auth.has_certificate(connection),
        "caller": caller,
        "session_expire_time": objects::time_value(session_end.map(timestamp_to_proto).as_ref()),
        "version": env!("CARGO_PKG_VERSION"),
    };
    let mut response = object(StatusCode::OK, &answer.into(), connection)?;
    if let Some(cookie) = cookie.filter(|_| is_over).and_then(|it| it.set("", 0)) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What the page of the node sends with each request.
fn of_page(cookie: Option<SessionCookie>) -> Result<SessionCookie> {
    let cookie =
        cookie.ok_or_else(|| cross_site("the request has no header `cidery-console: 1`"))?;
    cookie.check_page()?;
    Ok(cookie)
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The key in a body. No error shows any of it.
fn api_key(body: &[u8]) -> Result<String> {
    let refused = |path: &str, code, message: &str| {
        let violation = Violation::new(path.to_owned(), code, message);
        Error::violations(reason::REQUEST_INVALID, vec![violation])
    };
    let malformed = || refused("", "MALFORMED", "is not an object with an `api_key`");
    let Ok(Value::Dict(mut object)) = json::read(body) else {
        return Err(malformed());
    };
    let key = object.remove(API_KEY);
    if !object.is_empty() {
        return Err(malformed());
    }
    match key {
        Some(Value::Text(key)) => Ok(key.trim().to_owned()),
        _ => Err(refused("/api_key", "MISSING", "is required, and a text")),
    }
}

fn set_cookie(cookie: &SessionCookie, token: &str, max_age_seconds: u64) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(cookie) = cookie.set(token, max_age_seconds) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
