"""The services of a shop: one that goes on until its worker ends, and one that ends at once."""

from __future__ import annotations

from typing import Any

from cidery import Service


class Order(Service):
    name = "shop.order"

    def handle(self) -> dict[str, Any]:
        self.sleep(600)
        return {}


class Stock(Service):
    name = "shop.stock"

    def handle(self) -> dict[str, Any]:
        return {"count": len(self.request.payload)}
