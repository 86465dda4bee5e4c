"""`self.request`: the input of a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from cidery._protocol.call_types import In
from cidery._values.bunch import Bunch

if TYPE_CHECKING:
    from cidery._service.context import InvocationInfo


class Request(Generic[In]):
    """The input of a handler, in all its forms."""

    def __init__(self, info: InvocationInfo, payload: Any, input_: In) -> None:
        self.cid = info.cid
        self.raw = info.raw
        """The input before parsing."""
        self.raw_request = self.text = info.raw
        self.payload = payload
        """The parsed input, usually a dict."""
        self.input = input_
        """The declared input: an instance of the declared type, or a dict with dot access."""
        self.data_format = info.data_format
        self.metadata = info.metadata
        self.headers = info.metadata

    def to_bunch(self) -> Any:
        """The payload with dot access."""
        return Bunch.of(self.payload)

    bunchified = to_bunch
