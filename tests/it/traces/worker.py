"""A worker whose handlers call each other: `worker.py NODE COLLECTOR`."""

import sys

from cidery import Service, Worker
from telemetry import send_spans


class Outer(Service):
    name = "traced.outer"

    def handle(self) -> None:
        self.logger.warning("in the handler")
        self.invoke("traced.inner", {})
        self.invoke_async("traced.child", {}, callback="traced.done")


class Inner(Service):
    name = "traced.inner"

    def handle(self) -> None:
        pass


class Child(Service):
    name = "traced.child"

    def handle(self) -> None:
        self.response.payload = {"n": 1}


class Done(Service):
    name = "traced.done"

    def handle(self) -> None:
        pass


class Fails(Service):
    name = "traced.fails"

    def handle(self) -> None:
        raise ValueError("swordfish")


node, collector = sys.argv[1:]
send_spans("worker", collector)
Worker(Outer, Inner, Child, Done, Fails, node=node).run()
