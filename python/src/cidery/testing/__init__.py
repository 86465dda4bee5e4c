"""Tests of services: without a node (`run`, `trial`), and with a real one (`Node`, `cidery_node`).

>>> from cidery import Service, Int, testing
>>> class Total(Service):
...     input = Int("count")
...     output = Int("total")
...     def handle(self):
...         price = self.invoke("price.get").price
...         self.response.payload.total = self.request.input.count * price
>>> testing.run(Total, {"count": "3"}, invokes={"price.get": {"price": 5}})
{'total': 15}
"""

from cidery.testing._harness import (
    Invoked,
    InvokedGroup,
    NotMocked,
    Trial,
    run,
    run_async,
    trial,
    trial_async,
)
from cidery.testing._node import Node

__all__ = [
    "Invoked",
    "InvokedGroup",
    "Node",
    "NotMocked",
    "Trial",
    "run",
    "run_async",
    "trial",
    "trial_async",
]
