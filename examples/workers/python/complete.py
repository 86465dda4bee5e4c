"""A complete worker on the code generated from proto/, without a Cidery library: serves python.count.

It cancels, reports progress, emits items, accepts batches, resumes its session after a lost stream, and drains on
SIGTERM. Dispatches that still run after the drain are handed back. See docs/worker-protocol.md.
"""

import queue
import random
import signal
import sys
import threading
import time

import grpc
from cidery.v1 import service_pb2, worker_pb2, worker_pb2_grpc
from cidery.v1.worker_pb2 import ServeRequest

MAX_MESSAGE_BYTES = 17 << 20  # More than a node sends by default.
DRAIN_SECONDS = 30
# The backoff between streams, and of gRPC between connections, stays far below the lease of the session (20 s).
MIN_BACKOFF, MAX_BACKOFF = 0.1, 5
OPTIONS = {
    "grpc.keepalive_time_ms": 10_000,  # A node whose machine is gone sends no reset: PINGs notice it.
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
    "grpc.initial_reconnect_backoff_ms": int(MIN_BACKOFF * 1000),
    "grpc.max_reconnect_backoff_ms": MAX_BACKOFF * 1000,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
}
FINAL = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.UNIMPLEMENTED)
CAPABILITIES = ["RESUME", "CANCEL", "HAND_BACK", "DRAIN", "BATCHING"]


class Call:
    """A dispatch that runs, or whose result the node has not acknowledged."""

    def __init__(self, worker, dispatch):
        self.worker, self.dispatch, self.token = worker, dispatch, dispatch.token
        self.cancelled = threading.Event()
        self.items = []  # Sent again after a lost stream: the node knows them by their numbers.
        self.result = None

    def emit(self, item):
        item = {"token": self.token, "payload": item, "number": len(self.items) + 1}
        with self.worker.changed:
            self.items.append(ServeRequest(item=item))
            self.worker.send(self.items[-1])

    def progress(self, text):
        with self.worker.changed:
            self.worker.send(ServeRequest(progress={"token": self.token, "progress": {"message": text}}))


def count(call):
    """Counts: an item for each number. It stops where its outcome is no longer needed."""
    to = int(call.dispatch.payload["to"])
    for number in range(1, to + 1):
        if call.cancelled.wait(0.05):
            return {"failure": {"code": "CODE_CANCELLED", "message": "cancelled"}}
        call.emit({"number": number})
        call.progress(f"{number} of {to}")
    return {"payload": {"total": to}}


def integer(name):
    return {"elements": [{"name": name, "type": "ELEMENT_TYPE_INT"}]}


HANDLERS = {"python.count": count}
SERVICES = [{"name": "python.count", "sio": {"input": integer("to"), "output": integer("total")}}]


class Worker:
    def __init__(self):
        self.changed = threading.Condition()  # Held for each change of what follows.
        self.calls = {}  # By token.
        self.session = ""
        self.out = None  # What the current stream sends.
        self.drained = self.stopping = self.stopped = False

    def send(self, message):
        if self.out is not None:  # Otherwise it is lost, or sent again when the worker is welcomed.
            self.out.put(message)

    def run(self, address):
        channel = grpc.insecure_channel(address, list(OPTIONS.items()))
        backoff = MIN_BACKOFF
        while not self.stopped:
            out = queue.SimpleQueue()
            out.put(self.hello())
            try:
                for message in worker_pb2_grpc.WorkerServiceStub(channel).Serve(iter(out.get, None)):
                    backoff = MIN_BACKOFF
                    self.receive(message, out)
            except grpc.RpcError as error:
                print(f"the stream ended: {error.code().name} {error.details()}", file=sys.stderr)
                if error.code() is grpc.StatusCode.INVALID_ARGUMENT and self.session:
                    self.welcomed(worker_pb2.Welcome(), None)  # The session is refused: a new one.
                elif error.code() in FINAL:
                    raise
            with self.changed:
                self.out = None
            out.put(None)  # Ends the thread of gRPC that waits for the next message.
            if not self.stopped:
                time.sleep(random.uniform(backoff / 2, backoff))
                backoff = min(backoff * 2, MAX_BACKOFF)

    def hello(self):
        with self.changed:
            return ServeRequest(hello={
                "name": "python-complete", "services": SERVICES, "max_in_flight": 100, "session": self.session,
                "capabilities": [f"CAPABILITY_{name}" for name in CAPABILITIES],
                "max_message_bytes": MAX_MESSAGE_BYTES, "tokens": list(self.calls),
            })

    def receive(self, message, out):
        kind = message.WhichOneof("message")
        for dispatch in [message.dispatch] if kind == "dispatch" else message.dispatches:
            self.start(dispatch)
        if kind == "welcome":
            self.welcomed(message.welcome, out)
        elif kind == "cancel" and message.cancel.token in self.calls:
            self.calls[message.cancel.token].cancelled.set()
        elif kind in ("received", "refused"):
            with self.changed:
                for token in message.received.tokens if kind == "received" else [message.refused.token]:
                    # A call that runs goes on: only its progress or an item was refused.
                    if token in self.calls and self.calls[token].result:
                        del self.calls[token]
                self.changed.notify_all()
        elif kind == "drained":
            with self.changed:
                self.drained = True
                self.changed.notify_all()
        # After the node's `drain` nothing changes here: calls end on this stream, which the node then closes.

    def welcomed(self, welcome, out):
        """Keeps what the node still knows, and sends again what it may not have received."""
        with self.changed:
            self.session, self.out, self.drained = welcome.session, out, False
            for token in set(self.calls) - set(welcome.tokens):
                self.calls.pop(token).cancelled.set()
            for call in self.calls.values():
                for message in [*call.items, *([call.result] if call.result else [])]:
                    self.send(message)
            if self.stopping:
                self.send(None if self.stopped else ServeRequest(drain={}))

    def start(self, dispatch):
        with self.changed:
            if dispatch.token in self.calls:
                return  # A repetition.
            call = self.calls[dispatch.token] = Call(self, dispatch)
        threading.Thread(target=self.handle, args=(call,), daemon=True).start()

    def handle(self, call):
        try:
            outcome = HANDLERS[call.dispatch.service](call)
        except Exception as error:
            outcome = {"failure": {"code": "CODE_INTERNAL", "message": str(error)}}
        with self.changed:
            if call.token in self.calls:  # Otherwise its token is void.
                call.result = ServeRequest(result={"token": call.token, **outcome})
                self.send(call.result)

    def stop(self):
        """Finishes the calls, and waits until the node has their results."""
        with self.changed:
            self.stopping = True
            self.send(ServeRequest(drain={}))
            is_idle = lambda: not self.calls and (self.drained or self.out is None)
            self.changed.wait_for(is_idle, DRAIN_SECONDS)
            running = [token for token, call in self.calls.items() if not call.result]
            if running:
                self.send(ServeRequest(hand_back={"tokens": running}))
            self.stopped = True
            self.send(None)  # Closes this side of the stream; the node then closes its own.


worker = Worker()
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=worker.stop).start())
worker.run(sys.argv[1])
