//! The spans of an attempt: that of the attempt, and that of its dispatch to a worker.

use super::messaging::process;
use super::span::{Span, SpanKind};
use super::tracer::Tracer;
use crate::model::error::{Error, Kind, Result};
use crate::model::payload::Reply;
use crate::service::InvocationInfo;

/// The spans of an attempt that runs.
#[derive(Debug)]
pub(in crate::engine) struct AttemptTrace {
    attempt: Span,
    /// Where a worker runs it.
    dispatch: Option<Span>,
}

/// How the handler of an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Ended<'a> {
    Answered(&'a Result<Reply>),
    /// It answers later.
    Later,
}

impl AttemptTrace {
    /// Begins them, if the trace is recorded. What the handler does is caused by them.
    #[inline]
    pub(in crate::engine) fn begin(
        tracer: &Tracer,
        info: &mut InvocationInfo,
        worker: Option<&str>,
    ) -> Option<Self> {
        match tracer.is_on() {
            false => None,
            true => Self::begin_recorded(tracer, info, worker),
        }
    }

    fn begin_recorded(
        tracer: &Tracer,
        info: &mut InvocationInfo,
        worker: Option<&str>,
    ) -> Option<Self> {
        let service = info.service.clone();
        let (kind, what) = match info.asynchronous {
            true => (SpanKind::Consumer, "process"),
            false => (SpanKind::Internal, "attempt"),
        };
        let name = || Span::name_of(what, service.as_str());
        let mut attempt = tracer.enter(&mut info.metadata, kind, name)?;
        attempt.set_invocation(info.cid, &service);
        attempt.set_number("cidery.attempt", i64::from(info.attempt));
        if info.asynchronous {
            process(&mut attempt, info.cid, service.as_str());
        }
        let dispatch = worker.and_then(|worker| {
            let name = || Span::name_of("dispatch", service.as_str());
            let mut dispatch = tracer.enter(&mut info.metadata, SpanKind::Client, name)?;
            dispatch.set_text("rpc.system", "grpc");
            dispatch.set_text("rpc.service", "cidery.v1.WorkerService");
            dispatch.set_text("rpc.method", "Serve");
            dispatch.set_invocation(info.cid, &service);
            dispatch.set_text("cidery.worker", worker.to_owned());
            Some(dispatch)
        });
        Some(Self { attempt, dispatch })
    }

    /// Ends them. `stopped`: why the handler was asked to stop, if it was.
    pub(in crate::engine) fn end(self, ended: Ended<'_>, stopped: Option<&Error>) {
        let Self { attempt, dispatch } = self;
        let (outcome, error) = match ended {
            Ended::Later => ("later", None),
            Ended::Answered(Ok(_)) => ("succeeded", None),
            Ended::Answered(Err(error)) => {
                let error = stopped.unwrap_or(error);
                let outcome = match error.kind() {
                    Kind::Cancelled => "cancelled",
                    _ => "failed",
                };
                (outcome, Some(error))
            }
        };
        for mut span in dispatch.into_iter().chain([attempt]) {
            span.set_text("cidery.outcome", outcome);
            if let Some(error) = error {
                span.fail(error);
            }
        }
    }
}
