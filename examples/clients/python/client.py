"""A client generated from proto/: invokes a service synchronously, asynchronously, or following its events.

Usage: `run NODE SERVICE JSON sync|async|stream`. A failure prints `REASON CODE` and exits with status 3.
"""

import json
import sys

import grpc
from cidery.v1 import invocation_pb2 as pb
from cidery.v1 import invocation_pb2_grpc
from google.protobuf import duration_pb2, json_format
from google.rpc import error_details_pb2, status_pb2


def fail(reason, code):
    print(reason, int(code))
    sys.exit(3)


def show(answer, oneof):
    """Prints the payload of a response, an outcome or an event, as one line of JSON."""
    kind = answer.WhichOneof(oneof)
    if kind == "failure":
        fail(answer.failure.reason, answer.failure.code)
    print(json_format.MessageToJson(getattr(answer, kind), indent=None, ensure_ascii=False))


def reason(error):
    """The reason of a failed call, from the details of its status."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason, status.code
    raise error


def sync(stub, service, payload):
    show(stub.Invoke(pb.InvokeRequest(service=service, payload=payload)), "output")


def wait(stub, service, payload):
    accepted = stub.InvokeAsync(pb.InvokeAsyncRequest(service=service, payload=payload))
    request = pb.GetInvocationRequest(cid=accepted.cid, wait=duration_pb2.Duration(seconds=30))
    while not (invocation := stub.GetInvocation(request).invocation).HasField("outcome"):
        pass
    show(invocation.outcome, "outcome")


def stream(stub, service, payload):
    accepted = stub.InvokeAsync(pb.InvokeAsyncRequest(service=service, payload=payload))
    for event in stub.StreamResults(pb.StreamResultsRequest(cids=[accepted.cid])):
        name = event.WhichOneof("event")
        print(name)
        if name == "succeeded":
            show(event.succeeded, "output")
        elif name in ("failed", "cancelled", "expired"):
            failure = getattr(event, name).failure
            fail(failure.reason, failure.code)


node, service, payload, mode = sys.argv[1:]
stub = invocation_pb2_grpc.InvocationServiceStub(grpc.insecure_channel(node))
try:
    {"sync": sync, "async": wait, "stream": stream}[mode](stub, service, json.loads(payload))
except grpc.RpcError as error:
    fail(*reason(error))
