//! The options of a call: headers as those of typed methods, and parameters of the query in the words of the contract.

use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;

use super::prefer::Preferences;
use super::query::{Query, invalid};
use crate::codec::convert::{
    DISPATCH_KEY, complete_retry_policy, duration_to_proto, parse_optional_cid,
    retry_policy_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::typed::CallMode;
use crate::edge::grpc::{apply_headers, is_metadata};
use crate::edge::http_headers::is_of_http;
use crate::model::call::{Call, OnDeadline, Start};
use crate::model::error::Result;
use crate::model::invocation::{OnExhausted, RetryPolicy, Terms};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The parameters of work in the background.
const ASYNC_ONLY: [&str; 13] = [
    "delay",
    "start_time",
    "expiration",
    "deadline",
    "retry_policy.max_attempts",
    "retry_policy.initial_interval",
    "retry_policy.multiplier",
    "retry_policy.max_interval",
    "on_exhausted",
    "concurrency_key",
    "callbacks",
    "failure_callbacks",
    "retention",
];

/// Whether a header is metadata of a call.
fn is_http_metadata(name: &str) -> bool {
    is_metadata(name) && !is_of_http(name)
}

/// Whether a header is none of the options, and no metadata: those that almost every request has. For others this may
/// be false, too.
fn is_no_option(name: &HeaderName) -> bool {
    let names = [
        HOST,
        CONTENT_TYPE,
        CONTENT_LENGTH,
        ACCEPT,
        USER_AGENT,
        ACCEPT_ENCODING,
        CONNECTION,
        AUTHORIZATION,
        ORIGIN,
    ];
    names.contains(name)
}

/// How the caller wants its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mode {
    /// It does not wait.
    pub(super) is_async: bool,
    /// It prefers that.
    pub(super) prefers_async: bool,
    /// How long it waits, where it says so: the call then continues.
    pub(super) wait: Option<Duration>,
}

/// Applies the options of a request to a call.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` with all violations; where only one option is invalid, also `CID_INVALID` or
/// `METADATA_TOO_LARGE`.
pub(super) fn apply(
    call: &mut Call,
    headers: &HeaderMap,
    mut query: Query,
    now: Timestamp,
    retries: &RetryPolicy,
) -> Result<Mode> {
    if query.is_empty() && headers.keys().all(is_no_option) {
        return Ok(Mode::default());
    }
    let preferences = Preferences::read(headers);
    // Both preferences together: wait for as long, then answer as to a call in the background (RFC 7240, 4.3). What
    // only such a call can have is for one that does not wait.
    let waits = preferences.wait.is_some() && !query.is_given(&ASYNC_ONLY);
    let is_async = query.flag("async") || (preferences.respond_async && !waits);
    let mode = Mode {
        is_async,
        prefers_async: preferences.respond_async,
        wait: preferences.wait.filter(|_| !is_async),
    };
    let kind = match is_async {
        true => CallMode::Async,
        false => CallMode::Sync,
    };
    query.take(apply_headers(call, headers, kind, is_http_metadata));
    if headers.contains_key(DISPATCH_KEY) {
        let message = "belongs to a nested call of a handler, which is made over gRPC";
        query.refuse(DISPATCH_KEY, "NOT_ALLOWED", message);
    }
    add_names(call, headers, &mut query);
    let timeout = query.duration("timeout");
    call.timeout = timeout.or(call.timeout);
    if is_async {
        add_terms(call, &mut query, now, retries);
        query.refuse_given(
            &["on_deadline"],
            "is for a caller that waits: not with `async`",
        );
    } else {
        add_waiting(call, &mut query, mode.wait);
        query.refuse_given(
            &ASYNC_ONLY,
            "needs `async`: the call then works in the background",
        );
    }
    query.finish()?;
    Ok(mode)
}

/// The CID and the idempotency key: each stands in a header or in the query.
fn add_names(call: &mut Call, headers: &HeaderMap, query: &mut Query) {
    if let Some(text) = query.text("cid") {
        let cid = query.take(parse_optional_cid("cid", &text));
        call.cid = once(query, "cid", call.cid, cid);
    }
    let of_header = query.take(idempotency_key(headers));
    let of_query = query.text("idempotency_key");
    if of_header.is_none() && of_query.is_none() {
        return;
    }
    let name = "idempotency_key";
    let known = call.durable().idempotency_key.take();
    let key = once(query, name, known, of_header);
    let key = once(query, name, key, of_query);
    if let Some(key) = &key
        && !(1..=Terms::MAX_KEY_BYTES).contains(&key.len())
    {
        let message = format!("has 1 to {} bytes", Terms::MAX_KEY_BYTES);
        query.refuse(name, "OUT_OF_RANGE", &message);
    }
    call.durable().idempotency_key = key;
}

/// The value of an option that is given twice at most, and then with the same value.
fn once<T: PartialEq>(query: &mut Query, name: &str, a: Option<T>, b: Option<T>) -> Option<T> {
    if let (Some(a), Some(b)) = (&a, &b)
        && a != b
    {
        query.refuse(name, "CONFLICT", "has another value in a header");
    }
    b.or(a)
}

/// The header `idempotency-key`: a text in quotes, or as it is.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), more) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let malformed = |message| Err(invalid("idempotency-key", "MALFORMED", message));
    if more.is_some() {
        return malformed("is sent more than once");
    }
    let Ok(text) = value.to_str() else {
        return malformed("is not ASCII text");
    };
    let text = text.trim();
    let Some(quoted) = text.strip_prefix('"') else {
        return match text.contains(['"', ',', ';']) {
            true => malformed(
                "is neither a text in quotes nor one without quotes, commas and semicolons",
            ),
            false => Ok(Some(text.to_owned())),
        };
    };
    match unquoted(quoted) {
        Some(text) => Ok(Some(text)),
        None => malformed("is not a text in quotes"),
    }
}

/// The rest of a quoted text (RFC 8941, a string), after its first quote.
fn unquoted(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => text.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => text.push(c),
        }
    }
    let parameters = chars.as_str().trim_start();
    (parameters.is_empty() || parameters.starts_with(';')).then_some(text)
}

/// What a caller that waits may say.
fn add_waiting(call: &mut Call, query: &mut Query, wait: Option<Duration>) {
    let words = [
        ("cancel", OnDeadline::Cancel),
        ("continue", OnDeadline::Continue),
    ];
    if let Some(on_deadline) = query.word("on_deadline", &words) {
        call.durable().on_deadline = on_deadline;
    }
    if let Some(wait) = wait {
        call.durable().on_deadline = OnDeadline::Continue;
        call.timeout = Some(call.timeout.map_or(wait, |timeout| timeout.min(wait)));
    }
}

/// What a caller that does not wait may say.
fn add_terms(call: &mut Call, query: &mut Query, now: Timestamp, retries: &RetryPolicy) {
    let retry_policy = retry_policy(query, retries);
    let words = [("fail", OnExhausted::Fail), ("hold", OnExhausted::Hold)];
    let on_exhausted = query.word("on_exhausted", &words);
    let delay = query.duration("delay").map(Start::After);
    let start_time = query.time("start_time", now).map(Start::At);
    if let (Some(_), Some(_)) = (&delay, &start_time) {
        query.refuse("start_time", "CONFLICT", "cannot be combined with `delay`");
    }
    let expiration = query.duration("expiration");
    let deadline = query.time("deadline", now);
    let retention = query.duration("retention");
    let concurrency_key = query.text("concurrency_key").filter(|key| !key.is_empty());
    let callbacks = query.texts("callbacks");
    let failure_callbacks = query.texts("failure_callbacks");
    let terms = call.durable();
    terms.start = start_time.or(delay).or(terms.start);
    terms.expiration = expiration;
    terms.deadline = deadline;
    terms.retry_policy = retry_policy;
    terms.on_exhausted = on_exhausted;
    terms.retention = retention;
    terms.concurrency_key = concurrency_key;
    terms.callbacks = callbacks;
    terms.failure_callbacks = failure_callbacks;
}

/// `defaults` has what is not given.
fn retry_policy(query: &mut Query, defaults: &RetryPolicy) -> Option<RetryPolicy> {
    let max_attempts = query.number("retry_policy.max_attempts", "a whole number");
    let multiplier = query.number("retry_policy.multiplier", "a number");
    let initial_interval = query.duration("retry_policy.initial_interval");
    let max_interval = query.duration("retry_policy.max_interval");
    let is_given = max_attempts.is_some()
        || multiplier.is_some()
        || initial_interval.is_some()
        || max_interval.is_some();
    if !is_given {
        return None;
    }
    let mut policy = v1::RetryPolicy {
        max_attempts: max_attempts.unwrap_or_default(),
        initial_interval: initial_interval.map(duration_to_proto),
        multiplier: multiplier.unwrap_or_default(),
        max_interval: max_interval.map(duration_to_proto),
    };
    complete_retry_policy(&mut policy, defaults);
    query.take(retry_policy_from_proto(policy).map(Some))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::model::payload::Payload;

    fn read(query: &str, headers: &[(&'static str, &'static str)]) -> Result<(Call, Mode)> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, HeaderValue::from_static(value));
        }
        let uri = format!("/invoke/x?{query}").parse().unwrap();
        let mut call = Call::new("x", Payload::empty());
        let retries = RetryPolicy::default();
        let now = Timestamp::UNIX_EPOCH;
        let mode = apply(&mut call, &all, Query::new(&uri), now, &retries)?;
        Ok((call, mode))
    }

    #[test]
    fn an_idempotency_key_has_quotes_or_not() {
        for (header, expected) in [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            ("\"a \\\"b\\\\, c\" ; p=1", Some("a \"b\\, c")),
            (
                "8e03978e-40d5-43dd-bc93-6894a57f9324",
                Some("8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ),
            ("\"abc", None),
            ("\"abc\"x", None),
            ("\"a\\b\"", None),
            ("a\"b", None),
            ("", None),
            ("\"\"", None),
        ] {
            let read = read("", &[("idempotency-key", header)]).ok();
            let key = read.and_then(|(mut call, _)| call.durable().idempotency_key.take());
            assert_eq!(key.as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn an_option_has_one_value() {
        let same = [("idempotency-key", "a"), ("cidery-idempotency-key", "a")];
        assert!(read("idempotency_key=a", &same).is_ok());
        let error = read("idempotency_key=b", &same).unwrap_err();
        assert_eq!(error.field_violations()[0].code, "CONFLICT");
        let error = read("async&delay=1s&start_time=2026-11-30", &[]).unwrap_err();
        assert_eq!(error.field_violations()[0].path, "/start_time");
    }

    #[test]
    fn a_caller_that_waits_has_other_options_than_one_that_does_not() {
        let (mut call, mode) = read("timeout=9s", &[("prefer", "wait=5")]).unwrap();
        assert_eq!(call.timeout, Some(Duration::from_secs(5)));
        assert_eq!((mode.wait, call.continues()), (call.timeout, true));
        assert!(!mode.is_async && call.durable().start.is_none());
        let (_, mode) = read("", &[("prefer", "respond-async, wait=5")]).unwrap();
        assert_eq!(
            (mode.is_async, mode.wait),
            (false, Some(Duration::from_secs(5)))
        );
        let (mut call, mode) = read(
            "delay=5s&callbacks=a&callbacks=b&retry_policy.max_attempts=3&on_exhausted=hold",
            &[("prefer", "respond-async, wait=5")],
        )
        .unwrap();
        assert!(mode.is_async && mode.wait.is_none());
        let terms = call.durable();
        assert_eq!(terms.start, Some(Start::After(Duration::from_secs(5))));
        assert_eq!(terms.callbacks, ["a", "b"]);
        assert_eq!(terms.retry_policy.as_ref().unwrap().max_attempts, 3);
        assert_eq!(terms.on_exhausted, Some(OnExhausted::Hold));
        for (query, path) in [
            ("delay=5s", "/delay"),
            ("async&on_deadline=continue", "/on_deadline"),
            (
                "async&retry_policy.multiplier=0.5",
                "/retry_policy/multiplier",
            ),
        ] {
            let error = read(query, &[]).unwrap_err();
            assert_eq!(error.field_violations()[0].path, path, "{query}");
        }
        for query in ["delay=5s", "async&on_deadline=continue"] {
            let error = read(query, &[]).unwrap_err();
            let [violation] = error.field_violations() else {
                panic!("{error:?}");
            };
            assert_eq!(violation.code, "NOT_ALLOWED");
            assert!(violation.message.contains("`async`"), "{violation:?}");
        }
        // Those that are refused are all that work in the background has.
        for name in ASYNC_ONLY {
            let error = read(&format!("async&{name}=%00"), &[]).err();
            let is_known =
                error.is_none_or(|error| error.field_violations()[0].code != "UNKNOWN_KEY");
            assert!(is_known, "{name}");
        }
    }

    /// A call without options is not read further: nothing of what is left out may mean anything.
    #[test]
    fn a_call_without_options_is_as_if_each_were_looked_for() {
        let common = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("accept", "*/*"),
            ("user-agent", "curl"),
            ("accept-encoding", "gzip"),
            ("connection", "keep-alive"),
            ("authorization", "Bearer x"),
            ("origin", "http://localhost"),
        ];
        let is_left_out = |name| is_no_option(&HeaderName::from_static(name));
        for (name, _) in common {
            assert!(is_left_out(name), "{name}");
        }
        // A parameter or a header that changes nothing has everything read.
        let with_more: Vec<_> = common.into_iter().chain([("te", "trailers")]).collect();
        for (query, headers) in [
            ("", &common[..]),
            ("async=false", &common),
            ("", &with_more),
        ] {
            let (call, mode) = read(query, headers).unwrap();
            let plain = Call::new("x", Payload::empty());
            assert_eq!(format!("{call:?}"), format!("{plain:?}"));
            assert_eq!(format!("{mode:?}"), format!("{:?}", Mode::default()));
        }
        for (name, value) in [
            ("cidery-timeout", "2s"),
            ("grpc-timeout", "2S"),
            ("prefer", "wait=2"),
            ("idempotency-key", "x"),
            ("x-request-id", "7"),
            ("traceparent", "00-x"),
        ] {
            assert!(!is_left_out(name), "{name}");
            let headers: Vec<_> = common.into_iter().chain([(name, value)]).collect();
            let (call, _) = read("", &headers).unwrap();
            let plain = Call::new("x", Payload::empty());
            assert_ne!(format!("{call:?}"), format!("{plain:?}"), "{name}");
        }
        assert!(read("dealy=2s", &common).is_err());
    }

    #[test]
    fn headers_of_http_are_no_metadata() {
        let headers = [
            ("accept", "*/*"),
            ("cookie", "a=b"),
            ("origin", "http://localhost"),
            ("sec-fetch-mode", "cors"),
            ("user-agent", "curl"),
            ("x-request-id", "7"),
            ("traceparent", "00-x"),
        ];
        let (call, _) = read("", &headers).unwrap();
        let metadata = call.metadata.unwrap();
        let names: Vec<_> = metadata.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["x-request-id", "traceparent"]);
    }
}
