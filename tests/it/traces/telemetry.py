"""Sends the spans of a program to a collector over OTLP/gRPC, as its users would."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


def send_spans(name: str, collector: str) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"service.name": name}))
    # Each span when it ends: none is lost with the program.
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(collector, insecure=True)))
    trace.set_tracer_provider(provider)
    return provider
