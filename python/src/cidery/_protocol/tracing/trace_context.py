"""The W3C trace context of calls.

Where the API of OpenTelemetry is installed, it is that of the current span. Elsewhere, and outside
of a span, a handler passes on that of its own call.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cidery._protocol.security.credential import Metadata

# The API of OpenTelemetry, and what reads and writes the headers of W3C.
otel: Any = None
propagator: Any = None
with contextlib.suppress(ImportError):
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    otel, propagator = trace, TraceContextTextMapPropagator()

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
_NO_IDS = ("", "")

_handled: contextvars.ContextVar[Metadata] = contextvars.ContextVar("cidery_trace", default=())


def handled_trace(traceparent: str, tracestate: str) -> Metadata:
    """The trace context of a call, as headers."""
    if not traceparent:
        return ()
    first = ((TRACEPARENT, traceparent),)
    return (*first, (TRACESTATE, tracestate)) if tracestate else first


def enter(trace: Metadata) -> contextvars.Token[Metadata]:
    """Makes the trace context of a call the one that its handler passes on."""
    return _handled.set(trace)


def leave(token: contextvars.Token[Metadata]) -> None:
    """Ends what `enter` began."""
    _handled.reset(token)


def trace_headers(request: Any = None) -> Metadata:
    """The headers of a call: the trace context of its own metadata, or the current one."""
    own = getattr(request, "metadata", None)
    if own is not None and own.get(TRACEPARENT):
        return handled_trace(own[TRACEPARENT], own.get(TRACESTATE, ""))
    return current_trace()


def current_trace() -> Metadata:
    """The current trace context: that of the span under way, or that of the handler's call."""
    if otel is not None and otel.get_current_span().get_span_context().is_valid:
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        return tuple(carrier.items())
    return _handled.get()


def current_ids() -> tuple[str, str]:
    """The IDs of the current trace and span as hexadecimal digits; empty where there is none."""
    if otel is not None:
        context = otel.get_current_span().get_span_context()
        if context.is_valid:
            return f"{context.trace_id:032x}", f"{context.span_id:016x}"
    for key, value in _handled.get():
        parts = value.split("-")
        if key == TRACEPARENT and len(parts) >= 4:
            return parts[1], parts[2]
    return _NO_IDS
