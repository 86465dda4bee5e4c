//! The HTTP requests of a port that are no gRPC calls, by route, method and status.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::engine::metrics::{Histogram, HistogramSnapshot, SECONDS};

/// What is not known is counted together: routes of the host, and methods that HTTP does not define.
const OTHER: &str = "_OTHER";
/// How many combinations are kept: the status is the host's choice.
const MAX_COUNTS: usize = 1_000;

/// The requests of all routes.
#[derive(Debug, Default)]
pub(in crate::edge) struct HttpRequests(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<Key, u64>,
    durations: BTreeMap<&'static str, Histogram>,
}

/// Route, method and status.
type Key = (&'static str, &'static str, u16);

/// A request that has not ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::edge) struct HttpRequest {
    route: &'static str,
    method: &'static str,
    start: Instant,
}

impl HttpRequest {
    /// A request that begins. `route`: the path of a route of the node, with names in place of what varies.
    pub(in crate::edge) fn begin(route: Option<&'static str>, method: &Method) -> Self {
        Self {
            route: route.unwrap_or(OTHER),
            method: name_of(method),
            start: Instant::now(),
        }
    }
}

impl HttpRequests {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request whose response is there.
    pub(in crate::edge) fn end(&self, request: HttpRequest, status: StatusCode) {
        let HttpRequest {
            route,
            method,
            start,
        } = request;
        let mut state = self.state();
        let duration = state.durations.entry(route).or_default();
        duration.observe_duration(start.elapsed());
        let key = (route, method, status.as_u16());
        let is_full = state.counts.len() >= MAX_COUNTS;
        if let Some(count) = state.counts.get_mut(&key) {
            *count += 1;
        } else if !is_full {
            state.counts.insert(key, 1);
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<Key, u64> {
        self.state().counts.clone()
    }

    pub(super) fn durations(&self) -> Vec<(&'static str, HistogramSnapshot)> {
        let state = self.state();
        let durations = state.durations.iter();
        durations
            .map(|(route, duration)| (*route, Histogram::snapshot(&SECONDS, [duration])))
            .collect()
    }
}

fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_counted_together_and_bounded() {
        let requests = HttpRequests::default();
        let brew = Method::from_bytes(b"BREW").unwrap();
        for method in [&brew, &Method::GET] {
            requests.end(HttpRequest::begin(None, method), StatusCode::NOT_FOUND);
        }
        let counts = requests.counts();
        assert_eq!(counts[&(OTHER, OTHER, 404)], 1);
        assert_eq!(counts[&(OTHER, "GET", 404)], 1);
        assert_eq!(requests.durations()[0].1.count(), 2);
        for status in 100..1_000 {
            for method in [Method::GET, Method::PUT] {
                let status = StatusCode::from_u16(status).unwrap();
                requests.end(HttpRequest::begin(None, &method), status);
            }
        }
        assert_eq!(requests.counts().len(), MAX_COUNTS);
    }
}
