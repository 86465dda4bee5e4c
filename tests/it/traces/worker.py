"""A worker whose handlers call each other; it prints its spans, one JSON object a line."""

import json
import sys
from collections.abc import Sequence

from cidery import Service, Worker
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class Lines(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            context, parent = span.get_span_context(), span.parent
            line = {
                "name": span.name,
                "trace": f"{context.trace_id:032x}",
                "id": f"{context.span_id:016x}",
                "parent": f"{parent.span_id:016x}" if parent else "",
                "kind": span.kind.name,
                "attributes": {key: str(value) for key, value in span.attributes.items()},
                "is_error": not span.status.is_ok and span.status.status_code.name == "ERROR",
            }
            print(json.dumps(line), flush=True)
        return SpanExportResult.SUCCESS


class Outer(Service):
    name = "traced.outer"

    def handle(self) -> None:
        self.logger.warning("in the handler")
        self.invoke("traced.inner", {})
        self.invoke_async("traced.child", {}, callback="traced.done")


class Inner(Service):
    name = "traced.inner"

    def handle(self) -> None:
        pass


class Child(Service):
    name = "traced.child"

    def handle(self) -> None:
        self.response.payload = {"n": 1}


class Done(Service):
    name = "traced.done"

    def handle(self) -> None:
        pass


class Fails(Service):
    name = "traced.fails"

    def handle(self) -> None:
        raise ValueError("swordfish")


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Lines()))
trace.set_tracer_provider(provider)
Worker(Outer, Inner, Child, Done, Fails, node=sys.argv[1]).run()
