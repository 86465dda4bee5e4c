"""The services of the pictures: a shop, as `python -m cidery run` serves it."""

# The SDK calls it so.
# ruff: noqa: A002

from __future__ import annotations

from dataclasses import dataclass, field

from cidery import RetryPolicy, Service


@dataclass
class Line:
    """One article of an order."""

    article: str
    count: int = 1


@dataclass
class Order:
    """What a customer has ordered."""

    order_id: int
    lines: list[Line] = field(default_factory=list)
    note: str | None = None


@dataclass
class Reservation:
    """What was put aside."""

    order_id: int
    shelf: str


class PlaceOrder(Service[Order, None]):
    """Takes an order: reserves what it needs, and sends the receipt once that is done."""

    name = "order.place"

    def handle(self, input: Order) -> None:
        for number, line in enumerate(input.lines):
            self.progress((number + 1) / (len(input.lines) + 1), f"reserving {line.article}")
            self.invoke_async(Reserve, Order(input.order_id, [line]), once=f"line-{number}")
            self.sleep(0.2)
        self.invoke_async(Receipt, Order(input.order_id), once="receipt", delay=1.0)


class Reserve(Service[Order, Reservation]):
    """Puts articles aside on a shelf of the warehouse."""

    name = "stock.reserve"
    retry_policy = RetryPolicy(max_attempts=3, initial_interval=1.0)

    def handle(self, input: Order) -> Reservation:
        for line in input.lines:
            if line.article == "lamp":
                raise LookupError("no shelf has a lamp")
        return Reservation(input.order_id, f"A-{input.order_id % 40}")


class Receipt(Service[Order, None]):
    """Sends the receipt of an order."""

    name = "mail.receipt"

    def handle(self, input: Order) -> None:
        self.sleep(0.05 * (input.order_id % 7))


class Export(Service[Order, None]):
    """Writes orders to the ledger, page by page."""

    name = "ledger.export"

    def handle(self, input: Order) -> None:
        for page in range(1, 61):
            self.progress(page / 60, f"page {page} of 60")
            self.emit({"page": page, "orders": 250})
            self.sleep(1.0)
