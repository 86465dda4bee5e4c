"""The span of a handler, where the API of OpenTelemetry is installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cidery._protocol.tracing.trace_context import otel, propagator

if TYPE_CHECKING:
    from cidery._protocol.security.credential import Metadata


@contextlib.contextmanager
def handler_span(name: str, trace: Metadata, attributes: dict[str, Any]) -> Iterator[None]:
    """Runs a handler in a span of its own, child of its dispatch, where OpenTelemetry is there.

    Failures are recorded by their type, without messages, which may quote the input.
    """
    if otel is None:
        yield
        return
    parent = propagator.extract(dict(trace))
    with otel.get_tracer("cidery").start_as_current_span(
        name,
        context=parent,
        kind=otel.SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            kind = type(error).__qualname__
            span.set_status(otel.StatusCode.ERROR, kind)
            span.set_attribute("error.type", kind)
            span.add_event("exception", {"exception.type": kind})
            raise
