"""A Python client with generated types, without the SDK. docs/typed-clients.md explains it.

Usage: client.py ADDRESS, of a node that serves the demo services.
"""

import json
import sys
import time

import grpc
from cidery.v1 import invocation_pb2, invocation_pb2_grpc
from customer import customer_pb2, customer_pb2_grpc
from demo import demo_pb2, demo_pb2_grpc
from google.rpc import error_details_pb2, status_pb2


class InvocationFailed(grpc.RpcError):
    """The failure of a background call, as the error of a synchronous one."""

    def __init__(self, failure):
        super().__init__(failure.message)
        self.failure = failure

    def code(self):
        return next(code for code in grpc.StatusCode if code.value[0] == self.failure.code)

    def details(self):
        return self.failure.message

    def trailing_metadata(self):
        status = status_pb2.Status(
            code=self.failure.code, message=self.failure.message, details=self.failure.details
        )
        return (("grpc-status-details-bin", status.SerializeToString()),)


def result(cid, response, timeout=30):
    """Waits for the outcome of a background call, and returns its response as a generated message."""
    request = invocation_pb2.GetInvocationRequest(cid=cid, wait={"seconds": 10}, typed=True)
    deadline = time.monotonic() + timeout
    while True:
        found = invocations.GetInvocation(request, timeout=deadline - time.monotonic())
        outcome = found.invocation.outcome
        if outcome.HasField("failure"):
            raise InvocationFailed(outcome.failure)
        if found.invocation.HasField("outcome"):
            if not outcome.typed.Unpack(response):
                raise TypeError(f"the outcome of {cid} is no {response.DESCRIPTOR.full_name}")
            return response


def follow(cid, after, limit=None):
    """Prints the items and the progress of an invocation that come after a sequence.

    Returns the sequence of the last event. Stops after `limit` items.
    """
    request = invocation_pb2.StreamResultsRequest(cids=[cid], after_sequences={cid: after})
    events = invocations.StreamResults(request, timeout=30)
    for event in events:
        after = event.sequence or after
        if event.HasField("item"):
            print("item", int(event.item.payload["n"]))
            limit = limit and limit - 1
            if limit == 0:
                events.cancel()
                break
        elif event.HasField("progress"):
            print("progress", event.progress.progress.fraction, file=sys.stderr)
    return after


def report(error):
    """Prints a failure: code, reason, message, and each invalid field."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(bad)
    print(f"{error.code().name} {info.reason}: {error.details()}")
    for violation in bad.field_violations:
        print(" ", violation.field, violation.reason)


if len(sys.argv) != 2:
    sys.exit("usage: client.py ADDRESS")
channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.max_receive_message_length", 16 << 20)])
customers = customer_pb2_grpc.ServiceStub(channel)
demos = demo_pb2_grpc.ServiceStub(channel)
invocations = invocation_pb2_grpc.InvocationServiceStub(channel)
request = customer_pb2.GetRequest(cust_id=1)
customer = customers.Get(request, timeout=30)
print(customer.cust_id, customer.cust_name)

# In the background, once: a repeated call with the same key returns the first CID.
key = [("cidery-idempotency-key", "example-python")]
background = customer_pb2.GetAsyncRequest(cust_id=1)
accepted = customers.GetAsync(background, metadata=key, timeout=30)
again = customers.GetAsync(background, metadata=key, timeout=30)
print("accepted once:", accepted.cid == again.cid)

customer = result(accepted.cid, customer_pb2.GetResponse())
print(customer.cust_id, customer.cust_name)

try:
    customers.Get(customer_pb2.GetRequest(), timeout=30)
except grpc.RpcError as error:
    report(error)

# The node ends the call, and so can say why.
try:
    limit = [("cidery-timeout", "100ms")]
    demos.Sleep(demo_pb2.SleepRequest(seconds=60), metadata=limit, timeout=30)
except grpc.RpcError as error:
    report(error)

try:
    failing = demos.FailAsync(demo_pb2.FailAsyncRequest(code="NOT_FOUND", message="gone"), timeout=30)
    result(failing.cid, demo_pb2.FailResponse())
except grpc.RpcError as error:
    report(error)

# The events of a call. A stream that breaks, here after one item, is resumed after the last event.
counting = demos.CountAsync(demo_pb2.CountAsyncRequest(to=3), timeout=30)
seen = follow(counting.cid, after=0, limit=1)
follow(counting.cid, seen)

# More than 4 MiB.
document = json.dumps("x" * (5 << 20)).encode()
large = invocations.Invoke(invocation_pb2.InvokeRequest(service="cidery.echo", document=document), timeout=30)
print(len(large.document), "bytes")
