"""Progress reports of running handlers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cidery._values.struct_pb import from_value
from cidery.v1 import outcome_pb2


@dataclass(frozen=True)
class Progress:
    """A progress report of a running handler."""

    fraction: float | None = None
    """From 0 to 1."""
    message: str = ""
    value: Any = None
    """A value for programs."""

    @classmethod
    def from_proto(cls, message: outcome_pb2.Progress) -> Progress:
        """Decodes it from the contract."""
        return cls(
            fraction=message.fraction if message.HasField("fraction") else None,
            message=message.message,
            value=from_value(message.value) if message.HasField("value") else None,
        )
