//! The tracer: makes the spans of calls whose trace is recorded.

use std::fmt;
use std::sync::Arc;

use super::sampler::Sampler;
use super::span::{Recorder, Span, SpanExporter, SpanKind};
use crate::engine::clock::Clock;
use crate::model::metadata::{Metadata, TRACEPARENT, TRACESTATE};
use crate::model::trace::TraceContext;

/// Makes spans, or none: off by default. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Tracing>>);

/// What spans are made with.
struct Tracing {
    recorder: Arc<Recorder>,
    sampler: Sampler,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing")
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}

impl Tracer {
    /// Records a share of the traces that begin here, from 0 to 1, and those that callers record.
    #[must_use]
    pub fn new(exporter: Arc<dyn SpanExporter>, share: f64, clock: Clock) -> Self {
        Self(Some(Arc::new(Tracing {
            recorder: Arc::new(Recorder { exporter, clock }),
            sampler: Sampler::new(share),
        })))
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The span of a request from outside: a child of the caller's where that is recorded. Where the caller has no
    /// trace, some begin here.
    #[must_use]
    pub fn request(
        &self,
        caller: Option<TraceContext>,
        kind: SpanKind,
        name: impl FnOnce() -> String,
    ) -> Option<Span> {
        let tracing = self.0.as_ref()?;
        let (trace_id, parent) = match caller {
            Some(caller) if caller.sampled => (caller.trace_id, Some(caller.span_id)),
            Some(_) => return None,
            None => (tracing.sampler.begin()?, None),
        };
        let mut span = Span::start(&tracing.recorder, trace_id, parent, kind, name());
        span.set_remote_parent();
        Some(span)
    }

    /// The span of something that is done for a call, if the trace of its metadata is recorded.
    #[must_use]
    pub fn child(
        &self,
        metadata: &Metadata,
        kind: SpanKind,
        name: impl FnOnce() -> String,
    ) -> Option<Span> {
        let tracing = self.0.as_ref()?;
        let parent = metadata.trace().filter(|parent| parent.sampled)?;
        let (trace_id, parent) = (parent.trace_id, Some(parent.span_id));
        let mut span = Span::start(&tracing.recorder, trace_id, parent, kind, name());
        if let Some(tracestate) = metadata.get(TRACESTATE) {
            span.set_tracestate(tracestate);
        }
        Some(span)
    }

    /// As [`child`](Self::child); what is done with the metadata from here on is caused by the span.
    #[must_use]
    pub(in crate::engine) fn enter(
        &self,
        metadata: &mut Arc<Metadata>,
        kind: SpanKind,
        name: impl FnOnce() -> String,
    ) -> Option<Span> {
        let span = self.child(metadata, kind, name)?;
        let context = span.context().to_string();
        Arc::make_mut(metadata).insert(TRACEPARENT, context);
        Some(span)
    }

    /// How many spans were dropped so far; 0 where traces are off.
    #[must_use]
    pub(in crate::engine) fn dropped(&self) -> u64 {
        let exporter = self.0.as_ref().map(|tracing| &tracing.recorder.exporter);
        exporter.map_or(0, |exporter| exporter.dropped())
    }

    /// The context of a trace that is not recorded, for a worker: it must not begin one of its own. `None` where traces
    /// are off: a worker then decides.
    pub(crate) fn not_recorded(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|_| TraceContext {
            trace_id: fastrand::u128(1..),
            span_id: fastrand::u64(1..),
            sampled: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::engine::trace::SpanData;
    use crate::model::error::{Error, reason};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[derive(Default)]
    struct Kept(Mutex<Vec<SpanData>>);

    impl SpanExporter for Kept {
        fn export(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }
    }

    fn metadata(traceparent: &str) -> Arc<Metadata> {
        Arc::new([(TRACEPARENT, traceparent)].into_iter().collect())
    }

    fn tracer(share: f64) -> (Tracer, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        (
            Tracer::new(Arc::clone(&kept) as _, share, Clock::System),
            kept,
        )
    }

    #[test]
    fn only_what_is_recorded_has_a_span() {
        let (on, kept) = tracer(1.0);
        let child = |tracer: &Tracer, traceparent: &str| {
            let mut metadata = metadata(traceparent);
            let before = Arc::clone(&metadata);
            let span = tracer.enter(&mut metadata, SpanKind::Internal, || "a".to_owned());
            // Without a span, the metadata is not even copied.
            assert_eq!(span.is_none(), Arc::ptr_eq(&before, &metadata));
            span.is_some()
        };
        assert!(child(&on, PARENT));
        assert!(!child(&on, &PARENT.replace("-01", "-00")));
        assert!(!child(&on, "nonsense"));
        assert!(!child(&Tracer::default(), PARENT));
        assert_eq!(kept.0.lock().unwrap().len(), 1);
        let request = |tracer: &Tracer, caller| {
            let span = tracer.request(caller, SpanKind::Server, || "a".to_owned());
            span.is_some()
        };
        let unrecorded = TraceContext::parse(&PARENT.replace("-01", "-00"));
        let (off, none) = (Tracer::default(), tracer(0.0).0);
        let recorded = TraceContext::parse(PARENT);
        let seen = [&on, &off, &none]
            .map(|tracer| [None, unrecorded, recorded].map(|caller| request(tracer, caller)));
        let expected = [
            [true, false, true],
            [false, false, false],
            [false, false, true],
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_follows_from_a_span_has_it_as_its_parent() {
        let (tracer, kept) = tracer(1.0);
        let mut metadata = metadata(PARENT);
        let outer = tracer.enter(&mut metadata, SpanKind::Internal, || "outer".to_owned());
        let inner = tracer.child(&metadata, SpanKind::Client, || "inner".to_owned());
        let outer_id = outer.as_ref().unwrap().context().span_id;
        drop(inner);
        drop(outer);
        let kept = kept.0.lock().unwrap();
        let parents: Vec<_> = kept.iter().map(|span| span.parent).collect();
        assert_eq!(parents, [Some(outer_id), Some(0xb7ad_6b71_6920_3331)]);
        assert!(
            kept.iter()
                .all(|span| span.context.trace_id == TraceContext::parse(PARENT).unwrap().trace_id)
        );
    }

    #[test]
    fn a_failure_is_kept_without_its_message() {
        let (tracer, kept) = tracer(1.0);
        for kind in [SpanKind::Server, SpanKind::Internal] {
            let mut span = tracer
                .child(&metadata(PARENT), kind, || "a".to_owned())
                .unwrap();
            span.fail(&Error::invalid_argument(reason::INPUT_INVALID, "swordfish"));
            span.fail(&Error::internal(reason::TRANSPORT, "the second one"));
        }
        let kept = kept.0.lock().unwrap();
        assert!(!format!("{kept:?}").contains("swordfish"));
        let failures: Vec<_> = kept
            .iter()
            .filter_map(|span| span.failure.as_ref())
            .collect();
        assert!(
            failures
                .iter()
                .all(|failure| failure.reason == reason::INPUT_INVALID)
        );
        // What a caller sent is no error of the server.
        assert_eq!([failures[0].is_error, failures[1].is_error], [false, true]);
    }
}
