"""A minimal bidirectional echo with grpcio. Prints its address."""

import sys
from concurrent import futures

import grpc
from google.protobuf.struct_pb2 import Struct


def echo(requests, _context):
    yield from requests


async def echo_aio(requests, _context):
    async for request in requests:
        yield request


def handlers(behavior):
    method = grpc.stream_stream_rpc_method_handler(behavior, Struct.FromString, Struct.SerializeToString)
    return grpc.method_handlers_generic_handler("bench.Echo", {"Serve": method})


def serve() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([handlers(echo)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


async def serve_aio() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([handlers(echo_aio)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if sys.argv[1:] == ["aio"]:
    import asyncio

    asyncio.run(serve_aio())
else:
    serve()
