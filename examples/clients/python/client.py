"""A client generated from proto/: invokes a service synchronously, asynchronously, or following its events.

Usage: `run NODE SERVICE JSON sync|async|stream [SECONDS]`; it ends after 60 seconds by default. The response goes to
standard output, all else to standard error. The status after a failure is 3.
"""

import json
import os
import sys
import time

import grpc
from cidery.v1 import invocation_pb2 as pb
from cidery.v1 import invocation_pb2_grpc, outcome_pb2
from google.protobuf import duration_pb2, json_format
from google.rpc import error_details_pb2, status_pb2


def open_channel(node):
    """A channel. With TLS to `https://HOST:PORT`: `CIDERY_CA` names the file with the CA of the node, and the key in
    `CIDERY_API_KEY` is sent with each call."""
    if not node.startswith("https://"):
        return grpc.insecure_channel(node)
    roots = None  # Those that gRPC brings.
    if "CIDERY_CA" in os.environ:
        with open(os.environ["CIDERY_CA"], "rb") as file:
            roots = file.read()
    credentials = grpc.ssl_channel_credentials(roots)
    if "CIDERY_API_KEY" in os.environ:
        key = grpc.access_token_call_credentials(os.environ["CIDERY_API_KEY"])
        credentials = grpc.composite_channel_credentials(credentials, key)
    return grpc.secure_channel(node.removeprefix("https://"), credentials)


def note(text):
    print(text, file=sys.stderr)


def summary(code, reason, message):
    """A failure in one line. Failures of the client's own library have no reason."""
    return f"{code} {reason}: {message}" if reason else f"{code}: {message}"


def summary_of(failure):
    code = outcome_pb2.Code.Name(failure.code).removeprefix("CODE_")
    return summary(code, failure.reason, failure.message)


def one_line(message):
    return json_format.MessageToJson(message, indent=None, ensure_ascii=False)


def fail(summary, details):
    """Prints a failure with its details, and ends the program."""
    note(summary)
    for detail in details:
        try:
            note(f"  {one_line(detail)}")
        except TypeError:  # A detail of the handler, whose type this program does not know.
            note(f"  {detail.type_url}")
    sys.exit(3)


def fail_by(error):
    """Prints the failure of a call. The reason is in the details of its status."""
    trailers = dict(error.trailing_metadata() or ())
    details = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b"")).details
    info = error_details_pb2.ErrorInfo()
    any(detail.Unpack(info) for detail in details)
    fail(summary(error.code().name, info.reason, error.details()), details)


def show(answer, oneof):
    """Prints the payload of a response, an outcome or an event, as one line of JSON."""
    kind = answer.WhichOneof(oneof)
    if kind == "failure":
        fail(summary_of(answer.failure), answer.failure.details)
    print(one_line(getattr(answer, kind)))


def remaining():
    return deadline - time.monotonic()


def accept(stub, service, payload):
    request = pb.InvokeAsyncRequest(service=service, payload=payload)
    cid = stub.InvokeAsync(request, timeout=remaining()).cid
    # Where this program gives up, `cidery result CID` has the outcome later.
    note(f"accepted {cid}")
    return cid


def sync(stub, service, payload):
    request = pb.InvokeRequest(service=service, payload=payload)
    show(stub.Invoke(request, timeout=remaining()), "output")


def wait(stub, service, payload):
    """Waits for the outcome, and prints the state of the invocation when that changes."""
    cid = accept(stub, service, payload)
    request = pb.GetInvocationRequest(cid=cid, wait=duration_pb2.Duration(seconds=1))
    before = None
    while True:
        invocation = stub.GetInvocation(request, timeout=remaining()).invocation
        if invocation.HasField("outcome"):
            return show(invocation.outcome, "outcome")
        state = f"{outcome_pb2.State.Name(invocation.state)}, attempt {invocation.attempt}"
        if invocation.HasField("last_failure"):
            state += f" after {summary_of(invocation.last_failure)}"
        if state != before:
            note(state)
        before = state


def stream(stub, service, payload):
    """Shows the events of an invocation, from the first to the last."""
    request = pb.StreamResultsRequest(cids=[accept(stub, service, payload)])
    for event in stub.StreamResults(request, timeout=remaining()):
        name = event.WhichOneof("event")
        print(name)
        if name == "item":
            show(event.item, "item")
        elif name == "progress":
            progress = event.progress.progress
            note(f"progress {progress.fraction} {progress.message}")
        elif name == "retry_scheduled":
            retry = event.retry_scheduled
            next_time = retry.start_time.ToJsonString()
            note(f"attempt {event.attempt}: {summary_of(retry.failure)}; next at {next_time}")
        elif name == "succeeded":
            show(event.succeeded, "output")
        elif name in ("failed", "cancelled", "expired"):
            failure = getattr(event, name).failure
            fail(summary_of(failure), failure.details)


node, service, payload, mode, *seconds = sys.argv[1:]
deadline = time.monotonic() + float(*seconds or [60])
stub = invocation_pb2_grpc.InvocationServiceStub(open_channel(node))
try:
    {"sync": sync, "async": wait, "stream": stream}[mode](stub, service, json.loads(payload))
except grpc.RpcError as error:
    fail_by(error)
