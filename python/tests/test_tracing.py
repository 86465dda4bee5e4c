"""The trace context in handlers, with OpenTelemetry and without."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cidery import AsyncService, Client, Service, Worker
from cidery._protocol.tracing import handler_span, trace_context
from cidery._service.log_context import CidFilter

Serve = Callable[..., Worker]
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
RECORDED = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=opaque"}


class Seen(Service):
    name = "py.seen"

    def handle(self) -> None:
        self.response.payload = {
            "traceparent": self.traceparent,
            "tracestate": self.facts.tracestate,
        }


class Calls(Service):
    name = "py.traced-calls"

    def handle(self) -> None:
        self.response.payload = {"own": self.traceparent, "seen": self.invoke("py.seen", {})}


class CallsAsync(AsyncService):
    name = "py.traced-coroutine"

    async def handle(self) -> None:
        seen = await self.invoke("py.seen", {})
        self.response.payload = {"own": self.traceparent, "seen": seen}


class Fails(Service):
    name = "py.traced-failure"

    def handle(self) -> None:
        raise ValueError("swordfish")


class Logs(Service):
    name = "py.traced-logs"

    def handle(self) -> None:
        self.logger.warning("of the handler")
        logging.getLogger("other").warning("of a library")


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        # The provider of a process is set once, and would be that of all other tests.
        patch.setattr(trace, "_TRACER_PROVIDER", provider)
        yield provider, exporter


@pytest.fixture
def spans(
    provider: tuple[TracerProvider, InMemorySpanExporter],
) -> InMemorySpanExporter:
    provider[1].clear()
    return provider[1]


@pytest.fixture
def without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (handler_span, trace_context):
        monkeypatch.setattr(module, "otel", None)


@pytest.mark.parametrize("service", [Calls, CallsAsync])
def test_a_handler_has_a_span_that_its_calls_are_children_of(
    client: Client, serve: Serve, spans: InMemorySpanExporter, service: Any
) -> None:
    serve(Seen, service)
    answer = client.invoke(service.name, {}, metadata=RECORDED)
    by_name = {span.name: span for span in spans.get_finished_spans()}
    outer, inner = by_name[f"handle {service.name}"], by_name["handle py.seen"]
    assert outer.parent is not None
    assert f"{outer.parent.span_id:016x}" == CALLER
    assert outer.kind is trace.SpanKind.SERVER
    context = outer.get_span_context()
    assert context is not None
    assert f"{context.trace_id:032x}" == TRACE
    assert context.trace_state.get("vendor") == "opaque"
    assert answer["own"] == f"00-{TRACE}-{context.span_id:016x}-01"
    # A node without traces hands the context of the handler on as it is.
    assert inner.parent is not None
    assert inner.parent.span_id == context.span_id
    assert answer["seen"]["tracestate"] == "vendor=opaque"
    assert outer.attributes is not None
    assert outer.attributes["cidery.service"] == service.name
    assert outer.attributes["cidery.attempt"] == 1


def test_a_client_sends_the_current_span(
    client: Client,
    serve: Serve,
    spans: InMemorySpanExporter,
    provider: tuple[TracerProvider, InMemorySpanExporter],
) -> None:
    serve(Seen)
    with provider[0].get_tracer("test").start_as_current_span("of the client") as span:
        client.invoke("py.seen", {})
        cid = client.invoke_async("py.seen", {})
    client.result(cid, wait=20)
    handled = [one for one in spans.get_finished_spans() if one.name == "handle py.seen"]
    assert len(handled) == 2
    for one in handled:
        assert one.parent is not None
        assert one.parent.span_id == span.get_span_context().span_id


def test_a_failure_is_recorded_without_its_message(
    client: Client, serve: Serve, spans: InMemorySpanExporter
) -> None:
    serve(Fails)
    with pytest.raises(Exception, match="HANDLER_FAILED"):
        client.invoke("py.traced-failure", {})
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
    assert "swordfish" not in span.to_json()
    assert "ValueError" in span.to_json()


def test_without_opentelemetry_the_context_is_passed_on(
    client: Client, serve: Serve, without_opentelemetry: None
) -> None:
    serve(Seen, Calls)
    answer = client.invoke("py.traced-calls", {}, metadata=RECORDED)
    assert answer["own"] == RECORDED["traceparent"]
    assert answer["seen"] == RECORDED
    assert client.invoke("py.seen", {}) == {"traceparent": "", "tracestate": ""}


@pytest.mark.parametrize("has_opentelemetry", [True, False])
def test_log_records_carry_the_trace(
    client: Client,
    serve: Serve,
    spans: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
    has_opentelemetry: bool,
) -> None:
    if not has_opentelemetry:
        request.getfixturevalue("without_opentelemetry")
    caplog.handler.addFilter(CidFilter())
    serve(Logs)
    client.invoke("py.traced-logs", {}, metadata=RECORDED)
    expected = CALLER
    if has_opentelemetry:
        (span,) = spans.get_finished_spans()
        context = span.get_span_context()
        assert context is not None
        expected = f"{context.span_id:016x}"
    texts = ("of the handler", "of a library")
    records = [vars(one) for one in caplog.records if one.getMessage() in texts]
    assert [one["trace_id"] for one in records] == [TRACE, TRACE]
    assert [one["span_id"] for one in records] == [expected, expected]
