"""A worker made from nothing but proto/: serves python.echo, python.greet, python.fail and python.nested.

Run with `PYTHONPATH=stubs python worker.py NODE_ADDRESS`; examples/README.md says how the stubs are made.
"""

import queue
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from cidery.v1 import invocation_pb2, invocation_pb2_grpc, outcome_pb2, service_pb2, worker_pb2, worker_pb2_grpc

MAX_IN_FLIGHT = 100


def echo(dispatch):
    """Answers with what it got, as it is."""
    kind = dispatch.WhichOneof("input")
    return {kind: getattr(dispatch, kind)}


def greet(dispatch):
    return {"payload": {"greeting": f"Hello, {dispatch.payload['name']} from python"}}


def fail(_):
    return {"failure": outcome_pb2.Failure(code=9, reason="PYTHON_FAILED", message="failed as it was told")}


def nested(dispatch):
    """Invokes another service: the token says on whose behalf."""
    request = invocation_pb2.InvokeRequest(service="customer.get", payload={"cust_id": 1})
    response = invocations.Invoke(request, metadata=[("cidery-dispatch", dispatch.token)])
    kind = response.WhichOneof("output")
    return {kind: getattr(response, kind)}


def handle(dispatch):
    try:
        outcome = HANDLERS[dispatch.service](dispatch)
    except Exception as error:
        outcome = {"failure": outcome_pb2.Failure(code=outcome_pb2.CODE_INTERNAL, message=str(error))}
    out.put(worker_pb2.ServeRequest(result=worker_pb2.DispatchResult(token=dispatch.token, **outcome)))


def text(name):
    return service_pb2.Elements(elements=[service_pb2.Element(name=name, type=service_pb2.ELEMENT_TYPE_TEXT)])


HANDLERS = {"python.echo": echo, "python.greet": greet, "python.fail": fail, "python.nested": nested}
SIO = {"python.greet": service_pb2.SimpleIo(input=text("name"), output=text("greeting"))}

services = [service_pb2.ServiceDeclaration(name=name, sio=SIO.get(name)) for name in HANDLERS]
hello = worker_pb2.Hello(name="python-example", services=services, max_in_flight=MAX_IN_FLIGHT)
out = queue.SimpleQueue()
out.put(worker_pb2.ServeRequest(hello=hello))
channel = grpc.insecure_channel(sys.argv[1])
invocations = invocation_pb2_grpc.InvocationServiceStub(channel)
with ThreadPoolExecutor(MAX_IN_FLIGHT) as pool:
    for message in worker_pb2_grpc.WorkerServiceStub(channel).Serve(iter(out.get, None)):
        if message.HasField("dispatch"):
            pool.submit(handle, message.dispatch)
