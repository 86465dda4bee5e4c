"""`self.request` of Zato's services."""

from __future__ import annotations

from typing import Any, NoReturn

from cidery._service.request import Request
from cidery.zato._names.absent import REQUEST_INSTEAD, refuse_attribute


class ZatoRequest(Request[Any]):
    """A request whose attributes beyond the layer are refused with what to write instead."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        refuse_attribute("self.request", name, REQUEST_INSTEAD)
