"""The same echo as two services of the SDK, one in threads, one in the event loop. Prints a line once it serves."""

import sys
import threading

from cidery import Worker, service


@service("echo")
def echo(ctx, request):
    return request


@service("echo-aio")
async def echo_aio(ctx, request):
    return request


with Worker(echo, echo_aio, node=sys.argv[1]):
    print("serves", flush=True)
    threading.Event().wait()
