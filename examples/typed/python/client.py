"""A Python client with generated types, without the SDK. docs/typed-clients.md explains it.

Called with the address of a node that serves the demo services.
"""

import json
import sys
import time

import grpc
from cidery.v1 import invocation_pb2, invocation_pb2_grpc, outcome_pb2
from customer import service_pb2 as customer_pb2, service_pb2_grpc as customer_grpc
from demo import service_pb2 as demo_pb2, service_pb2_grpc as demo_grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2


class InvocationFailed(Exception):
    """The failure of a background call."""

    def __init__(self, failure):
        super().__init__(failure.message)
        self.failure = failure


def result(cid, response, timeout=30):
    """Waits for the outcome of a background call, and returns its response as a generated message."""
    request = invocation_pb2.GetInvocationRequest(cid=cid, wait={"seconds": 10})
    deadline = time.monotonic() + timeout
    while True:
        found = invocations.GetInvocation(request, timeout=deadline - time.monotonic())
        outcome = found.invocation.outcome
        if outcome.HasField("failure"):
            raise InvocationFailed(outcome.failure)
        if found.invocation.HasField("outcome"):
            fields = json_format.MessageToDict(outcome.payload)
            return json_format.ParseDict(fields, response, ignore_unknown_fields=True)


def report(error):
    """Prints a failure: code, reason, message, and each invalid field."""
    if isinstance(error, InvocationFailed):
        code = outcome_pb2.Code.Name(error.failure.code).removeprefix("CODE_")
        message, details = error.failure.message, error.failure.details
    else:
        trailers = dict(error.trailing_metadata() or ())
        status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
        code, message, details = error.code().name, error.details(), status.details
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in details:
        detail.Unpack(info) or detail.Unpack(bad)
    print(f"{code} {info.reason}: {message}")
    for violation in bad.field_violations:
        print(" ", violation.field, violation.reason)


channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.max_receive_message_length", 16 << 20)])
customers = customer_grpc.ServiceStub(channel)
demos = demo_grpc.ServiceStub(channel)
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
except InvocationFailed as error:
    report(error)

# More than 4 MiB.
document = json.dumps("x" * (5 << 20)).encode()
large = invocations.Invoke(invocation_pb2.InvokeRequest(service="cidery.echo", document=document), timeout=30)
print(len(large.document), "bytes")
