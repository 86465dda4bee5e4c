"""A worker on the code generated from proto/: serves python.echo, python.greet, python.fail and python.nested."""

import queue
import random
import sys
import threading
import time

import grpc
from cidery.v1 import invocation_pb2, invocation_pb2_grpc, worker_pb2, worker_pb2_grpc


def echo(dispatch):
    name = dispatch.WhichOneof("input")
    return {name: getattr(dispatch, name), "data_format": dispatch.data_format}


def nested(dispatch):
    """Invokes another service: the token says on whose behalf."""
    request = invocation_pb2.InvokeRequest(service="customer.get", payload={"cust_id": 1})
    return {"payload": invocations.Invoke(request, metadata=[("cidery-dispatch", dispatch.token)]).payload}


def handle(dispatch, out):
    try:
        outcome = HANDLERS[dispatch.service](dispatch)
    except Exception as error:
        outcome = {"failure": {"code": "CODE_INTERNAL", "message": str(error)}}
    out.put(worker_pb2.ServeRequest(result={"token": dispatch.token, **outcome}))


def text(name):
    return {"elements": [{"name": name, "type": "ELEMENT_TYPE_TEXT"}]}


HANDLERS = {
    "python.echo": echo,
    "python.greet": lambda dispatch: {"payload": {"greeting": f"Hello, {dispatch.payload['name']} from python"}},
    "python.fail": lambda _: {"failure": {"code": 9, "reason": "PYTHON_FAILED", "message": "failed on purpose"}},
    "python.nested": nested,
}
SIO = {"python.greet": {"input": text("name"), "output": text("greeting")}}

services = [{"name": name, "sio": SIO.get(name)} for name in HANDLERS]
hello = worker_pb2.ServeRequest(hello={"name": "python-example", "services": services, "max_in_flight": 100})
channel = grpc.insecure_channel(sys.argv[1])
invocations = invocation_pb2_grpc.InvocationServiceStub(channel)
while True:
    out = queue.SimpleQueue()
    out.put(hello)
    try:
        for message in worker_pb2_grpc.WorkerServiceStub(channel).Serve(iter(out.get, None)):
            if message.HasField("dispatch"):
                threading.Thread(target=handle, args=(message.dispatch, out), daemon=True).start()
    except grpc.RpcError as error:
        code = grpc.StatusCode
        if error.code() in (code.INVALID_ARGUMENT, code.ALREADY_EXISTS, code.UNIMPLEMENTED):
            raise  # It would fail again.
        print(f"the stream ended: {error.code().name} {error.details()}", file=sys.stderr)
    out.put(None)
    time.sleep(random.uniform(0.5, 1))
