//! The gRPC calls of a port, by method and status.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use http::HeaderMap;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_reflection::pb::{v1, v1alpha};

use crate::codec::proto::DESCRIPTORS;
use crate::engine::metrics::{Histogram, HistogramSnapshot, SECONDS, SHARDS, shard};
use crate::model::error::{Error, Result, reason};

/// How many codes there are, `OK` included.
const CODES: usize = 17;
/// What all methods together are called that the contract does not have: typed methods, whose services are counted by
/// themselves, and those that are unknown.
const OTHER: &str = "_OTHER";

/// The calls of all methods.
#[derive(Debug)]
pub(in crate::edge) struct RpcCalls {
    methods: Vec<Method>,
    /// The index of each method, by its path.
    by_path: HashMap<String, usize, RandomState>,
}

/// The calls of one method.
#[derive(Debug, Default)]
struct Method {
    /// `package.Service/Method`.
    name: String,
    calls: OnceLock<Box<[Calls; SHARDS]>>,
}

/// The copy of one core.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Calls {
    codes: [AtomicU64; CODES],
    duration: Histogram,
}

/// A call that has not ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::edge) struct RpcCall {
    method: usize,
    start: Instant,
}

impl RpcCalls {
    pub(super) fn new() -> Result<Self> {
        let mut methods = vec![Method {
            name: OTHER.to_owned(),
            ..Method::default()
        }];
        let mut by_path = HashMap::default();
        for set in [
            DESCRIPTORS,
            v1::FILE_DESCRIPTOR_SET,
            v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            for name in method_names(set)? {
                by_path.insert(format!("/{name}"), methods.len());
                methods.push(Method {
                    name,
                    ..Method::default()
                });
            }
        }
        Ok(Self { methods, by_path })
    }

    /// A call that begins.
    pub(in crate::edge) fn begin(&self, path: &str) -> RpcCall {
        RpcCall {
            method: self.by_path.get(path).copied().unwrap_or_default(),
            start: Instant::now(),
        }
    }

    /// Counts a call that has ended.
    pub(in crate::edge) fn end(&self, call: RpcCall, code: Code) {
        let Some(method) = self.methods.get(call.method) else {
            return;
        };
        let calls = shard(method.calls.get_or_init(Box::default));
        let code = usize::try_from(code as i32).ok();
        if let Some(count) = code.and_then(|code| calls.codes.get(code)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        calls.duration.observe_duration(call.start.elapsed());
    }

    /// How many calls of each method ended with each code. What never happened is left out.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        let called = self.called();
        called.flat_map(|(name, calls)| {
            let codes = CODE_NAMES.into_iter().enumerate();
            codes.filter_map(move |(code, code_name)| {
                let counts = calls.iter().filter_map(|calls| calls.codes.get(code));
                let count = counts.map(|count| count.load(Ordering::Relaxed)).sum();
                (count > 0).then_some((name, code_name, count))
            })
        })
    }

    /// How long the calls of each method took.
    pub(super) fn durations(&self) -> impl Iterator<Item = (&str, HistogramSnapshot)> {
        self.called().map(|(name, calls)| {
            let parts = calls.iter().map(|calls| &calls.duration);
            (name, Histogram::snapshot(&SECONDS, parts))
        })
    }

    fn called(&self) -> impl Iterator<Item = (&str, &[Calls; SHARDS])> {
        self.methods
            .iter()
            .filter_map(|method| Some((method.name.as_str(), &**method.calls.get()?)))
    }
}

/// The code of headers or trailers with a status.
pub(in crate::edge) fn code_of(headers: &HeaderMap) -> Option<Code> {
    let status = headers.get(Status::GRPC_STATUS)?;
    Some(Code::from_bytes(status.as_bytes()))
}

/// The names of codes, as gRPC writes them.
const CODE_NAMES: [&str; CODES] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The methods of the services in encoded descriptors.
fn method_names(set: &[u8]) -> Result<Vec<String>> {
    let set = FileDescriptorSet::decode(set);
    let set = set.map_err(|error| Error::internal(reason::TRANSPORT, error.to_string()))?;
    let mut names = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let methods = service.method.iter();
            names.extend(
                methods.map(|method| {
                    format!("{}.{}/{}", file.package(), service.name(), method.name())
                }),
            );
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Kind;

    #[test]
    fn codes_are_named_as_kinds_of_errors_are() {
        assert_eq!(CODE_NAMES[0], "OK");
        for kind in Kind::ALL {
            assert_eq!(CODE_NAMES[usize::from(kind.grpc_code())], kind.name());
        }
    }

    #[test]
    fn methods_that_the_contract_does_not_have_are_counted_together() {
        let calls = RpcCalls::new().unwrap();
        for path in [
            "/customer.Service/Get",
            "/x",
            "/cidery.v1.InvocationService/Invoke",
        ] {
            calls.end(calls.begin(path), Code::Ok);
        }
        calls.end(calls.begin("/y"), Code::Unimplemented);
        let counts: Vec<_> = calls.counts().collect();
        assert_eq!(
            counts,
            [
                (OTHER, "OK", 2),
                (OTHER, "UNIMPLEMENTED", 1),
                ("cidery.v1.InvocationService/Invoke", "OK", 1)
            ]
        );
        assert_eq!(calls.durations().next().unwrap().1.count(), 3);
    }
}
