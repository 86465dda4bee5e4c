# -*- coding: utf-8 -*-

# stdlib
from dataclasses import dataclass

# Zato
from zato.common.typing_ import anydictnone, intnone, list_, list_field, optional, strlist, strlistnone, strnone
from zato.server.service import Model


@dataclass(init=False)
class Address(Model):
    city: str
    street: strnone = None


@dataclass(init=False)
class CreateOrderRequest(Model):
    customer_id: int
    items: strlist = list_field()
    notes: strlistnone
    options: anydictnone
    priority: intnone = 3
    address: optional[Address] = None


@dataclass(init=False)
class CreateOrderResponse(Model):
    order_id: int
    status: str
    items: list_[str]
