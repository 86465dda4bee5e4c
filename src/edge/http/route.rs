//! The table of paths.

use std::collections::HashSet;

use http::Method;

use crate::model::sio::closest_name;

/// A path of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Route {
    /// Invokes a service.
    Invoke,
    /// Lists invocations.
    Invocations,
    /// Reads or cancels an invocation.
    Invocation,
    /// Streams the events of an invocation.
    Events,
    /// Completes an invocation from outside.
    Complete,
    /// Lists services.
    Services,
    /// Describes a service.
    Service,
    /// Whether the node serves.
    Health,
    /// Whether the node is ready for more work.
    Ready,
    /// The services and paths, as OpenAPI.
    OpenApi,
    /// The page that shows them.
    Docs,
    /// What the node counts.
    Metrics,
    /// The web console: its page and files.
    #[cfg(feature = "console")]
    Console,
    /// Who has logged in to it.
    #[cfg(feature = "console")]
    Session,
}

/// All paths: a name in braces stands for one segment, and `{path…}` at the end for all that follow.
const PATHS: &[(&str, Route)] = &[
    ("/invoke/{service}", Route::Invoke),
    ("/invocations", Route::Invocations),
    ("/invocations/{cid}", Route::Invocation),
    ("/invocations/{cid}/events", Route::Events),
    ("/invocations/{cid}/complete", Route::Complete),
    ("/services", Route::Services),
    ("/services/{service}", Route::Service),
    ("/healthz", Route::Health),
    ("/readyz", Route::Ready),
    ("/openapi.json", Route::OpenApi),
    ("/docs", Route::Docs),
    ("/metrics", Route::Metrics),
    #[cfg(feature = "console")]
    ("/", Route::Console),
    #[cfg(feature = "console")]
    ("/console", Route::Console),
    #[cfg(feature = "console")]
    ("/console/session", Route::Session),
    #[cfg(feature = "console")]
    ("/console/{path…}", Route::Console),
];

/// What the paths of calls begin with. They are asked for most, and found first.
const INVOKE_PREFIX: &str = "/invoke/";

impl Route {
    /// The route of a path, and the segment that stands for its name: as it is written, or empty.
    pub(in crate::edge) fn of(path: &str) -> Option<(Self, &str)> {
        if let Some(name) = path.strip_prefix(INVOKE_PREFIX) {
            return is_segment(name).then_some((Self::Invoke, name));
        }
        let mut paths = PATHS.iter();
        paths.find_map(|(pattern, route)| Some((*route, name_in(pattern, path)?)))
    }

    /// The pattern of the route of a path.
    pub(in crate::edge) fn pattern_of(path: &str) -> Option<&'static str> {
        if path.starts_with(INVOKE_PREFIX) {
            return Self::of(path).map(|(route, _)| route.pattern());
        }
        let mut paths = PATHS.iter();
        let found = paths.find(|(pattern, _)| name_in(pattern, path).is_some());
        found.map(|(pattern, _)| *pattern)
    }

    /// The methods that it has, as the header `allow` lists them.
    pub(in crate::edge) fn methods(self) -> &'static str {
        match self {
            Self::Invoke | Self::Complete => "POST, OPTIONS",
            Self::Invocation => "GET, HEAD, DELETE, OPTIONS",
            Self::Invocations
            | Self::Events
            | Self::Services
            | Self::Service
            | Self::Health
            | Self::Ready
            | Self::OpenApi
            | Self::Docs
            | Self::Metrics => "GET, HEAD, OPTIONS",
            #[cfg(feature = "console")]
            Self::Console => "GET, HEAD, OPTIONS",
            #[cfg(feature = "console")]
            Self::Session => "GET, HEAD, POST, DELETE, OPTIONS",
        }
    }

    /// Whether a request for it reads, and counts against the rate of its principal as that of gRPC does
    /// (`edge/reads.rs`).
    pub(super) fn reads(self, method: &Method) -> bool {
        let is_read = matches!(
            self,
            Self::Invocations
                | Self::Invocation
                | Self::Events
                | Self::Services
                | Self::Service
                | Self::OpenApi
        );
        is_read && *method != Method::DELETE
    }

    /// Its path, with names in braces.
    pub(super) fn pattern(self) -> &'static str {
        let mut paths = PATHS.iter();
        paths
            .find(|(_, route)| *route == self)
            .map_or("", |it| it.0)
    }

    /// Whether those who watch the node ask for it, and not callers of services: it has no span.
    pub(super) fn is_of_operators(self) -> bool {
        self.is_open() || self.is_console() || matches!(self, Self::Metrics | Self::OpenApi)
    }

    /// Whether it needs no credential: probes have none, nor have browsers that open a page, and it tells nothing else.
    /// That of sessions asks for one itself.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Health | Self::Ready | Self::Docs) || self.is_console_page()
    }

    /// Whether it is a path of the console.
    #[cfg(feature = "console")]
    pub(super) fn is_console(self) -> bool {
        matches!(self, Self::Console | Self::Session)
    }

    /// Whether it is a page or a file of the console: the same for all.
    #[cfg(feature = "console")]
    pub(in crate::edge) fn is_console_page(self) -> bool {
        self == Self::Console
    }
}

/// Without the console none is.
#[cfg(not(feature = "console"))]
#[expect(clippy::unused_self, reason = "as with the feature `console`")]
impl Route {
    pub(super) fn is_console(self) -> bool {
        false
    }

    pub(in crate::edge) fn is_console_page(self) -> bool {
        false
    }
}

/// What stands for all segments that follow.
const REST: &str = "{path…}";

/// The segment of a path that stands for the name in a pattern; empty where the pattern has none.
fn name_in<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    if let Some(prefix) = pattern.strip_suffix(REST) {
        return path.strip_prefix(prefix);
    }
    let Some((prefix, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some("");
    };
    let (_, suffix) = rest.split_once('}')?;
    let name = path.strip_prefix(prefix)?.strip_suffix(suffix)?;
    is_segment(name).then_some(name)
}

/// Whether a name is one segment of a path.
fn is_segment(name: &str) -> bool {
    !name.is_empty() && !name.as_bytes().contains(&b'/')
}

/// The path of the table that an unknown one probably stands for.
pub(in crate::edge) fn nearest(path: &str) -> Option<&'static str> {
    let mut segments = path.trim_matches('/').split('/');
    let first = format!("/{}", segments.next()?);
    let count = segments.count();
    let root = |pattern: &'static str| {
        let end = pattern.get(1..).and_then(|rest| rest.find('/'));
        end.map_or(pattern, |end| pattern.get(..=end).unwrap_or(pattern))
    };
    // Pages are for people, who do not guess their paths.
    let paths = PATHS.iter().filter(|(_, route)| !route.is_console());
    let paths = paths.map(|(pattern, _)| *pattern);
    let roots: HashSet<&'static str> = paths.clone().map(root).collect();
    let meant = closest_name(&first, &roots)?;
    let below = paths.filter(|pattern| root(pattern) == meant);
    below.min_by_key(|pattern| pattern.matches('/').count().abs_diff(count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
        for (path, expected) in [
            (
                "/invoke/customer.get",
                Some((Route::Invoke, "customer.get")),
            ),
            ("/invoke/a%2Fb", Some((Route::Invoke, "a%2Fb"))),
            ("/invoke/", None),
            ("/invoke", None),
            ("/invoke/a/b", None),
            ("/invoke/a/", None),
            ("/invoke//a", None),
            ("/invocations", Some((Route::Invocations, ""))),
            ("/invocations/", None),
            ("/invocations/x", Some((Route::Invocation, "x"))),
            ("/invocations/x/events", Some((Route::Events, "x"))),
            ("/invocations//events", None),
            ("/invocations/x/complete", Some((Route::Complete, "x"))),
            ("/invocations/x/other", None),
            ("/healthz", Some((Route::Health, ""))),
            ("/healthz/", None),
            ("//healthz", None),
            #[cfg(feature = "console")]
            ("/", Some((Route::Console, ""))),
            #[cfg(feature = "console")]
            ("/console/session", Some((Route::Session, ""))),
            #[cfg(feature = "console")]
            ("/console/a/b.js", Some((Route::Console, "a/b.js"))),
            ("/consoles", None),
        ] {
            assert_eq!(Route::of(path), expected, "{path}");
        }
    }

    #[test]
    fn an_unknown_path_has_a_nearest_one() {
        for (path, expected) in [
            ("/invoke", Some("/invoke/{service}")),
            ("/invoke/a/b", Some("/invoke/{service}")),
            ("/invocation/x", Some("/invocations/{cid}")),
            ("/invocations/x/event", Some("/invocations/{cid}/events")),
            ("/service", Some("/services")),
            ("/health", Some("/healthz")),
            ("/", None),
            ("/favicon.ico", None),
        ] {
            assert_eq!(nearest(path), expected, "{path}");
        }
    }
}
