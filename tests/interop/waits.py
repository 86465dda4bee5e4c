"""A Python client that waits for the connection to be ready, while its node is restarted.

Called with the folder of the generated stubs and the address of a node that serves the demo services. It invokes until
its standard input ends. It prints a line for each call: `answered`, or the failure.
"""

import sys
import threading

sys.path.insert(0, sys.argv[1])

import grpc

from cidery.v1 import invocation_pb2, invocation_pb2_grpc


def main(address: str) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    # Short, because the node is restarted at once.
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    stub = invocation_pb2_grpc.InvocationServiceStub(grpc.insecure_channel(address, options))
    request = invocation_pb2.InvokeRequest(service="customer.get")
    request.payload["cust_id"] = 1
    while not ended.is_set():
        try:
            stub.Invoke(request, wait_for_ready=True, timeout=60)
            print("answered", flush=True)
        except grpc.RpcError as error:
            print(error.code().name, error.details(), flush=True)


main(sys.argv[2])
