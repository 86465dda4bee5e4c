"""`self.request` and `self.response`: what came in, and what goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cidery._values.bunch import Bunch

if TYPE_CHECKING:
    from cidery._service.context import InvocationInfo


class Request:
    """What came in."""

    def __init__(self, info: InvocationInfo, payload: Any, input_: Any) -> None:
        self.cid = info.cid
        self.raw = info.raw
        """Exactly as it came."""
        self.raw_request = self.text = info.raw
        self.payload = payload
        """The parsed input: a dict, mostly."""
        self.input = input_
        """The declared input: a dict with dot access, or an instance of the declared model."""
        self.data_format = info.data_format
        self.metadata = info.metadata
        self.headers = info.metadata

    def to_bunch(self) -> Any:
        """The payload with dot access."""
        return Bunch.of(self.payload)

    bunchified = to_bunch
