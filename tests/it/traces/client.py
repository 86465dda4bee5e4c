"""A client that calls a service in a span of its own: `client.py NODE COLLECTOR SERVICE` prints the CID."""

import sys

from cidery import Client
from opentelemetry import trace
from telemetry import send_spans

node, collector, service = sys.argv[1:]
provider = send_spans("client", collector)
kind = trace.SpanKind.CLIENT
with trace.get_tracer("client").start_as_current_span(f"call {service}", kind=kind):
    print(Client(node).call(service, {}).cid)
provider.shutdown()
